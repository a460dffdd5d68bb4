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

import atexit
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from paha.errors import PahaError
from paha.extractors.pose import PoseTrack
from paha.extractors.weights import weight
from paha.types import BODY, FACE, FEET, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND, Keypoints

WEIGHT_NAMES = (
    "mediapipe-face-detector",
    "mediapipe-face-landmarker",
    "mediapipe-hand-landmarker",
    "mediapipe-pose-landmarker",
)
BODY_OF_POSE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""MediaPipe's pose point of each COCO body point."""
FEET_OF_POSE = (31, 31, 29, 32, 32, 30)
"""The same for big toe, small toe, heel, left and right; small toes take the big toe's place, with score 0."""
FACE_OF_MESH = (
    *(127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356),  # jaw, from their right ear
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
"""Points of the face mesh that lie where the 68 face points of COCO-WholeBody (iBUG's) do."""
_HEAD_OF_POSE = slice(0, 11)
_SHOULDERS = (11, 12)
_WRISTS = (15, 16)
_LIPS = (62, 66, 60, 64)  # of the 68: inner upper, inner lower, corners
_HEAD_GROW = 3.0
_PERSON_GROW = 1.4
_NO_SCORE = 0.5
_WRONG_LABEL = 0.5  # in shoulder widths: what it costs to overrule MediaPipe's left or right


@dataclass(frozen=True)
class _Person:
    """Pose points (33, 2) px and scores (33,) of one person."""

    points: np.ndarray
    scores: np.ndarray

    @property
    def width(self) -> float:
        """Distance of the shoulders in pixels."""
        return float(np.linalg.norm(self.points[_SHOULDERS[0]] - self.points[_SHOULDERS[1]]))


class MediaPipePose:
    """Pose of photographed (and most drawn) people. Use `load`; `close` or a `with` block frees the networks."""

    def __init__(self, tasks: dict[str, Any], stack: ExitStack, *, body_every: int = 1) -> None:
        self._tasks, self._stack, self._talkative, self._body_every = tasks, stack, True, body_every

    @classmethod
    def load(cls, *, download: bool = True, body_every: int = 1, expression: bool = False) -> MediaPipePose:
        """With the registered weights, fetched where they are missing and `download` is set.

        body_every: body and hands, three quarters of the cost, are read in every n-th frame and drawn linearly between;
        the face is read in every frame. expression: read blendshapes, too.

        Raises PahaError where mediapipe is not installed or weights are not to be had.
        """
        files = {name: str(weight(name, download=download)) for name in WEIGHT_NAMES}
        with quiet():
            extractor = cls._load(files, body_every=body_every, expression=expression)
        atexit.register(extractor._forget)
        return extractor

    @classmethod
    def _load(cls, files: dict[str, str], *, body_every: int, expression: bool) -> MediaPipePose:
        vision, base = _mediapipe()
        image = vision.RunningMode.IMAGE

        def options(kind: Any, name: str, **more: Any) -> Any:
            return kind(base_options=base(model_asset_path=files[f"mediapipe-{name}"]), running_mode=image, **more)

        own = {"num_faces": 2, "output_face_blendshapes": expression}
        face = options(vision.FaceLandmarkerOptions, "face-landmarker", **own)
        hands = options(vision.HandLandmarkerOptions, "hand-landmarker", num_hands=2)
        pose = options(vision.PoseLandmarkerOptions, "pose-landmarker", num_poses=2)
        boxes = options(vision.FaceDetectorOptions, "face-detector")
        stack, tasks = ExitStack(), {}
        for name, kind, settings in (
            ("face", vision.FaceLandmarker, face),
            ("hands", vision.HandLandmarker, hands),
            ("pose", vision.PoseLandmarker, pose),
            ("boxes", vision.FaceDetector, boxes),
        ):
            try:
                tasks[name] = stack.enter_context(kind.create_from_options(settings))
            except (RuntimeError, ValueError, OSError) as error:
                stack.close()
                raise PahaError(f"MediaPipe cannot load its {name} weights: {error}; fetch them again") from error
        return cls(tasks, stack, body_every=body_every)

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
        person, score, last = None, 0.0, len(frames) - 1
        for t, frame in enumerate(frames):
            with quiet() if self._talkative else nullcontext():
                due = t % self._body_every == 0 or t == last
                if due:
                    person = self._read_body(frame, points[t], scores[t])
                shapes.append(self._read_face(frame, person, points[t], scores[t], known=0.0 if due else score))
                score = float(scores[t, FACE.start])
            self._talkative = False
        if self._body_every > 1:
            draw_between(points, scores, every=self._body_every)
        outside = (points < 0).any(-1) | (points[..., 0] >= frames.shape[2]) | (points[..., 1] >= frames.shape[1])
        scores[outside] = 0.0
        known = Keypoints(points, scores)
        return PoseTrack(known, face_boxes(points, scores), mouth_gap(points, scores), _joined_shapes(shapes))

    read = detect
    """The same, by another name."""

    def find_faces(self, frame: np.ndarray) -> np.ndarray:
        """Boxes of all faces in a frame (H, W, 3) uint8: (N, 5) float32, x0 y0 x1 y1 in pixels and score, best first.

        BlazeFace finds faces of about a tenth of the picture's width and more, and now and then a hand.
        """
        found = self._tasks["boxes"].detect(_image(frame)).detections
        boxes = [_box(detection) for detection in found]
        boxes.sort(key=lambda box: -box[4])
        return np.array(boxes, np.float32).reshape(-1, 5)

    def has_face(self, picture: np.ndarray) -> bool:
        """Whether the face landmarker finds a face in a picture (H, W, 3) uint8."""
        return self._faces(picture) is not None

    def close(self) -> None:
        """Free the networks."""
        with quiet():
            self._stack.close()

    def _forget(self) -> None:
        """At the interpreter's end MediaPipe's own clean-up fails, loudly; the system frees what is left."""
        for task in self._tasks.values():
            task._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_body(self, frame: np.ndarray, points: np.ndarray, scores: np.ndarray) -> _Person | None:
        """Fill body, feet and hands of points (133, 2) and scores (133,) of one frame; the person they are of."""
        person = self._largest_person(frame)
        if person is not None:
            points[BODY], scores[BODY] = person.points[list(BODY_OF_POSE)], person.scores[list(BODY_OF_POSE)]
            points[FEET], scores[FEET] = person.points[list(FEET_OF_POSE)], person.scores[list(FEET_OF_POSE)]
            scores[[18, 21]] = 0.0
        self._read_hands(frame, person, points, scores)
        return person

    def _largest_person(self, frame: np.ndarray) -> _Person | None:
        side = max(frame.shape[:2])
        found = self._tasks["pose"].detect(_image(frame)).pose_landmarks
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
            crop, corner = _square(frame, person.points[_HEAD_OF_POSE], grow=_HEAD_GROW)
        found = self._faces(crop)
        if found is None:
            return None
        mesh, shapes = found
        points[FACE] = mesh[list(FACE_OF_MESH)] + corner
        if known > 0:
            scores[FACE] = known
            return shapes
        box = np.concatenate([mesh.min(0), mesh.max(0)])
        overlaps = [(_overlap(box, found[:4]), found[4]) for found in self.find_faces(crop)]
        best = max(overlaps, default=(0.0, 0.0))
        scores[FACE] = best[1] if best[0] > 0 else _NO_SCORE
        return shapes

    def _faces(self, crop: np.ndarray) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Mesh (478, 2) px and blendshapes of the largest face in a picture."""
        result = self._tasks["face"].detect(_image(crop))
        meshes = [np.array([(p.x, p.y) for p in face], np.float32) for face in result.face_landmarks]
        if not meshes:
            return None
        best = max(range(len(meshes)), key=lambda k: float(np.ptp(meshes[k][:, 0])))
        shapes = np.array([s.score for s in result.face_blendshapes[best]]) if result.face_blendshapes else None
        return meshes[best] * max(crop.shape[:2]), shapes

    def _read_hands(self, frame: np.ndarray, person: _Person | None, points: np.ndarray, scores: np.ndarray) -> None:
        crop, corner = frame, np.zeros(2, np.float32)
        if person is not None:
            seen = person.scores > _NO_SCORE
            crop, corner = _square(frame, person.points[seen] if seen.any() else person.points, grow=_PERSON_GROW)
        side = max(crop.shape[:2])
        found = self._tasks["hands"].detect(_image(crop))
        hands = [np.array([(p.x, p.y) for p in hand], np.float32) * side + corner for hand in found.hand_landmarks]
        labels = [(label[0].category_name == "Left", float(label[0].score)) for label in found.handedness]
        for hand, is_left, score in assign_sides(hands, labels, person.points if person else None):
            side = LEFT_HAND if is_left else RIGHT_HAND
            points[side], scores[side] = hand, score


def draw_between(points: np.ndarray, scores: np.ndarray, *, every: int) -> None:
    """Fill body and hands of frames that were not read: linear in time between the frames that were, in place.

    points: (T, 133, 2), scores: (T, 133); read are frames 0, every, 2 every ... and the last. Where a point was found
    in one of the two neighbours alone, a frame takes the nearer one.
    """
    own = np.r_[BODY, FEET, LEFT_HAND, RIGHT_HAND]
    read = np.unique([*range(0, len(points), every), len(points) - 1])
    for a, b in pairwise(read):
        both = (scores[a, own] > 0) & (scores[b, own] > 0)
        for t in range(a + 1, b):
            share = (t - a) / (b - a)
            nearer = a if share < 0.5 else b
            mixed = (1 - share) * points[a, own] + share * points[b, own]
            points[t, own] = np.where(both[:, None], mixed, points[nearer, own])
            mean = (1 - share) * scores[a, own] + share * scores[b, own]
            scores[t, own] = np.where(both, mean, scores[nearer, own])


def _joined_shapes(shapes: list[np.ndarray | None]) -> np.ndarray | None:
    size = next((len(found) for found in shapes if found is not None), 0)
    if not size:
        return None
    return np.stack([np.full(size, np.nan) if found is None else found for found in shapes]).astype(np.float32)


def assign_sides(
    hands: list[np.ndarray], labels: list[tuple[bool, float]], pose: np.ndarray | None
) -> list[tuple[np.ndarray, bool, float]]:
    """Hands (21, 2) px as (hand, whether it is the person's left one, score), at most one a side.

    labels: MediaPipe's (left?, score) of each. pose: (33, 2) px; each hand goes to the nearer wrist, unless the label
    says otherwise and the distances differ little. Without a pose the labels decide.
    """
    kept = [(hand, left, score) for hand, (left, score) in zip(hands, labels, strict=True)]
    kept.sort(key=lambda item: -item[2])
    costs = np.array([[_side_cost(hand, left, side, pose) for side in (True, False)] for hand, left, _ in kept])
    if len(kept) >= 2:
        straight = bool(costs[0, 0] + costs[1, 1] <= costs[0, 1] + costs[1, 0])
        return [(kept[0][0], straight, kept[0][2]), (kept[1][0], not straight, kept[1][2])]
    return [(hand, bool(cost[0] <= cost[1]), score) for (hand, _, score), cost in zip(kept, costs, strict=True)]


def _side_cost(hand: np.ndarray, left: bool, side: bool, pose: np.ndarray | None) -> float:
    disagrees = _WRONG_LABEL if left != side else 0.0
    if pose is None:
        return disagrees
    shoulders = max(1.0, float(np.linalg.norm(pose[_SHOULDERS[0]] - pose[_SHOULDERS[1]])))
    return disagrees + float(np.linalg.norm(hand[0] - pose[_WRISTS[0 if side else 1]])) / shoulders


def face_boxes(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(T, 4) float32 x0 y0 x1 y1 px around the 68 face points of (T, 133, 2); zeros where no face was found."""
    face = points[:, FACE]
    boxes = np.concatenate([face.min(1), face.max(1)], axis=1)
    return np.where((scores[:, FACE] > 0).any(1, keepdims=True), boxes, 0).astype(np.float32)


def mouth_gap(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(T,) float32 in [0, 1]: gap of the inner lips over the mouth's width; 0 where no face was found."""
    upper, lower, right, left = (points[:, FACE.start + k] for k in _LIPS)
    width = np.linalg.norm(left - right, axis=-1)
    gap = np.linalg.norm(lower - upper, axis=-1) / np.maximum(width, 1e-3)
    return np.where((scores[:, FACE] > 0).any(1), np.clip(gap, 0, 1), 0).astype(np.float32)


def _square(frame: np.ndarray, points: np.ndarray, *, grow: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of a frame in the grown square around points (N, 2), and its corner (2,) px; the frame if too little."""
    height, width = frame.shape[:2]
    low, high = points.min(0), points.max(0)
    centre, half = (low + high) / 2, max(16.0, float((high - low).max()) * grow / 2)
    x0, y0 = (max(0, int(c - half)) for c in centre)
    x1, y1 = min(width, int(centre[0] + half) + 1), min(height, int(centre[1] + half) + 1)
    if x1 - x0 < 16 or y1 - y0 < 16:
        return frame, np.zeros(2, np.float32)
    return frame[y0:y1, x0:x1], np.array([x0, y0], np.float32)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    total = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared
    return shared / total if total > 0 else 0.0


def _box(detection: Any) -> tuple[float, ...]:
    box = detection.bounding_box
    corners = (box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height)
    return (*corners, detection.categories[0].score)


def _image(frame: np.ndarray) -> Any:
    """MediaPipe's image of a frame, padded to a square: it projects points wrongly where a picture is not square."""
    import mediapipe

    height, width = frame.shape[:2]
    side = max(height, width)
    square = np.pad(frame, ((0, side - height), (0, side - width), (0, 0)))
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(square))


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing reaches stderr: MediaPipe's C++ writes a page of notes there when it starts, past any logging setting.

    stderr is the whole process's. Of threads that are quiet at once, the first one in puts it away and the last one out
    brings it back; each for itself, one would keep what another had put away and bring that back.
    """
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()


class _Quiet:
    """stderr, put away while anybody is inside."""

    def __init__(self) -> None:
        self._lock, self._inside, self._kept = threading.Lock(), 0, -1

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                sys.stderr.flush()
                self._kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                os.dup2(self._kept, 2)
                os.close(self._kept)


_QUIET = _Quiet()


def _mediapipe() -> tuple[Any, Any]:
    """(the vision tasks, BaseOptions). Raises PahaError where mediapipe is not installed."""
    try:
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise PahaError(f"mediapipe is not there ({error}); pip install 'paha[extract]'") from error
    return vision, BaseOptions
