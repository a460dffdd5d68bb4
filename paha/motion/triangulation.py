"""Values at scattered places, spread over a grid: linear in the triangles of their Delaunay triangulation.

As scipy.interpolate's LinearNDInterpolator and NearestNDInterpolator do it together; the import of scipy.interpolate
alone would be a tenth of the start of `paha animate`.
"""

from __future__ import annotations

import cv2
import numpy as np

_SLACK = 1e-6
"""Of a share of a corner: nodes on an edge lie in the triangles of both sides."""


def interpolate(places: np.ndarray, values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """(h, w) float32: values (N,) at places (N, 2), linear inside their convex hull, beyond it the nearest place's.

    grid: (h, w, 2) the places asked for, regular and parallel to the axes, h and w at least 2.
    """
    step = grid[1, 1] - grid[0, 0]
    nodes = ((places - grid[0, 0]) / step).astype(np.float32)
    out = np.full(grid.shape[:2], np.nan, np.float32)
    corners = _triangles(nodes)
    _fill(out, nodes[corners].astype(np.float64), values[corners])
    y, x = np.nonzero(np.isnan(out))
    out[y, x] = values[_nearest(nodes.astype(np.float64), np.stack([x, y], 1))]
    return out


def _triangles(nodes: np.ndarray) -> np.ndarray:
    """(M, 3) numbers of the nodes (N, 2) that are a triangle's corners."""
    left, top = np.floor(nodes.min(0)).astype(int) - 1
    right, bottom = np.ceil(nodes.max(0)).astype(int) + 1
    division = cv2.Subdiv2D((int(left), int(top), int(right - left), int(bottom - top)))
    division.insert(nodes.tolist())
    number = {place: n for n, place in enumerate(map(tuple, nodes.tolist()))}
    corners = np.asarray(division.getTriangleList()).reshape(-1, 3, 2).tolist()
    return np.array([[number[tuple(corner)] for corner in triangle] for triangle in corners], int).reshape(-1, 3)


def _fill(out: np.ndarray, corners: np.ndarray, values: np.ndarray) -> None:
    """Write the nodes of the grid (h, w) that lie in triangles (M, 3, 2) whose corners have the values (M, 3)."""
    low = np.maximum(np.ceil(corners.min(1)).astype(int), 0)
    high = np.minimum(np.floor(corners.max(1)).astype(int) + 1, out.shape[::-1])
    wide, high = np.maximum(high - low, 0).T
    # Every node of every triangle's box, one row each: number of the triangle, x, y.
    triangle = np.repeat(np.arange(len(corners)), wide * high)
    within = np.arange(len(triangle)) - np.repeat(np.cumsum(wide * high) - wide * high, wide * high)
    x, y = low[triangle, 0] + within % wide[triangle], low[triangle, 1] + within // wide[triangle]
    shares = _shares(corners[triangle], np.stack([x, y], 1))
    inside = (shares >= -_SLACK).all(1)
    out[y[inside], x[inside]] = (shares * values[triangle]).sum(1)[inside]


def _shares(corners: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(P, 3) barycentric coordinates of places (P, 2) in triangles (P, 3, 2)."""
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    x, y = (places - corners[:, 0]).T
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):  # of a triangle without area: nothing is inside
        second, third = (x * v[:, 1] - y * v[:, 0]) / area, (y * u[:, 0] - x * u[:, 1]) / area
    return np.stack([1 - second - third, second, third], 1)


def _nearest(nodes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(P,) number of the node (N, 2) nearest to each place (P, 2), all beyond the nodes' hull."""
    squares = (nodes**2).sum(1) - 2 * places @ nodes.T
    return squares.argmin(1)
