"""Landmarks of a photograph by the shipped estimator: find faces, read the chosen one twice, read the person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from paha.errors import PahaError
from paha.motion.crops import Square, paste, searched_tiles, unique_boxes
from paha.motion.face_crop import FaceCrop
from paha.motion.face_model import IBUG_68
from paha.motion.heat_maps import decode_faces, peaks
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
from paha.types import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from paha.univdm.pretrained import load_part

SHIPPED_ESTIMATOR = Path(str(files("paha"))) / "assets" / "presenter" / "keypoint_estimator"
_IS_FACE = 0.93
"""Faces of held-out stills score 0.96 and more, hands 0.9 and less."""
_RELATIVE = 0.85
"""Faces whose score is a smaller share of the best one's do not count: they are hands, mostly."""
_STILL_A_FACE = 0.5
"""For what was found to be one: a box that differs a little gives another score."""
_SEEN = 0.5
_COVERED = 0.15
"""A part is told to be covered below this chance that it is not: mistakes would only worry people."""
_PASSES = 3
_LOOKS = (1.0, 0.88, 1.12)
"""Sides of the crops, over the usual one, whose readings of a photograph's face are averaged: their errors differ."""
_SURE = 0.35
"""Share of a heat map that must lie there for the point to count as seen."""
_SURE_HAND = 0.6
"""The same for the mean of a hand's points: a hand read wrongly looks worse than one left still."""
_MASK_GAIN = 4.0
"""The network's border is as wide as a cell of its grid; the guided filter finds a narrower one."""


