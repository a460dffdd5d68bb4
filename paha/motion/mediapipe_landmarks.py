"""Landmarks of a photograph by MediaPipe: face mesh, pose with mask, hands. Crops about the person, so that the size
and the shape of the picture do not matter."""

from __future__ import annotations

import numpy as np

from paha.extractors.mediapipe_points import BODY_OF_POSE, FEET_OF_POSE, SMALL_TOES, WRISTS, assign_sides
from paha.extractors.mediapipe_tasks import Tasks, image_of, load_tasks
from paha.motion.crops import Square, paste, searched_tiles, unique_boxes
from paha.motion.face_model import IBUG_68
from paha.motion.landmark_checks import MIN_FACE_PX
from paha.motion.landmarks import PersonReading, own_landmarks
from paha.types import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND

_SEEN = 0.5
"""Body points below it are hidden or outside, by MediaPipe's own account."""
_NO_DETECTION = 0.5
"""Score of a face that the landmarker reads (above 0.5) and BlazeFace does not find in the close-up."""
_FACE_CROPS = (2.2, 1.6, 3.2)
_PERSON_CROPS = (10.0, 6.0, 4.0)
"""Sides of the squares that are tried, in face heights."""
_NOSE = 0.5
"""A pose is of a face if their noses are within so many face heights."""


