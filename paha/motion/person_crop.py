"""The square about a person that PersonNet sees, and its fourth channel, which says whose face is meant."""

from __future__ import annotations

import numpy as np

from paha.motion.crops import Square
from paha.types import BODY, FEET, LEFT_HAND, RIGHT_HAND

PERSON_POINTS = np.r_[BODY, FEET, LEFT_HAND, RIGHT_HAND]
"""The 65 of the 133 keypoints that PersonNet reads."""
_ABOVE, _BELOW, _BESIDE = 1.3, 4.6, 3.2
"""Reach of a person about the middle of the face, in face heights: hair and raised hands, hips, arms held out."""


def person_square(face: np.ndarray, size: tuple[int, ...]) -> Square:
    """The square about what a picture (height, width) shows of the person with a face box (4,) px."""
    centre, height = (face[:2] + face[2:4]) / 2, float(face[3] - face[1])
    low = np.maximum(centre - np.array([_BESIDE, _ABOVE]) * height, 0)
    high = np.minimum(centre + np.array([_BESIDE, _BELOW]) * height, [size[1], size[0]])
    return Square.at((low + high) / 2, max(1.0, float((high - low).max())))


def person_input(image: np.ndarray, square: Square, face: np.ndarray, *, size: int) -> np.ndarray:
    """(size, size, 4) uint8: the square of a picture (H, W, 3), and 255 in the face box (4,) px, 0 elsewhere."""
    marked = np.zeros((size, size, 1), np.uint8)
    low = np.clip((face[:2] - square.corner) / square.side * size, 0, size).astype(int)
    high = np.clip((face[2:4] - square.corner) / square.side * size, 0, size).astype(int)
    marked[low[1] : high[1], low[0] : high[0]] = 255
    return np.concatenate([square.cut(image, side=size), marked], 2)
