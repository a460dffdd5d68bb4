"""Regular lattices of nodes, a few pixels wide, on which displacement fields live, and their way to pixels.

Positions are the picture's, x to the right and y down, pixel centres at +0.5. Letters: h w nodes, c pixels a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np


@dataclass(frozen=True)
class Lattice:
    """h x w nodes, each in the middle of a square of `step` pixels; left, top: corner of the first, whole pixels."""

    left: int
    top: int
    step: int
    shape: tuple[int, int]

    @classmethod
    def over(cls, columns: slice, rows: slice, step: int) -> Lattice:
        """The lattice whose squares cover some columns and rows, with one more square on every side."""
        h, w = (-(-(s.stop - s.start) // step) + 2 for s in (rows, columns))
        return cls(columns.start - step, rows.start - step, step, (h, w))

    @cached_property
    def nodes(self) -> np.ndarray:
        """(h, w, 2) float32: positions of the nodes."""
        h, w = self.shape
        x = self.left + self.step * (np.arange(w) + 0.5)
        y = self.top + self.step * (np.arange(h) + 0.5)
        return np.stack(np.meshgrid(x, y), -1).astype(np.float32)

    def read(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """A field (h, w, 2) at points (..., N, 2), linear between nodes and constant beyond the last ones."""
        at = (points - np.array([self.left, self.top], np.float32)) / np.float32(self.step) - np.float32(0.5)
        at = at.reshape(-1, *at.shape[-2:])
        found = cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        return found.reshape(points.shape)

    def to_pixels(self, field: np.ndarray, columns: slice, rows: slice) -> np.ndarray:
        """A field (h, w, 2) at every pixel (H, W, 2) of columns and rows, which must lie within the squares."""
        h, w = self.shape
        first_x, last_x = (columns.start - self.left) // self.step, -(-(columns.stop - self.left) // self.step)
        first_y, last_y = (rows.start - self.top) // self.step, -(-(rows.stop - self.top) // self.step)
        x0, x1, y0, y1 = max(first_x - 1, 0), min(last_x + 1, w), max(first_y - 1, 0), min(last_y + 1, h)
        large = cv2.resize(field[y0:y1, x0:x1], ((x1 - x0) * self.step, (y1 - y0) * self.step))
        top, left = rows.start - self.top - y0 * self.step, columns.start - self.left - x0 * self.step
        return large[top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]


def inverse(lattice: Lattice, u: np.ndarray, *, steps: int) -> np.ndarray:
    """(h, w, 2): for each node y the x with x + u(x) = y, by fixed-point steps x = y - u(x).

    After n steps the error is at most L^n |u|, L the steepest slope of u (displacement per length), below 1.
    """
    x = lattice.nodes - u
    for _ in range(steps):
        x = lattice.nodes - lattice.read(u, x)
    return x