class OwnLandmarks:
    """Reads photographs and drawings. Use `load`."""

    source = "own"

    def __init__(self, estimator: KeypointEstimator) -> None:
        self.estimator = estimator.eval().requires_grad_(False)
        self._finder: Callable[[Tensor], FoundFaces] = estimator.finder
        self._face: Callable[[Tensor], FaceReading] = estimator.face
        self._person: Callable[[Tensor], BodyReading] = estimator.person
        self._mirror = list(estimator.config["mirror"])

    @classmethod
    def load(cls, folder: Path = SHIPPED_ESTIMATOR) -> OwnLandmarks:
        """With the weights of a folder. Raises PahaError where there are none."""
        if not (folder / "config.json").is_file():
            raise PahaError(f"no keypoint estimator in {folder}; make one with `paha train keypoint-estimator`")
        estimator = load_part(KeypointEstimator, folder)
        return cls(estimator.to(memory_format=torch.channels_last))  # type: ignore[call-overload]

    def find_faces(self, image: np.ndarray) -> np.ndarray:
        """Boxes (N, 5) float32 of all faces, x0 y0 x1 y1 in pixels and score, largest first.

        The picture is searched whole, in halves unless there is a large face, and in quarters where none was found.
        Each box is that of the mesh read there; places where FaceNet sees no face are dropped.
        """
        found: list[np.ndarray] = []
        for x, y, tile in searched_tiles(image, found, smallest=MIN_FACE_PX):
            for box in self._search(tile):
                found += self._verified(image, box + np.array([x, y, x, y, 0], np.float32), known=found)
        best = max((float(box[4]) for box in found), default=0.0)
        return unique_boxes([box for box in found if box[4] >= _RELATIVE * best])

    def read_face(self, image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
        """The mesh (478, 3), pixels, of the face in the box (4,), or None."""
        mesh, score = self._mesh(image, box)
        return None if score < _STILL_A_FACE else mesh

    def read(self, image: np.ndarray, box: np.ndarray, *, alone: bool) -> PersonReading | None:
        """The person whose face is in the box (4,) px, or None where it cannot be read."""
        mesh, score = self._mesh(image, box, looks=_LOOKS)
        if score < _STILL_A_FACE:
            return None
        points, scores, mask = self.read_body(image, _box_of(mesh))
        points[FACE], scores[FACE] = mesh[IBUG_68, :2], score
        height, width = image.shape[:2]
        scores[(points < 0).any(1) | (points[:, 0] >= width) | (points[:, 1] >= height)] = 0
        # Its fingers are wrong by half a face (docs/results.md): better no hand than one that is torn.
        scores[LEFT_HAND] = scores[RIGHT_HAND] = 0
        return PersonReading(mesh, points, scores, mask, score, self.covered_parts(image, mesh))

    def read_body(self, image: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (133, 2) px and scores (133,) of the person with a face box (4,) px, without the face's; and the
        coarse mask (H, W) in [0, 1]."""
        points, scores = np.zeros((NUM_KEYPOINTS, 2), np.float32), np.zeros(NUM_KEYPOINTS, np.float32)
        square = person_square(face, image.shape[:2])
        seen = self._person(_tensor(person_input(image, square, face, size=PERSON_SIZE)))
        places, sure = peaks(seen.log_heat[0].exp().numpy())
        points[PERSON_POINTS] = places * square.side + square.corner
        chances = seen.score_logits[0].sigmoid().numpy() * (sure > _SURE)
        for hand in (slice(23, 44), slice(44, 65)):
            chances[hand] *= sure[hand].mean() > _SURE_HAND
        scores[PERSON_POINTS] = np.where(chances > _SEEN, chances, 0)
        logits = cv2.resize(seen.mask_logits[0].numpy(), (2 * PERSON_SIZE,) * 2, interpolation=cv2.INTER_CUBIC)
        mask = 1 / (1 + np.exp(-_MASK_GAIN * logits))
        return points, scores, paste(mask, square, image.shape[:2])

    def covered_parts(self, image: np.ndarray, mesh: np.ndarray) -> tuple[str, ...]:
        """Which of "eyes" and "mouth" something lies before, at a mesh (478, 3) px."""
        flags = self._face(_tensor(FaceCrop.about(mesh).cut(image, FACE_SIZE))).flag_logits[0].sigmoid().numpy()
        free = {"eyes": float(flags[1:3].min()), "mouth": float(flags[3])}
        return tuple(name for name, chance in free.items() if chance < _COVERED)

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

    def _mesh(self, image: np.ndarray, box: np.ndarray, *, looks: Sequence[float] = ()) -> tuple[np.ndarray, float]:
        """Mesh (478, 3) px and score of the face in a box (4,): each reading says where the next one looks. looks:
        sides of the crops of a last reading, whose mean mesh is given."""
        crop, score, mesh = FaceCrop.of_box(box), 0.0, np.zeros((0, 3), np.float32)
        for _ in range(_PASSES):
            reading = self._face(_tensor(crop.cut(image, FACE_SIZE)))
            mesh = crop.to_picture(reading.mesh[0].numpy() * FACE_SIZE, FACE_SIZE)
            score = float(reading.flag_logits[0, 0].sigmoid())
            if score < _STILL_A_FACE:
                return mesh, score
            crop = FaceCrop.about(mesh)
        return self._mean_mesh(image, crop, looks) if looks else mesh, score

    def _mean_mesh(self, image: np.ndarray, crop: FaceCrop, looks: Sequence[float]) -> np.ndarray:
        """(478, 3) px: the mean of readings of crops that are `looks` times as large, and of their mirror images."""
        crops = [replace(crop, side=crop.side * look) for look in looks]
        shown = torch.cat([_tensor(each.cut(image, FACE_SIZE)) for each in crops])
        meshes = list(self._face(shown).mesh.numpy() * FACE_SIZE)
        if self._mirror:
            for mesh in self._face(shown.flip(3)).mesh.numpy()[:, self._mirror] * FACE_SIZE:
                meshes.append(mesh * [-1, 1, 1] + [FACE_SIZE, 0, 0])
        placed = zip(crops * 2, meshes, strict=False)
        return np.mean([each.to_picture(mesh, FACE_SIZE) for each, mesh in placed], axis=0)


def _box_of(mesh: np.ndarray) -> np.ndarray:
    return np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])


def _tensor(image: np.ndarray) -> Tensor:
    """(S, S, C) uint8 to (1, C, S, S) in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)
