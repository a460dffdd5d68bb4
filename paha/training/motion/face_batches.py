"""Batches for FaceNet: face crops as wrong as the ones it will get, changed as photographs are, and their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from paha.motion.face_crop import FaceCrop
from paha.motion.keypoint_estimator import FACE_SIZE
from paha.training.motion.estimator_examples import Example
from paha.training.motion.mouth_opening import open_mouth
from paha.training.motion.photo_changes import change_photo, cover_part

_PARTS = ((33, 133, 159, 145), (263, 362, 386, 374), (13, 14, 61, 291))
"""Mesh points of right eye, left eye, mouth, as FACE_FLAGS has them."""
_WHOLE_HAND = 8
"""Points that must be seen of a hand for its place to be known."""
_NOT_A_FACE, _COVERED, _OPENED, _LIGHT = 0.14, 0.3, 0.3, 0.4


@dataclass(frozen=True)
class FaceBatch:
    """pixels: (N, 3, 128, 128) in [-1, 1]. mesh: (N, 478, 3) in crop sides. flags: (N, 4), FACE_FLAGS. weight:
    (N, 478), 0 for crops without a face, less for covered points."""

    pixels: Tensor
    mesh: Tensor
    flags: Tensor
    weight: Tensor


def draw_faces(examples: Sequence[Example], count: int, *, mirror: np.ndarray, rng: np.random.Generator) -> FaceBatch:
    """A random batch. mirror: (478,) indices of `mirrored_mesh_order`."""
    chosen = rng.integers(len(examples), size=count)
    parts = [_face(examples[int(k)], examples[int(rng.integers(len(examples)))], mirror, rng) for k in chosen]
    pixels, mesh, flags, weight = (np.stack(part) for part in zip(*parts, strict=True))
    return FaceBatch(to_network(pixels), *(torch.from_numpy(part.astype(np.float32)) for part in (mesh, flags, weight)))


def to_network(images: np.ndarray) -> Tensor:
    """(N, S, S, C) uint8 to (N, C, S, S) in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def _face(example: Example, other: Example, mirror: np.ndarray, rng: np.random.Generator):
    if rng.random() < _NOT_A_FACE:
        image = change_photo(_not_a_face(example, rng), rng)
        return image, np.zeros((478, 3)), np.array([0, 0, 0, 0]), np.zeros(478)
    crop = _jittered(example.mesh, rng)
    image, mesh = crop.cut(example.patch, FACE_SIZE), crop.from_picture(example.mesh, FACE_SIZE)
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        mesh = mesh[mirror] * np.array([-1, 1, 1], np.float32) + np.array([FACE_SIZE, 0, 0], np.float32)
    if rng.random() < _OPENED:
        image, mesh = open_mouth(image, mesh, opening=float(rng.uniform(0, 0.2)), rng=rng)
    flags, weight = np.ones(4), np.ones(478)
    if rng.random() < _COVERED:
        image, flags, weight = _covered(image, mesh, other, rng)
    return change_photo(image, rng), mesh / FACE_SIZE, flags, weight


def _jittered(mesh: np.ndarray, rng: np.random.Generator) -> FaceCrop:
    """The crop of a face, as wrong as a found box is, or as one that follows from a first reading."""
    light = rng.random() < _LIGHT
    true = FaceCrop.about(mesh, upright=light or rng.random() < 0.3)
    shift, scale, degrees = (0.03, 0.05, 5) if light else (0.1, 0.16, 18)
    return FaceCrop(
        true.centre + rng.normal(0, shift, 2).astype(np.float32) * true.side,
        true.side * float(np.exp(rng.normal(0, scale))),
        true.angle + float(np.radians(rng.normal(0, degrees))),
    )


def _covered(image: np.ndarray, mesh: np.ndarray, other: Example, rng: np.random.Generator):
    place = mesh[int(rng.integers(478)), :2] if rng.random() < 0.4 else mesh[_PARTS[int(rng.integers(3))][0], :2]
    both = cover_part(image, rng, other=other.image, centre=place)
    image, cover = np.ascontiguousarray(both[..., :3]), both[..., 3]
    index = np.clip(mesh[:, :2].astype(int), 0, FACE_SIZE - 1)
    hidden = cover[index[:, 1], index[:, 0]] > 127
    parts = [1.0 - (hidden[list(part)].mean() >= 0.5) for part in _PARTS]
    return image, np.array([1.0, *parts]), np.where(hidden, 0.3, 1.0)


def _not_a_face(example: Example, rng: np.random.Generator) -> np.ndarray:
    """A hand, a face beside the crop or of a wrong size, or a part of the picture without faces."""
    hands = [example.points[side][example.scores[side] > 0] for side in (slice(23, 44), slice(44, 65))]
    hands = [hand for hand in hands if len(hand) >= _WHOLE_HAND]
    kind = rng.random()
    if hands and kind < 0.6:
        hand = hands[int(rng.integers(len(hands)))]
        size = float(np.ptp(hand, axis=0).max()) * rng.uniform(1.0, 2.2) + 8
        centre = hand.mean(0) + rng.normal(0, 0.15, 2) * size
        # Where the hand lies before the face it is no example of a place without one.
        apart = np.abs(centre - (example.faces[0, :2] + example.faces[0, 2:]) / 2)
        if (apart > 0.8 * (example.faces[0, 2:] - example.faces[0, :2])).any():
            return FaceCrop(centre, size, float(rng.normal(0, 0.3))).cut(example.image, FACE_SIZE)
    if kind < 0.8:
        true = FaceCrop.about(example.mesh)
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.8) * true.side
        move = distance * np.array([np.cos(angle), np.sin(angle)])
        return FaceCrop(true.centre + move, true.side * rng.uniform(0.7, 1.2), true.angle).cut(example.patch, FACE_SIZE)
    return _without_face(example, rng)


def _without_face(example: Example, rng: np.random.Generator) -> np.ndarray:
    """A square of the picture away from all faces, or else nothing but blurred colour."""
    height, width = example.image.shape[:2]
    for _ in range(8):
        side = int(rng.uniform(0.1, 0.5) * min(height, width)) + 8
        x, y = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
        box = np.array([x, y, x + side, y + side])
        apart = (example.faces[:, 2:] < box[:2]) | (example.faces[:, :2] > box[2:])
        if apart.any(1).all():
            return cv2.resize(example.image[y : y + side, x : x + side], (FACE_SIZE, FACE_SIZE))
    small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(small, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_CUBIC)
