"""The soft mask of a person at the picture's own size: coarse masks refined along the picture's edges."""

from __future__ import annotations

import cv2
import numpy as np

_WORK_SIDE = 640
_RADIUS = 0.02
"""Radius of the guided filter, as a share of the picture's longer side."""
_EPSILON = 1e-4


def refine_mask(coarse: np.ndarray, image: np.ndarray) -> np.ndarray:
    """(H, W) float32 in [0, 1]: a coarse mask (h, w) in [0, 1], stretched over the picture (H, W, 3) uint8, whose
    border follows the picture's edges (fast guided filter, He and Sun 2015)."""
    height, width = image.shape[:2]
    factor = min(1.0, _WORK_SIDE / max(height, width))
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    guide = cv2.resize(image, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    mask = cv2.resize(coarse.astype(np.float32), small, interpolation=cv2.INTER_LINEAR)
    gain, offset = guided_filter(guide, mask, radius=max(2, round(_RADIUS * max(small))))
    full = (width, height)
    gain, offset = (cv2.resize(part, full, interpolation=cv2.INTER_LINEAR) for part in (gain, offset))
    refined = np.einsum("hwc,hwc->hw", gain, image.astype(np.float32) / 255, optimize=True) + offset
    # The filter is a local linear fit: far from the border it is near 0 or 1, not at it.
    return np.clip((refined - 0.06) / 0.88, 0, 1).astype(np.float32)


def guided_filter(guide: np.ndarray, mask: np.ndarray, *, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients a (h, w, 3) and b (h, w) of the linear fit mask = a . guide + b in windows of a radius in pixels."""
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, side, borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_mask = mean(guide), mean(mask)
    outer = mean((guide[..., :, None] * guide[..., None, :]).reshape(*mask.shape, 9))
    outer = outer.reshape(*mask.shape, 3, 3) - mean_guide[..., :, None] * mean_guide[..., None, :]
    cross = mean(guide * mask[..., None]) - mean_guide * mean_mask[..., None]
    gain = np.linalg.solve(outer + _EPSILON * np.eye(3, dtype=np.float32), cross[..., None])[..., 0]
    offset = mean_mask - (gain * mean_guide).sum(-1)
    return mean(gain.astype(np.float32)), mean(offset.astype(np.float32))


def keep_nearest(mask: np.ndarray, box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """A mask (H, W) without the people of other face boxes (N, 4): every pixel goes to the person whose head and torso,
    as figures of standing people would have them, are nearer; with a soft border."""
    if not len(others):
        return mask
    height, width = mask.shape
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    own = _figure_distance(x, y, box)
    nearest = np.min([_figure_distance(x, y, other) for other in others], axis=0)
    # In face heights of each person; the logistic's width is a twentieth of one.
    return (mask / (1 + np.exp(np.clip((own - nearest) * 20, -30, 30)))).astype(np.float32)


def _figure_distance(x: np.ndarray, y: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Distance of places from a person's upright axis, in half widths of the figure there: a head, then shoulders."""
    face_height = max(1.0, float(box[3] - box[1]))
    centre = float(box[0] + box[2]) / 2
    below = np.clip((y - box[3]) / face_height, 0, 1)
    half = face_height * (0.55 + 0.75 * below)
    above = np.maximum(0, (box[1] - 0.5 * face_height) - y) / face_height
    return np.abs(x - centre) / half + above
