"""The part of the picture that becomes the clip: around the person, still, without black bars."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from paha.dataset.prepare.config import PrepareConfig
from paha.dataset.prepare.filters import spread
from paha.dataset.prepare.scan import Scan
from paha.types import FACE, LEFT_HAND, RIGHT_HAND

PATS_LEFT_EDGE = {"seth": 0.395, "oliver": 0.38, "chemistry": 0.031, "jon": None}
"""Left edge of S2G's square crops, as a share of the width; None: at the right border."""
_BODY = slice(5, 13)
_SEEN = 0.5
_ABOVE, _BELOW, _ASIDE, _AROUND = 0.7, 1.3, 0.9, 0.25  # in face heights


class Crop(NamedTuple):
    """Pixels of the raw file's upright frames."""

    x: int
    y: int
    width: int
    height: int


def find_crop(scan: Scan, start: int, stop: int, config: PrepareConfig, *, speaker: str = "") -> tuple[Crop, float]:
    """The crop of frames start .. stop - 1 at the clip's aspect, and how much it must be enlarged (1 and less: not).

    Wide enough for the head, and for shoulders, arms and hands where they are seen. speaker: of PATS, cropped as S2G
    does. The crop stays inside the picture without its black bars; what does not fit is cut off.
    """
    if config.layout == "pats" and speaker in PATS_LEFT_EDGE:
        crop = _pats_crop(scan, PATS_LEFT_EDGE[speaker])
    else:
        crop = _person_crop(scan, start, stop, config.width / config.height)
    return crop, config.height / crop.height


def _person_crop(scan: Scan, start: int, stop: int, aspect: float) -> Crop:
    inside = np.unique(spread(scan, np.arange(len(scan.at)))[start:stop])
    low, high = _extent(scan, inside)
    left, top, right, bottom = _picture(scan, inside)
    height = max(high[1] - low[1], (high[0] - low[0]) / aspect)
    height = min(height, bottom - top, (right - left) / aspect)
    width = height * aspect
    x = np.clip((low[0] + high[0]) / 2 - width / 2, left, right - width)
    y = np.clip(low[1], top, bottom - height)
    return _whole(x, y, width, height)


def _extent(scan: Scan, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (2,), (2,) of what the clip should show, in pixels; rare reaches of a hand are left out."""
    boxes = scan.face_box[inside]
    boxes = boxes[(scan.scores[inside, FACE] > 0).any(1)]
    boxes = boxes if len(boxes) else np.array([[0, 0, scan.width, scan.height]], np.float32)
    unit = float(np.median(boxes[:, 3] - boxes[:, 1]))
    low, high = np.percentile(boxes[:, :2], 2, axis=0), np.percentile(boxes[:, 2:], 98, axis=0)
    middle = (low[0] + high[0]) / 2
    low = np.array([min(low[0], middle - unit) - _ASIDE * unit / 2, low[1] - _ABOVE * unit])
    high = np.array([max(high[0], middle + unit) + _ASIDE * unit / 2, high[1] + _BELOW * unit])
    parts = np.r_[_BODY, LEFT_HAND, RIGHT_HAND]
    points = scan.points[inside][:, parts][scan.scores[inside][:, parts] > _SEEN]
    if len(points):
        low = np.minimum(low, np.percentile(points, 1, axis=0) - _AROUND * unit)
        high = np.maximum(high, np.percentile(points, 99, axis=0) + _AROUND * unit)
    return low, high


def _picture(scan: Scan, inside: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the picture without its black bars, pixels."""
    bars = np.median(scan.bars[inside], axis=0)
    bars = np.where(bars < 0.02, 0.0, bars + 0.005)  # less is a dark wall, or the codec's
    return (
        bars[0] * scan.width,
        bars[1] * scan.height,
        (1 - bars[2]) * scan.width,
        (1 - bars[3]) * scan.height,
    )


def _pats_crop(scan: Scan, left_edge: float | None) -> Crop:
    side = min(scan.width, scan.height)
    x = scan.width - side if left_edge is None else min(int(scan.width * left_edge), scan.width - side)
    return Crop(x, 0, side, side)


def _whole(x: float, y: float, width: float, height: float) -> Crop:
    return Crop(max(0, round(x)), max(0, round(y)), max(2, int(width + 1e-3)), max(2, int(height + 1e-3)))
