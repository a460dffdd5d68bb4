"""What the keypoint estimator learns from, in memory: labelled pictures, small enough to keep, and patches of faces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from paha.media.image_io import read_image
from paha.motion.crops import Square
from paha.motion.person_crop import PERSON_POINTS
from paha.training.motion.still_labels import StillLabel

PICTURE_SIDE = 320
"""Longer side of kept pictures."""
PATCH_SIDE, PATCH_GROW = 288, 2.6
"""Pixels of a kept face patch, and its side in face sizes."""
_MIRRORED_BODY = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 20, 21, 22, 17, 18, 19])
MIRRORED_PERSON = np.r_[_MIRRORED_BODY, 44:65, 23:44]
"""Of the 65: which point each one becomes in a mirror."""


@dataclass(frozen=True)
class Example:
    """One picture, with coordinates in its own pixels, pixel centres at +0.5.

    image: (h, w, 3) uint8, longer side PICTURE_SIDE. mask: (h, w) uint8. faces: (N, 4) boxes, the labelled person's
    first. points: (65, 2) px. scores: (65,). patch: (PATCH_SIDE, PATCH_SIDE, 3) uint8 about the face. mesh: (478, 3)
    in pixels of the patch. weight: how often it is drawn.
    """

    image: np.ndarray
    mask: np.ndarray
    faces: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    patch: np.ndarray
    mesh: np.ndarray
    weight: float

    @property
    def has_hands(self) -> bool:
        """Whether a hand is seen."""
        return bool((self.scores[23:] > 0).any())


def example_of(label: StillLabel) -> Example:
    """A label with its picture, made small."""
    image = read_image(label.path)
    factor = min(1.0, PICTURE_SIDE / max(image.shape[:2]))
    height, width = (max(1, round(length * factor)) for length in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    scale = np.array([width / image.shape[1], height / image.shape[0]], np.float32)
    low, high = label.face[:, :2].min(0), label.face[:, :2].max(0)
    square = Square.at((low + high) / 2, PATCH_GROW * float((high - low).max()))
    mesh = label.face.copy()
    mesh[:, :2] -= square.corner
    own = np.concatenate([low, high])
    others = [box[:4] for box in label.faces if not _is_same(box, own)]
    example = Example(
        image=small,
        mask=cv2.resize(label.mask, (width, height), interpolation=cv2.INTER_LINEAR),
        faces=np.stack([own, *others]).astype(np.float32) * np.tile(scale, 2),
        points=label.points[PERSON_POINTS] * scale,
        scores=label.scores[PERSON_POINTS],
        patch=square.cut(image, side=PATCH_SIDE),
        mesh=mesh * np.float32(PATCH_SIDE / square.side),
        weight=1.0,
    )
    return replace(example, weight=_HANDS_WEIGHT) if example.has_hands else example


_HANDS_WEIGHT = 4.0
"""Pictures with hands are drawn so much more often: there are few."""


def with_truth(example: Example, truth: Path) -> Example:
    """A drawn presenter's example with the rig's exact points and mask, which lie in a file of `draw_stills`."""
    with np.load(truth) as kept:
        factor = max(example.image.shape[:2]) / max(kept["mask"].shape)
        mask = cv2.resize(kept["mask"], example.image.shape[1::-1], interpolation=cv2.INTER_AREA)
        scores = np.where(kept["scores"] > 0.1, 1.0, 0.0).astype(np.float32)
        points, scores = kept["points"][PERSON_POINTS] * np.float32(factor), scores[PERSON_POINTS]
    return replace(example, points=points, scores=scores, mask=mask, weight=1.0)


def _is_same(box: np.ndarray, own: np.ndarray) -> bool:
    distance = np.linalg.norm((box[:2] + box[2:4] - own[:2] - own[2:]) / 2)
    return bool(distance < 0.5 * (own[2] - own[0]))


def mirrored_mesh_order(meshes: np.ndarray) -> np.ndarray:
    """Which of the 478 points each one becomes in a mirror: (478,) indices, found on the symmetric mean of meshes
    (N, 478, 3)."""
    aligned = []
    for mesh in meshes:
        centred = mesh - mesh.mean(0)
        down = mesh[152] - mesh[10]
        across = mesh[454] - mesh[234]
        y = down / np.linalg.norm(down)
        x = across - (across @ y) * y
        x = x / np.linalg.norm(x)
        aligned.append(centred @ np.stack([x, y, np.cross(x, y)], 1) / np.linalg.norm(down))
    mean = np.mean(aligned, axis=0)
    mirror = mean * [-1, 1, 1]
    # The irises lie upon points of the eye's skin: they are matched among themselves.
    order = np.zeros(len(mean), np.int64)
    for part in (slice(0, 468), slice(468, 478)):
        distance = np.linalg.norm(mirror[part, None] - mean[None, part], axis=-1)
        order[part] = distance.argmin(1) + part.start
    return order
