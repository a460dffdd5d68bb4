"""The temporal fit of keypoints: near to what was read, and near to the frames before and after (Appendix C)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from paha.types import Keypoints

_LEAST_TRUST = 1e-3


def smooth_keypoints(keypoints: Keypoints, weight: float) -> Keypoints:
    """Points that minimise sum_t c_t |x_t - p_t|^2 + weight * sum_t |x_t - x_(t-1)|^2; scores stay as they are.

    The paper fits statistical body models "by minimizing projection errors and temporal differences between consecutive
    frames"; without a body model, the points themselves are the parameters. weight 0 returns the points.
    """
    points, trust = keypoints.points.astype(np.float64), np.maximum(keypoints.scores, _LEAST_TRUST).astype(np.float64)
    if weight <= 0 or len(points) < 2:
        return keypoints
    neighbours = np.full(len(points), 2.0)
    neighbours[[0, -1]] = 1.0
    fitted = np.empty_like(points)
    for k in range(points.shape[1]):
        # Symmetric, tridiagonal: upper diagonal in the first row, main diagonal in the second.
        bands = np.stack([np.full(len(points), -weight), trust[:, k] + weight * neighbours])
        fitted[:, k] = solveh_banded(bands, trust[:, k, None] * points[:, k])
    unseen = keypoints.scores == 0
    fitted[unseen] = points[unseen]
    return Keypoints(fitted.astype(np.float32), keypoints.scores)
