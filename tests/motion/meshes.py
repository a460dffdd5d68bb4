"""A face mesh of 478 points on ellipses, and a photograph made of noise, for tests without pictures of people."""

from __future__ import annotations

import cv2
import numpy as np

from paha.motion.fields import (
    BROWS,
    BROWS_BELOW,
    LIDS,
    LOWER_INNER,
    LOWER_OUTER,
    OVAL,
    UPPER_INNER,
    UPPER_OUTER,
)
from paha.motion.landmarks import Landmarks
from paha.motion.photograph import IRIS, Photograph
from tests.motion.people import keypoints, scores


def face_mesh(*, gap: float = 0.0) -> np.ndarray:
    """(478, 3) in face heights about the middle between forehead and chin, lips `gap` apart."""
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 478), np.sqrt(rng.uniform(0, 0.9, 478))
    mesh = np.stack([0.38 * radius * np.sin(angle), -0.5 * radius * np.cos(angle), np.zeros(478)], 1)
    around = 2 * np.pi * np.arange(len(OVAL)) / len(OVAL)
    mesh[list(OVAL), :2] = np.stack([0.38 * np.sin(around), -0.5 * np.cos(around)], 1)
    for index, half, height in (
        (UPPER_INNER, 0.14, -gap / 2),
        (LOWER_INNER, 0.14, gap / 2),
        (UPPER_OUTER, 0.17, -0.05 - gap / 2),
        (LOWER_OUTER, 0.17, 0.05 + gap / 2),
    ):
        _arc(mesh, index, (0, 0.22), half, height)
    for side, x in (("left", 0.17), ("right", -0.17)):
        # Lids are listed from the outer corner to the inner one.
        for index, height in zip(LIDS[side], (-0.02, 0.02), strict=True):
            _arc(mesh, index, (x, -0.12), 0.07 if side == "right" else -0.07, height)
        _arc(mesh, BROWS[side], (x, -0.23), 0.1, -0.02)
        _arc(mesh, BROWS_BELOW[side], (x, -0.2), 0.1, -0.02)
        mesh[IRIS[side], :2] = (x, -0.12)
    mesh[[50, 280, 205, 425], :2] = [(-0.2, 0.05), (0.2, 0.05), (-0.2, 0.1), (0.2, 0.1)]
    mesh[:, 2] = 0.5 * ((mesh[:, 0] / 0.38) ** 2 + (mesh[:, 1] / 0.5) ** 2) * 0.4
    return mesh


def _arc(mesh: np.ndarray, index: tuple[int, ...], middle: tuple[float, float], half: float, height: float) -> None:
    u = np.linspace(-1, 1, len(index))
    mesh[list(index), :2] = np.stack([middle[0] + half * u, middle[1] + height * (1 - u**2)], 1)


def photograph(
    size: int = 256, unit: float = 80.0, *, gap: float = 0.0, body: bool = False, level: float = 1.0
) -> Photograph:
    """Soft coloured noise over which a person's landmarks and mask are laid. level: brightness."""
    noise = np.random.default_rng(1).normal(0, 1, (size, size, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 2)
    image = np.clip(level * (150 + 40 * noise / noise.std()), 0, 255).astype(np.uint8)
    middle = np.array([size / 2, 0.3 * size if body else 0.45 * size])
    face = np.zeros((478, 3), np.float32)
    face[:] = unit * face_mesh(gap=gap)
    face[:, :2] += middle
    mask = np.zeros((size, size), np.float32)
    x, y = middle.round().astype(int).tolist()
    cv2.ellipse(mask, (x, y), (round(0.45 * unit), round(0.62 * unit)), 0, 0, 360, 1.0, -1)
    cv2.ellipse(mask, (x, y + round(1.9 * unit)), (round(0.9 * unit), round(1.2 * unit)), 0, 0, 360, 1.0, -1)
    points = keypoints(unit, (float(middle[0]), float(middle[1]))).astype(np.float32)
    seen = scores(hands=False, hips=False, body=body)
    return Photograph(image, Landmarks(face, points, seen, lambda: cv2.GaussianBlur(mask, (0, 0), 2), "own", ()))
