"""Layers laid over one another through maps, on bytes.

A layer is a picture I with it, the picture U without it and its mask a, held as I, B = (1 - a) U and a. Moved over
what lies there now, V, it gives I' - B' + (1 - a') V, a dash for what is read through the map. Without motion, and with
V = U, that is I to the bit whatever the mask is worth; inside the mask it is the picture alone.
Letters: H W the picture, h w a box of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from paha.motion.resampling import SCALE, Resampler


@dataclass(frozen=True)
class Box:
    """Columns and rows of a picture, pixels."""

    columns: slice
    rows: slice

    @classmethod
    def about(cls, low: np.ndarray, high: np.ndarray) -> Box:
        """The smallest that holds positions low (2,) to high (2,), x y."""
        (left, top), (right, bottom) = np.floor(low).astype(int).tolist(), np.ceil(high).astype(int).tolist()
        return cls(slice(left, max(left, right)), slice(top, max(top, bottom)))

    def within(self, other: Box) -> Box:
        """What both share; empty where that is nothing."""
        left, top = max(self.columns.start, other.columns.start), max(self.rows.start, other.rows.start)
        right, bottom = min(self.columns.stop, other.columns.stop), min(self.rows.stop, other.rows.stop)
        return Box(slice(left, max(left, right)), slice(top, max(top, bottom)))

    def grown(self, by: int) -> Box:
        """With `by` more pixels on every side."""
        columns, rows = self.columns, self.rows
        return Box(slice(columns.start - by, columns.stop + by), slice(rows.start - by, rows.stop + by))

    @property
    def corner(self) -> np.ndarray:
        """(2,) x y of the first pixel."""
        return np.array([self.columns.start, self.rows.start], np.float32)

    @property
    def empty(self) -> bool:
        return self.columns.stop <= self.columns.start or self.rows.stop <= self.rows.start

    def of(self, picture: np.ndarray, origin: Box | None = None) -> np.ndarray:
        """The view of a picture (H, W, ...), or of one that itself is a box of it."""
        x, y = (origin.columns.start, origin.rows.start) if origin else (0, 0)
        return picture[
            self.rows.start - y : self.rows.stop - y,
            self.columns.start - x : self.columns.stop - x,
        ]


@dataclass(frozen=True)
class Sheet:
    """A layer's textures over `box`. front: I and, as a fourth channel, a: reading a mask by itself takes two thirds of
    the time that three channels do. behind: B."""

    box: Box
    front: Any
    behind: Any

    @classmethod
    def of(cls, resampler: Resampler, box: Box, picture: np.ndarray, alpha: np.ndarray, under: np.ndarray) -> Sheet:
        """picture, under: (H, W, 3) uint8 with and without the layer. alpha: (H, W) float32 in [0, 1]."""
        mask = np.rint(box.of(alpha) * 255).astype(np.uint8)
        behind = shown(box.of(under), mask)
        front = np.dstack([box.of(picture), mask])
        return cls(box, resampler.texture(front), resampler.texture(behind))

    def over(self, resampler: Resampler, under: np.ndarray, at: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8: the layer, read at places (h, w, 2), over `under` (h, w, 3) uint8."""
        front, behind = resampler.sample((self.front, self.behind), at)
        picture, alpha = cv2.cvtColor(front, cv2.COLOR_BGRA2BGR), cv2.extractChannel(front, 3)
        change = np.subtract(shown(under, alpha), behind, dtype=np.int16)
        return cv2.add(picture, change, dtype=cv2.CV_8U)


def shown(under: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8: what of a picture a layer with this mask (h, w) uint8 lets through."""
    return cv2.multiply(under, cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2RGB), scale=1 / 255)


def texture_places(box: Box) -> np.ndarray:
    """(h, w, 2) float32: the place in its texture of each pixel of a box."""
    x, y = np.arange(box.columns.stop - box.columns.start), np.arange(box.rows.stop - box.rows.start)
    return SCALE * np.stack(np.meshgrid(x, y), -1).astype(np.float32)
