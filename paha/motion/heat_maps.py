"""From the estimator's heat maps to places: points at their peaks, boxes of faces."""

from __future__ import annotations

import cv2
import numpy as np

FOUND = 0.4
"""Heat of a cell that may be a face; FaceNet then judges it."""
_OVERLAP = 0.35
"""Boxes that share more of their union are the same face."""
_WINDOW = 3
"""Cells about the largest one of a heat map that a point is the mean of."""


def peaks(heat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (P, 2) in [0, 1] of heat maps (P, s s) that sum to 1, and the share of each (P,) that lies there.

    The place is the mean about the largest cell: a mean over the whole map lies between both hands where it doubts
    which one is meant.
    """
    side = round(heat.shape[1] ** 0.5)
    maps = np.pad(heat.reshape(-1, side, side), ((0, 0), (_WINDOW, _WINDOW), (_WINDOW, _WINDOW)))
    width = 2 * _WINDOW + 1
    places, shares = np.zeros((len(maps), 2), np.float32), np.zeros(len(maps), np.float32)
    centres = np.arange(width) - _WINDOW + 0.5
    for k, best in enumerate(heat.argmax(1)):
        row, column = divmod(int(best), side)
        window = maps[k, row : row + width, column : column + width]
        shares[k] = window.sum()
        offset = np.array([(window.sum(0) * centres).sum(), (window.sum(1) * centres).sum()]) / shares[k]
        places[k] = (np.array([column, row]) + offset) / side
    return places, shares


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
