"""Stand-ins for MediaPipe's networks, whose models are no part of this repository.

They find people in pictures that are drawn for them, and answer in MediaPipe's own classes: a face is a green square,
shoulders are a blue bar three faces wide below it, hands are red squares below the ends of the bar. What is tested with
them is all of our own: crops and their places, whose face, whose hands, scores.
"""

from __future__ import annotations

from typing import Any

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks.python.components.containers.bounding_box import BoundingBox
from mediapipe.tasks.python.components.containers.category import Category
from mediapipe.tasks.python.components.containers.detections import Detection, DetectionResult
from mediapipe.tasks.python.components.containers.landmark import NormalizedLandmark
from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarkerResult
from mediapipe.tasks.python.vision.hand_landmarker import HandLandmarkerResult
from mediapipe.tasks.python.vision.pose_landmarker import PoseLandmarkerResult

from paha.extractors.mediapipe_tasks import Tasks

GREEN, BLUE, RED = (0, 255, 0), (0, 0, 255), (255, 0, 0)
MESH = np.random.default_rng(0).uniform(0.1, 0.9, (478, 2)).astype(np.float32)
"""Points of the mesh within the face's square; a few have their true place."""
MESH[[10, 152, 234, 454, 1, 13, 14, 78, 308]] = [
    *((0.5, 0), (0.5, 1), (0, 0.5), (1, 0.5)),  # forehead, chin, ears
    *((0.5, 0.5), (0.5, 0.7), (0.5, 0.76), (0.4, 0.73), (0.6, 0.73)),  # nose, inner lips, their corners
]
MESH[127], MESH[356] = (0, 0.4), (1, 0.4)  # the jaw's ends
MOUTH_GAP = 0.06 / 0.2
FACE_SCORE, HAND_SCORE = 0.85, 0.7


def draw_person(picture: np.ndarray, x: int, y: int, side: int, *, hands: bool = True) -> None:
    """Draw a person into a picture (H, W, 3): the face's upper left corner at (x, y), its side in pixels."""
    cv2.rectangle(picture, (x, y), (x + side - 1, y + side - 1), GREEN, -1)
    top = y + 3 * side // 2
    cv2.rectangle(picture, (x - side, top), (x + 2 * side - 1, top + side // 8), BLUE, -1)
    for left in (x - side, x + 2 * side - side // 2) if hands else ():
        cv2.rectangle(picture, (left, top + side), (left + side // 2 - 1, top + 3 * side // 2 - 1), RED, -1)


class Finder:
    """The parts of one colour in a picture. smallest: share of the picture's side that each of a part's needs."""

    _handle: object = "open"

    def __init__(self, colour: tuple[int, int, int], *, smallest: float = 0.0) -> None:
        self.colour, self.smallest, self.closed = np.array(colour), smallest, False

    def parts(self, image: Any) -> list[tuple[np.ndarray, float]]:
        """(box (4,) px, the picture's side) of each part, from left to right."""
        picture = np.asarray(image.numpy_view())
        assert picture.shape[0] == picture.shape[1], (
            "MediaPipe projects points wrongly off pictures that are not square"
        )
        mask = np.array((np.abs(picture.astype(int) - self.colour) < 100).all(-1), np.uint8)
        _, _, found, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        boxes = [np.array([x, y, x + w, y + h], np.float32) for x, y, w, h, _ in found[1:].tolist()]
        large = [box for box in boxes if (box[2:] - box[:2]).min() > self.smallest * len(picture)]
        return [(box, float(len(picture))) for box in sorted(large, key=lambda box: box[0])]

    def close(self) -> None:
        self.closed = True


def landmarks(points: np.ndarray, box: np.ndarray, side: float) -> list[NormalizedLandmark]:
    """Points (N, 2) of a box (4,) px as shares of a picture's side."""
    placed = (box[:2] + points * (box[2:] - box[:2])) / side
    return [NormalizedLandmark(x=float(x), y=float(y), z=0.0) for x, y in placed]


class FaceTask(Finder):
    """blendshapes: whether there are any; the first is the face's width over the picture's."""

    def __init__(self, *, blendshapes: bool = False) -> None:
        super().__init__(GREEN)
        self.blendshapes = blendshapes

    def detect(self, image: Any) -> FaceLandmarkerResult:
        found = self.parts(image)
        shapes = [[Category(score=float(box[2] - box[0]) / side)] * 52 for box, side in found]
        return FaceLandmarkerResult([landmarks(MESH, *part) for part in found], shapes if self.blendshapes else [], [])


class BoxTask(Finder):
    """Faces of a tenth of the picture's width and more, as BlazeFace's. fires_on: what else it takes for faces."""

    def __init__(self, fires_on: tuple[int, int, int] | None = None) -> None:
        super().__init__(GREEN, smallest=0.1)
        self.wrong = None if fires_on is None else Finder(fires_on, smallest=0.1)

    def detect(self, image: Any) -> DetectionResult:
        found = [(box, FACE_SCORE) for box, _ in self.parts(image)]
        found += [(box, 0.6) for box, _ in self.wrong.parts(image)] if self.wrong else []
        made = []
        for box, score in found:
            x, y, w, h = (int(v) for v in (*box[:2], *(box[2:] - box[:2])))
            made.append(Detection(BoundingBox(x, y, w, h), [Category(score=score)]))
        return DetectionResult(made)


class PoseTask(Finder):
    """A pose about each bar of shoulders, the bar its mask. Points below the shoulders but the wrists are not seen."""

    def __init__(self) -> None:
        super().__init__(BLUE)

    def detect(self, image: Any) -> PoseLandmarkerResult:
        poses, masks = [], []
        for box, side in self.parts(image):
            width = float(box[2] - box[0])
            points = np.tile((box[:2] + box[2:]) / 2, (33, 1))
            points[:11] = (box[0] + box[2]) / 2, box[1] - width / 3  # the middle of the face
            points[1:11, 0] += np.linspace(-width / 6, width / 6, 10)  # eyes, ears, mouth
            points[11], points[12] = (box[2], box[1]), (box[0], box[1])
            points[15], points[16] = points[11] + (-width / 12, width / 3), points[12] + (width / 12, width / 3)
            seen = [1.0] * 13 + [0.1, 0.1, 0.9, 0.9] + [0.1] * 16
            unit = np.array([0, 0, side, side], np.float32)
            made = landmarks(points / side, unit, side)
            poses.append([NormalizedLandmark(p.x, p.y, 0.0, s, 1.0) for p, s in zip(made, seen, strict=True)])
            mask = np.zeros((int(side), int(side)), np.float32)
            mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = 1
            masks.append(mediapipe.Image(image_format=mediapipe.ImageFormat.VEC32F1, data=mask))
        return PoseLandmarkerResult(poses, [], masks)


class HandTask(Finder):
    """Says "Left" of every hand, as it does now and then."""

    def __init__(self) -> None:
        super().__init__(RED)

    def detect(self, image: Any) -> HandLandmarkerResult:
        found = self.parts(image)
        hands = [landmarks(np.tile((0.5, 0.0), (21, 1)), *part) for part in found]
        return HandLandmarkerResult([[Category(score=HAND_SCORE, category_name="Left")] for _ in found], hands, [])


def stand_ins(*, blendshapes: bool = False, fires_on: tuple[int, int, int] | None = None) -> Tasks:
    """All four."""
    return Tasks(FaceTask(blendshapes=blendshapes), HandTask(), PoseTask(), BoxTask(fires_on))
