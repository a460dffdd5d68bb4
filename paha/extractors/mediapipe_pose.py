"""MediaPipe's face, hand and pose landmarkers, mapped into the 133 keypoints of COCO-WholeBody.

What the scores are, since MediaPipe's confidences are of different kinds:

- body and feet: min(visibility, presence) of the point, both given by the pose network for every point. Presence is the
  probability that the point lies in the picture, visibility that nothing hides it. MediaPipe has no small toes: 0.
- face: the network of the 478 points tells nothing about a point, only that there is a face at all (above 0.5). All 68
  points get the score of the BlazeFace detection, made on a close-up of the head, that overlaps them most; 0.5, the
  landmarker's own threshold, where no detection does.
- hands: nothing about a point either. All 21 points of a hand get its only number, how sure the network is which hand
  it is (0.5 to 1); a hand is reported at all where its presence is above 0.5.

No score falls with motion blur. A point outside the picture has score 0, a point that was not found score 0 and
position (0, 0). So a threshold on hands or face (tau of Eq. 2) selects whole hands and faces, never single points; with
DWPose it selects points.

Every frame is read by itself (MediaPipe's image mode): the same frame gives the same result wherever a clip is cut.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from paha.extractors.mediapipe_faces import faces_in
from paha.extractors.mediapipe_points import (
    BODY_OF_POSE,
    BODY_POINTS,
    FACE_OF_MESH,
    FEET_OF_POSE,
    HAND_POINTS,
    SHOULDERS,
    SMALL_TOES,
    assign_sides,
    draw_between,
    face_boxes,
    mouth_gap,
    overlap_of,
    paced,
    square_about,
)
from paha.extractors.mediapipe_tasks import Tasks, image_of, load_tasks
from paha.extractors.pose import PoseTrack
from paha.extractors.quiet import quiet
from paha.types import BODY, FACE, FEET, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND, Keypoints

_HEAD_OF_POSE = slice(0, 11)
_HEAD_GROW = 3.0
_PERSON_GROW = 1.4
_NO_SCORE = 0.5
_ARMS_OF_POSE, _HANDS_OF_POSE = slice(13, 23), slice(15, 23)
_NOT_IN_PICTURE = 0.1
"""A part whose points all have no more than this is not looked for (docs/metrics.md says what it changes)."""


@dataclass(frozen=True)
class _Person:
    """Pose points (33, 2) px and scores (33,) of one person."""

    points: np.ndarray
    scores: np.ndarray

    @property
    def width(self) -> float:
        """Distance of the shoulders in pixels."""
        return float(np.linalg.norm(self.points[SHOULDERS[0]] - self.points[SHOULDERS[1]]))

    def shows(self, part: slice) -> bool:
        """Whether any of the pose's points of a part may be in the picture."""
        return bool((self.scores[part] > _NOT_IN_PICTURE).any())


