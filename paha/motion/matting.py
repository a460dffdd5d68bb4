"""Cutting something out of a picture by its colours: a hard mask by graph cut, a soft one by unmixing, and what lies
behind it.

Letters: H W a picture or a box of one.
"""

from __future__ import annotations

import cv2
import numpy as np

_CUT_STEPS = 4
_SIMILAR = 18.0
"""Grey values: two colours this near say little about how much of each a pixel shows."""


def graph_cut(picture: np.ndarray, *, surely: np.ndarray, likely: np.ndarray, never: np.ndarray) -> np.ndarray:
    """(H, W) bool: the thing whose places are given (GrabCut, Rother et al. 2004), in one piece with `surely`.

    picture: (H, W, 3) uint8. surely, likely, never: (H, W) bool, what is of it; what is so unless its colours say
    otherwise; what is not of it.
    """
    labels = np.full(picture.shape[:2], cv2.GC_PR_BGD, np.uint8)
    labels[likely] = cv2.GC_PR_FGD
    labels[never] = cv2.GC_BGD
    labels[surely] = cv2.GC_FGD
    if not (labels == cv2.GC_BGD).any() or not surely.any():
        return surely | (likely & ~never)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its clusters begin at random places
    cv2.grabCut(np.ascontiguousarray(picture), labels, None, *models, _CUT_STEPS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    found = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    found = np.maximum(cv2.morphologyEx(found, cv2.MORPH_OPEN, disk(1)), surely)
    _, parts = cv2.connectedComponents(found.astype(np.uint8))
    return np.isin(parts, np.unique(parts[surely]))


def unmixed(picture: np.ndarray, inside: np.ndarray, *, border: int) -> np.ndarray:
    """(H, W) float32 in [0, 1]: how much of each pixel is the thing whose hard mask (H, W) bool is `inside`.

    Within `border` pixels of the mask's edge a pixel is taken for a mixture of the colours further inside and further
    outside; where those are alike the edge is merely soft.
    """
    hard = inside.astype(np.uint8)
    core, reach = cv2.erode(hard, disk(border)), cv2.dilate(hard, disk(border))
    fore = filled(picture, known=core > 0)
    back = filled(picture, known=reach == 0)
    across = fore - back
    size = (across**2).sum(-1)
    share = ((picture - back) * across).sum(-1) / np.maximum(size, 1.0)
    soft = cv2.GaussianBlur(hard.astype(np.float32), (0, 0), max(0.8, border / 3))
    trust = size / (size + 3 * _SIMILAR**2)
    mixed = soft + trust * (np.clip((share - 0.06) / 0.88, 0, 1) - soft)
    mixed[core > 0] = 1
    mixed[reach == 0] = 0
    return np.clip(mixed, 0, 1).astype(np.float32)


def filled(picture: np.ndarray, *, known: np.ndarray) -> np.ndarray:
    """(H, W[, C]) float32: what is known continued smoothly over the rest (a pyramid: pull, then push).

    Nothing known gives zeros.
    """
    weight = known.astype(np.float32)
    value = picture.astype(np.float32) * (weight if picture.ndim == 2 else weight[..., None])
    return _filled(value, weight)


def _filled(value: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """value: (H, W[, C]) times its weight (H, W)."""
    height, width = weight.shape
    over = (lambda w: w) if value.ndim == 2 else (lambda w: w[..., None])
    here = value / over(np.maximum(weight, 1e-6))
    if min(height, width) <= 2 or weight.min() >= 1:
        whole = float(weight.sum())
        mean = value.sum((0, 1)) / max(whole, 1e-6)
        return np.where(over(weight) > 0, here, mean).astype(np.float32)
    down_value, down_weight = cv2.pyrDown(value), cv2.pyrDown(weight)
    gain = np.minimum(4 * down_weight, 1) / np.maximum(down_weight, 1e-6)
    coarse = _filled(down_value * over(gain), down_weight * gain)
    coarse = cv2.pyrUp(coarse, dstsize=(width, height))
    share = over(np.minimum(weight, 1))
    return (share * here + (1 - share) * coarse).astype(np.float32)


def disk(radius: int) -> np.ndarray:
    """Structuring element of a radius in pixels, at least 1."""
    side = 2 * max(1, radius) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
