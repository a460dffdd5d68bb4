"""Keypoint tracks made ready for measuring: gaps filled, clocks changed.

Legend: T frames, K keypoints (133 of COCO-WholeBody, or a part).
"""

from __future__ import annotations

import numpy as np

from paha.types import LEFT_HAND, RIGHT_HAND

MIN_SCORE = 0.3
"""Keypoints below this confidence were not seen."""
ARMS = slice(5, 11)
"""Shoulders, elbows and wrists."""
HANDS = slice(LEFT_HAND.start, RIGHT_HAND.stop)
GESTURE = np.r_[ARMS, HANDS]
"""Points whose motion is gesture: arms and hands, 48."""
FORE = np.r_[7:11, HANDS]
"""Elbows, wrists and hands: where none of them is ever seen there is no gesture to measure."""


def fill_unseen(
    points: np.ndarray, scores: np.ndarray, *, min_score: float = MIN_SCORE
) -> tuple[np.ndarray, np.ndarray]:
    """Points (T, K, 2) with those of a score (T, K) below `min_score` drawn linearly in time between seen neighbours.

    Before the first and after the last sighting a point stays where it was seen. Returns float64 points, and ever_seen
    (K,) bool: what was never seen keeps its given coordinates, and is better left out.
    """
    seen = scores >= min_score
    filled, at = np.array(points, np.float64), np.arange(len(points))
    for k in np.flatnonzero(seen.any(0) & ~seen.all(0)):
        known = np.flatnonzero(seen[:, k])
        for axis in range(2):
            filled[:, k, axis] = np.interp(at, known, points[known, k, axis])
    return filled, np.asarray(seen.any(0))


def resample(values: np.ndarray, *, fps: float, to_fps: float) -> np.ndarray:
    """(T, ...) sampled at k / fps to times k / to_fps, linearly; never beyond the last sample."""
    if fps == to_fps:
        return np.asarray(values)
    duration_s = (len(values) - 1) / fps
    at = np.arange(int(duration_s * to_fps + 1e-9) + 1) * (fps / to_fps)
    low = np.minimum(at.astype(int), len(values) - 1)
    high = np.minimum(low + 1, len(values) - 1)
    share = (at - low).reshape(-1, *[1] * (values.ndim - 1))
    return values[low] * (1 - share) + values[high] * share
