"""Landmarks of a photograph by the shipped estimator: find faces, read the chosen one twice, read the person."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from paha.errors import PahaError
from paha.extractors.faces import tiles
from paha.motion.crops import Square, paste, unique_boxes
from paha.motion.face_crop import FaceCrop
from paha.motion.face_model import IBUG_68
from paha.motion.keypoint_estimator import (
    FACE_SIZE,
    FINDER_SIZE,
    PERSON_SIZE,
    BodyReading,
    FaceReading,
    FoundFaces,
    KeypointEstimator,
)
from paha.motion.landmark_checks import MIN_FACE_PX
from paha.motion.landmarks import PersonReading
from paha.motion.person_crop import PERSON_POINTS, person_input, person_square
from paha.types import FACE, NUM_KEYPOINTS

SHIPPED_ESTIMATOR = Path(str(files("paha"))) / "assets" / "presenter" / "keypoint_estimator"
FOUND = 0.35
"""Heat of a cell that is a face."""
_IS_FACE = 0.5
_SEEN = 0.5
_PASSES = 3
_LARGE_FACE = 0.25
_OVERLAP = 0.35


class OwnLandmarks:
    """Reads photographs and drawings. Use `load`."""

    source = "own"

    def __init__(self, estimator: KeypointEstimator) -> None:
        self.estimator = estimator.eval().requires_grad_(False)
        self._finder: Callable[[Tensor], FoundFaces] = estimator.finder
        self._face: Callable[[Tensor], FaceReading] = estimator.face
        self._person: Callable[[Tensor], BodyReading] = estimator.person

    @classmethod
    def load(cls, folder: Path = SHIPPED_ESTIMATOR) -> OwnLandmarks:
        """With the weights of a folder. Raises PahaError where there are none."""
        if not (folder / "config.json").is_file():
            raise PahaError(f"no keypoint estimator in {folder}; make one with `paha train keypoint-estimator`")
        estimator = KeypointEstimator.from_pretrained(folder, dtype=torch.float32)
        return cls(estimator.to(memory_format=torch.channels_last))  # type: ignore[call-overload]

    def find_faces(self, image: np.ndarray) -> np.ndarray:
        """Boxes (N, 5) float32 of all faces, x0 y0 x1 y1 in pixels and score, largest first.

        The picture is searched whole, in halves unless there is a large face, and in quarters where none was found.
        Each box is that of the mesh read there; places where FaceNet sees no face are dropped.
        """
        found: list[np.ndarray] = []
        longer = max(image.shape[:2])
        for side in (longer, longer // 2, longer // 4):
            largest = max((float(box[3] - box[1]) for box in found), default=0.0)
            if largest > _LARGE_FACE * longer or (found and side < longer // 2) or side < MIN_FACE_PX:
                break
            for x, y, tile in [(0, 0, image)] if side == longer else tiles(image, side):
                for box in self._search(tile):
                    moved = box + np.array([x, y, x, y, 0], np.float32)
                    found += self._verified(image, moved, known=found)
        return unique_boxes(found)

    def read(self, image: np.ndarray, box: np.ndarray, *, alone: bool) -> PersonReading | None:
        """The person whose face is in the box (4,) px, or None where it cannot be read."""
        mesh, score = self._mesh(image, box)
        if score < _IS_FACE:
            return None
        points, scores = np.zeros((NUM_KEYPOINTS, 2), np.float32), np.zeros(NUM_KEYPOINTS, np.float32)
        points[FACE], scores[FACE] = mesh[IBUG_68, :2], score
        face = _box_of(mesh)
        square = person_square(face, image.shape[:2])
        seen = self._person(_tensor(person_input(image, square, face, size=PERSON_SIZE)))
        points[PERSON_POINTS] = seen.points[0].numpy() * square.side + square.corner
        chances = seen.score_logits[0].sigmoid().numpy()
        scores[PERSON_POINTS] = np.where(chances > _SEEN, chances, 0)
        height, width = image.shape[:2]
        scores[(points < 0).any(1) | (points[:, 0] >= width) | (points[:, 1] >= height)] = 0
        mask = cv2.resize(seen.mask_logits[0].sigmoid().numpy(), (2 * PERSON_SIZE,) * 2, interpolation=cv2.INTER_CUBIC)
        return PersonReading(mesh, points, scores, paste(np.clip(mask, 0, 1), square, (height, width)), score)

    def _search(self, image: np.ndarray) -> list[np.ndarray]:
        """FaceFinder's boxes (5,) in a picture, in its pixels, best first."""
        square = Square.around_all(image.shape[:2])
        found = self._finder(_tensor(square.cut(image, side=FINDER_SIZE)))
        boxes = decode_faces(found.heat_logits[0].sigmoid().numpy(), found.boxes[0].numpy())
        boxes[:, :4] = boxes[:, :4] * square.side + np.tile(square.corner, 2)
        return list(boxes)

    def _verified(self, image: np.ndarray, box: np.ndarray, *, known: list[np.ndarray]) -> list[np.ndarray]:
        if len(unique_boxes([*known, box])) == len(known):
            return []
        mesh, score = self._mesh(image, box[:4])
        return [np.array([*_box_of(mesh), min(score, box[4])], np.float32)] if score >= _IS_FACE else []

    def _mesh(self, image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, float]:
        """Mesh (478, 3) px and score of the face in a box (4,): each reading says where the next one looks."""
        crop, score, mesh = FaceCrop.of_box(box), 0.0, np.zeros((0, 3), np.float32)
        for _ in range(_PASSES):
            reading = self._face(_tensor(crop.cut(image, FACE_SIZE)))
            mesh = crop.to_picture(reading.mesh[0].numpy() * FACE_SIZE, FACE_SIZE)
            score = float(reading.flag_logits[0, 0].sigmoid())
            if score < _IS_FACE:
                break
            crop = FaceCrop.about(mesh)
        return mesh, score


def decode_faces(heat: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 5) in [0, 1] of the picture, scores in the fifth, best first, of heat (h, w) and boxes (4, h, w)."""
    peaks = (heat >= cv2.dilate(heat, np.ones((3, 3), np.uint8))) & (heat > FOUND)
    rows, columns = np.nonzero(peaks)
    order = np.argsort(-heat[rows, columns])
    kept: list[np.ndarray] = []
    for row, column in zip(rows[order], columns[order], strict=True):
        x, y, width, height = boxes[:, row, column]
        middle, half = np.array([column + 0.5 + x, row + 0.5 + y]), np.exp(np.clip([width, height], -4, 4)) / 2
        box = np.concatenate([middle - half, middle + half]) / heat.shape[0]
        if all(overlap(box, other) < _OVERLAP for other in kept):
            kept.append(np.append(box, heat[row, column]))
    return np.array(kept, np.float32).reshape(-1, 5)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    shared = float(np.prod(np.maximum(np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2]), 0)))
    return shared / max(1e-9, float(np.prod(a[2:4] - a[:2]) + np.prod(b[2:4] - b[:2])) - shared)


def _box_of(mesh: np.ndarray) -> np.ndarray:
    return np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])


def _tensor(image: np.ndarray) -> Tensor:
    """(S, S, C) uint8 to (1, C, S, S) in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)
