"""Writes signals of a person's parts as soft blobs on the latent grid, and reads them off again: linear both ways.

Each channel has its own few places (the two eyes, the wrists ...), each a soft blob; a cell holds the sum of the blobs
times their signals. Where a place is not seen its blob, and so its cells, are empty. Reading is the regularised least
squares that inverts the painting, which also averages a network's errors over the cells. No part counts for more
because it has more points, and none is painted twice.
Legend: Q places of a channel, G cells a side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RIDGE = 1e-3
"""Of the least squares: places that lie nearly on one another share what is painted there."""


@dataclass(frozen=True)
class Canvas:
    """The places of one channel. maps: (Q, G, G), zero for those that are not seen. seen: (Q,) bool."""

    maps: np.ndarray
    seen: np.ndarray

    def paint(self, signals: np.ndarray) -> np.ndarray:
        """(T, G, G) of signals (T, Q)."""
        return np.tensordot(signals, self.maps, 1).astype(np.float32)

    def read(self, painted: np.ndarray) -> np.ndarray:
        """(T, Q) of (T, G, G); 0 for places that are not seen."""
        basis = self.maps[self.seen].reshape(int(self.seen.sum()), -1)
        signals = np.zeros((len(painted), len(self.seen)), np.float32)
        inverse = np.linalg.solve(basis @ basis.T + RIDGE * np.eye(len(basis)), basis)
        signals[:, self.seen] = painted.reshape(len(painted), -1) @ inverse.T
        return signals


def blobs(places: np.ndarray, seen: np.ndarray, *, cells: int, sigma: float) -> Canvas:
    """Gaussians of deviation sigma about places (Q, 2), all in cells; places off the grid are unseen."""
    centres = np.arange(cells) + 0.5
    seen = seen & ((places > -0.5) & (places < cells + 0.5)).all(1)
    x = np.exp(-0.5 * ((centres[None] - places[:, :1]) / sigma) ** 2)
    y = np.exp(-0.5 * ((centres[None] - places[:, 1:]) / sigma) ** 2)
    return Canvas((y[:, :, None] * x[:, None, :] * seen[:, None, None]).astype(np.float32), seen)


def shared(canvas: Canvas) -> Canvas:
    """The same places with blobs that share a cell's weight where they overlap, so that a field is not added up."""
    total = canvas.maps.sum(0)
    return Canvas(canvas.maps / np.maximum(total, 1.0), canvas.seen)