class MediaPipeLandmarks:
    """Reads photographs. Use `load`."""

    source = "mediapipe"

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    @classmethod
    def load(cls, *, download: bool = False) -> MediaPipeLandmarks:
        """With the registered weights. Raises PahaError where the package or weights are missing."""
        return cls(load_tasks(num_faces=4, num_hands=4, num_poses=3, masks=True, download=download))

    def find_faces(self, image: np.ndarray) -> np.ndarray:
        """Boxes (N, 5) float32 of all faces, x0 y0 x1 y1 in pixels and score, largest first.

        BlazeFace sees faces of a tenth of its square and more: the picture is searched whole, in halves unless there is
        a large face, and in quarters where none was found. It fires on hands and patterns too: only boxes with a face
        mesh count.
        """
        found: list[np.ndarray] = []
        for x, y, tile in searched_tiles(image, found, smallest=MIN_FACE_PX):
            for box in self._boxes(tile):
                face = self._verified(image, box + np.array([x, y, x, y, 0], np.float32), known=found)
                found += [] if face is None else [face]
        return unique_boxes(found)

    def read_face(self, image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
        """The mesh (478, 3), pixels, of the face in the box (4,), or None."""
        read = self._mesh(image, box)
        return None if read is None else read[0]

    def read(self, image: np.ndarray, box: np.ndarray, *, alone: bool) -> PersonReading | None:
        """The person whose face is in the box (4,) px, or None where there is no mesh. alone: whether there
        is no other face."""
        read = self._mesh(image, box)
        if read is None:
            return None
        mesh, face_score = read
        points, scores = np.zeros((133, 2), np.float32), np.zeros(133, np.float32)
        points[FACE], scores[FACE] = mesh[IBUG_68, :2], face_score
        own = own_landmarks()
        pose, mask = self._pose(image, mesh, alone=alone)
        if pose is None:
            # Its pose network misses some people whose face it reads; the shipped one does not look for anybody.
            body, chances, mask = own.read_body(image, _mesh_box(mesh))
            points[BODY], scores[BODY] = body[BODY], chances[BODY]
        else:
            points[BODY], scores[BODY] = pose[list(BODY_OF_POSE), :2], pose[list(BODY_OF_POSE), 2]
            points[FEET], scores[FEET] = pose[list(FEET_OF_POSE), :2], pose[list(FEET_OF_POSE), 2]
            scores[list(SMALL_TOES)] = 0
        body = slice(BODY.start, FEET.stop)
        scores[body][scores[body] < _SEEN] = 0
        self._read_hands(image, mesh, pose, points, scores)
        height, width = image.shape[:2]
        scores[(points < 0).any(1) | (points[:, 0] >= width) | (points[:, 1] >= height)] = 0
        return PersonReading(mesh, points, scores, mask, face_score, own.covered_parts(image, mesh))

    def _boxes(self, image: np.ndarray) -> list[np.ndarray]:
        """BlazeFace's boxes (5,) in a picture, in its pixels."""
        square = Square.around_all(image.shape[:2])
        found = self._tasks.boxes.detect(image_of(square.cut(image))).detections
        boxes = [(item.bounding_box, item.categories[0].score) for item in found]
        return [
            np.array([b.origin_x, b.origin_y, b.origin_x + b.width, b.origin_y + b.height, score], np.float32)
            + np.array([*square.corner, *square.corner, 0], np.float32)
            for b, score in boxes
        ]

    def _verified(self, image: np.ndarray, box: np.ndarray, *, known: list[np.ndarray]) -> np.ndarray | None:
        """The box (5,) of the mesh that lies in a box; None where there is none, or it is known."""
        if len(unique_boxes([*known, box])) == len(known):
            return None
        read = self._mesh(image, box[:4])
        return None if read is None else np.array([*_mesh_box(read[0]), box[4]], np.float32)

    def _mesh(self, image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, float] | None:
        """Mesh (478, 3) px and score of the face nearest to the middle of a box (4,)."""
        centre, size = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
        for grow in _FACE_CROPS:
            square = Square.at(centre, grow * size)
            crop = square.cut(image, max_side=512)
            found = self._tasks.face.detect(image_of(crop)).face_landmarks
            if not found:
                continue
            meshes = [np.array([(p.x, p.y, p.z) for p in face], np.float32) * square.side for face in found]
            meshes = [mesh + np.array([*square.corner, 0], np.float32) for mesh in meshes]
            mesh = min(meshes, key=lambda mesh: float(np.linalg.norm(_middle(mesh) - centre)))
            if np.linalg.norm(_middle(mesh) - centre) < size:
                return mesh, max((float(face[4]) for face in self._boxes(crop)), default=_NO_DETECTION)
        return None

    def _pose(self, image: np.ndarray, mesh: np.ndarray, *, alone: bool) -> tuple[np.ndarray | None, np.ndarray]:
        """Pose (33, 3: x, y px, score) of the person with this face, or None, and the coarse mask (H, W)."""
        height = float(np.linalg.norm(mesh[10, :2] - mesh[152, :2]))
        centre = _middle(mesh) + np.array([0, 1.5 * height], np.float32)
        squares = [Square.at(_middle(mesh) + (centre - _middle(mesh)) * (s > 5), s * height) for s in _PERSON_CROPS]
        whole = Square.around_all(image.shape[:2])
        for square in [whole, *squares] if alone else squares:
            result = self._tasks.pose.detect(image_of(square.cut(image, max_side=1024)))
            for pose, mask in zip(result.pose_landmarks, result.segmentation_masks or [], strict=True):
                points = np.array([(p.x, p.y, min(p.visibility, p.presence)) for p in pose], np.float32)
                points[:, :2] = points[:, :2] * square.side + square.corner
                if np.linalg.norm(points[0, :2] - mesh[1, :2]) < _NOSE * height:
                    return points, paste(mask.numpy_view().squeeze(), square, image.shape[:2])
        return None, np.zeros(image.shape[:2], np.float32)

    def _read_hands(
        self, image: np.ndarray, mesh: np.ndarray, pose: np.ndarray | None, points: np.ndarray, scores: np.ndarray
    ) -> None:
        """Fill the points and scores of the person's hands: those at the pose's wrists."""
        if pose is None:
            return
        height = float(np.linalg.norm(mesh[10, :2] - mesh[152, :2]))
        seen = pose[pose[:, 2] > _SEEN, :2]
        low, high = np.minimum(seen.min(0), mesh[:, :2].min(0)), np.maximum(seen.max(0), mesh[:, :2].max(0))
        square = Square.at((low + high) / 2, 1.3 * float((high - low).max()) + height)
        result = self._tasks.hands.detect(image_of(square.cut(image, max_side=1024)))
        hands = [np.array([(p.x, p.y) for p in hand], np.float32) for hand in result.hand_landmarks]
        hands = [hand * square.side + square.corner for hand in hands]
        labels = [(label[0].category_name == "Left", float(label[0].score)) for label in result.handedness]
        kept = [k for k, hand in enumerate(hands) if _is_at_wrist(hand, pose, height)]
        hands, labels = [hands[k] for k in kept], [labels[k] for k in kept]
        for hand, is_left, score in assign_sides(hands, labels, pose[:, :2]):
            side = LEFT_HAND if is_left else RIGHT_HAND
            points[side], scores[side] = hand, score


def _is_at_wrist(hand: np.ndarray, pose: np.ndarray, face_height: float) -> bool:
    return bool(np.linalg.norm(pose[list(WRISTS), :2] - hand[0], axis=1).min() < 0.8 * face_height)


def _middle(mesh: np.ndarray) -> np.ndarray:
    return (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2


def _mesh_box(mesh: np.ndarray) -> np.ndarray:
    return np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])