class MediaPipePose:
    """Pose of photographed (and most drawn) people. Use `load`; `close` or a `with` block frees the networks."""

    def __init__(self, tasks: Tasks, *, body_every: int = 1, hands_every: int = 1) -> None:
        self._tasks, self._body_every, self._hands_every, self._talkative = tasks, body_every, hands_every, True

    @classmethod
    def load(
        cls, *, download: bool = True, body_every: int = 1, hands_every: int = 1, expression: bool = False
    ) -> MediaPipePose:
        """With the registered weights, fetched where they are missing and `download` is set.

        body_every, hands_every: they are read in every n-th frame and drawn linearly between; together they are four
        fifths of the cost. A body that shows no arm is read half as often where n is above 1. The face is read in every
        frame. expression: read blendshapes, too.

        Raises PahaError where mediapipe is not installed or weights are not to be had.
        """
        tasks = load_tasks(num_faces=2, num_hands=2, num_poses=2, blendshapes=expression, download=download)
        return cls(tasks, body_every=body_every, hands_every=hands_every)

    def detect(self, frames: np.ndarray) -> PoseTrack:
        """Pose of frames (T, H, W, 3) uint8, in their pixels; where several people are seen, of the largest.

        face_box: from brow to chin and ear to ear; zeros where there is no face. mouth_open: the gap of the inner lips
        over the mouth's width, cut at 1; 0 where there is no face.
        """
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise ValueError(f"frames must be uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
        points = np.zeros((len(frames), NUM_KEYPOINTS, 2), np.float32)
        scores = np.zeros((len(frames), NUM_KEYPOINTS), np.float32)
        shapes: list[np.ndarray | None] = []
        person, score, last, body = None, 0.0, len(frames) - 1, list[int]()
        hands = paced(len(frames), every=self._hands_every)
        for t, frame in enumerate(frames):
            with quiet() if self._talkative else nullcontext():
                due = not body or t - body[-1] >= self._body_pace(person) or t == last
                if due:
                    person = self._read_body(frame, points[t], scores[t])
                    body.append(t)
                if t in hands and (person is None or person.shows(_HANDS_OF_POSE)):
                    self._read_hands(frame, person, points[t], scores[t])
                shapes.append(self._read_face(frame, person, points[t], scores[t], known=0.0 if due else score))
                score = float(scores[t, FACE.start])
            self._talkative = False
        draw_between(points, scores, BODY_POINTS, np.array(body))
        draw_between(points, scores, HAND_POINTS, hands)
        outside = (points < 0).any(-1) | (points[..., 0] >= frames.shape[2]) | (points[..., 1] >= frames.shape[1])
        scores[outside] = 0.0
        known = Keypoints(points, scores)
        return PoseTrack(known, face_boxes(points, scores), mouth_gap(points, scores), _joined_shapes(shapes))

    read = detect
    """The same, by another name."""

    def _body_pace(self, person: _Person | None) -> int:
        """Frames from one reading of the body to the next."""
        resting = person is not None and self._body_every > 1 and not person.shows(_ARMS_OF_POSE)
        return self._body_every * (2 if resting else 1)

    def find_faces(self, frame: np.ndarray) -> np.ndarray:
        """Boxes of all faces in a frame (H, W, 3) uint8: (N, 5) float32, x0 y0 x1 y1 in pixels and score, best first.

        BlazeFace finds faces of about a tenth of the picture's width and more, and now and then a hand.
        """
        found = self._tasks.boxes.detect(_padded(frame)).detections
        boxes = [_box(detection) for detection in found]
        boxes.sort(key=lambda box: -box[4])
        return np.array(boxes, np.float32).reshape(-1, 5)

    def has_face(self, picture: np.ndarray) -> bool:
        """Whether the face landmarker finds a face in a picture (H, W, 3) uint8."""
        return self._faces(picture) is not None

    def close(self) -> None:
        """Free the networks."""
        self._tasks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_body(self, frame: np.ndarray, points: np.ndarray, scores: np.ndarray) -> _Person | None:
        """Fill body and feet of points (133, 2) and scores (133,) of one frame; the person they are of."""
        person = self._largest_person(frame)
        if person is not None:
            points[BODY], scores[BODY] = person.points[list(BODY_OF_POSE)], person.scores[list(BODY_OF_POSE)]
            points[FEET], scores[FEET] = person.points[list(FEET_OF_POSE)], person.scores[list(FEET_OF_POSE)]
            scores[list(SMALL_TOES)] = 0.0
        return person

    def _largest_person(self, frame: np.ndarray) -> _Person | None:
        side = max(frame.shape[:2])
        found = self._tasks.pose.detect(_padded(frame)).pose_landmarks
        people = [
            _Person(
                np.array([(p.x, p.y) for p in pose], np.float32) * side,
                np.array([min(p.visibility, p.presence) for p in pose], np.float32),
            )
            for pose in found
        ]
        return max(people, key=lambda person: person.width, default=None)

    def _read_face(
        self,
        frame: np.ndarray,
        person: _Person | None,
        points: np.ndarray,
        scores: np.ndarray,
        *,
        known: float = 0.0,
    ) -> np.ndarray | None:
        """Fill the face's points and scores; its blendshapes (52,), where they are read. known: the score of the frame
        before, which stands for this one's; 0 where it is to be detected."""
        crop, corner = frame, np.zeros(2, np.float32)
        if person is not None:
            crop, corner = square_about(frame, person.points[_HEAD_OF_POSE], grow=_HEAD_GROW)
        found = self._faces(crop)
        if found is None:
            return None
        mesh, shapes = found
        points[FACE] = mesh[list(FACE_OF_MESH)] + corner
        if known > 0:
            scores[FACE] = known
            return shapes
        box = np.concatenate([mesh.min(0), mesh.max(0)])
        overlaps = [(overlap_of(box, found[:4]), found[4]) for found in self.find_faces(crop)]
        best = max(overlaps, default=(0.0, 0.0))
        scores[FACE] = best[1] if best[0] > 0 else _NO_SCORE
        return shapes

    def _faces(self, crop: np.ndarray) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Mesh (478, 2) px and blendshapes of the largest face in a picture."""
        found = faces_in(self._tasks.face, _padded(crop))
        mesh, shapes = max(found, key=lambda face: float(np.ptp(face[0][:, 0])), default=(None, None))
        if mesh is None or shapes is None:
            return None
        return mesh * max(crop.shape[:2]), shapes if len(shapes) else None

    def _read_hands(self, frame: np.ndarray, person: _Person | None, points: np.ndarray, scores: np.ndarray) -> None:
        crop, corner = frame, np.zeros(2, np.float32)
        if person is not None:
            seen = person.scores > _NO_SCORE
            crop, corner = square_about(frame, person.points[seen] if seen.any() else person.points, grow=_PERSON_GROW)
        side = max(crop.shape[:2])
        found = self._tasks.hands.detect(_padded(crop))
        hands = [np.array([(p.x, p.y) for p in hand], np.float32) * side + corner for hand in found.hand_landmarks]
        labels = [(label[0].category_name == "Left", float(label[0].score)) for label in found.handedness]
        for hand, is_left, score in assign_sides(hands, labels, person.points if person else None):
            side = LEFT_HAND if is_left else RIGHT_HAND
            points[side], scores[side] = hand, score


def _joined_shapes(shapes: list[np.ndarray | None]) -> np.ndarray | None:
    size = next((len(found) for found in shapes if found is not None), 0)
    if not size:
        return None
    return np.stack([np.full(size, np.nan) if found is None else found for found in shapes]).astype(np.float32)


def _box(detection: Any) -> tuple[float, ...]:
    box = detection.bounding_box
    corners = (box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height)
    return (*corners, detection.categories[0].score)


def _padded(frame: np.ndarray) -> Any:
    """MediaPipe's image of a frame, padded to a square."""
    height, width = frame.shape[:2]
    square = frame
    if height != width:
        square = np.zeros((max(height, width), max(height, width), 3), np.uint8)
        square[:height, :width] = frame
    return image_of(square)
