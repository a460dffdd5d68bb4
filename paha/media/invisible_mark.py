"""An invisible mark: 32 bits in the brightness of every frame, read again after re-encoding, scaling and trimming.

Spread-spectrum watermarking (Cox et al. 1997) over cosine coefficients. The picture, whatever its size, is a grid of
CELLS x CELLS cells; each cell carries a faint pattern of a few cosines of middle frequencies, whose signs come from a
fixed sequence times the bit that the coefficient belongs to. Where the picture is busy the pattern is stronger. It is
the same in all frames, so that a reader may average them.

The mark tells files apart that nobody means to change; it is no proof against somebody who wants it gone. Cropping,
turning and mirroring lose it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from scipy.fft import dctn, idctn
from scipy.special import chdtrc, expit

BITS = 32
MAX_NUMBER = 2**BITS - 1
MAX_FALSE_RATE = 1e-9
"""A mark is reported where chance would show as much in one of so many pictures without one."""

_KEY = b"PAHA mark 1"
_CELLS, _CELL = 32, 8
_SIDE = _CELLS * _CELL
"""Pixels of the square that a frame is brought to for reading."""
_FREQUENCIES = tuple((v, u) for v in range(7) for u in range(7) if 3 <= u + v <= 6)
_FAINT, _SHARE, _STRONG = 0.7, 0.105, 2.3
"""Strength in grey levels: on plain surfaces; by how much busier ones have more, of their own contrast; at most."""
_MAX_DOUBT = 1e-6
"""A number is given where it is wrong less often than this."""
_PLAIN, _MAX_RATIO = 1.0, 2.0
_READ_FRAMES, _READ_STEP = 100, 5


@dataclass(frozen=True)
class Mark:
    """A mark that was found. number: its 32 bits, None where one is not sure. false_rate: how often a picture without
    a mark would show as much."""

    number: int | None
    false_rate: float


class Marker:
    """Puts one number into frames of one size."""

    def __init__(self, number: int, width: int, height: int) -> None:
        """number: 0 to MAX_NUMBER. Raises ValueError for another."""
        if not 0 <= number <= MAX_NUMBER:
            raise ValueError(f"a mark is a number from 0 to {MAX_NUMBER}, not {number}")
        signs, bits = _sequence()
        chips = signs * (1 - 2 * ((number >> bits) & 1))
        pattern = cv2.resize(_synthesis(chips.astype(np.float32)), (width, height), interpolation=cv2.INTER_CUBIC)
        self._pattern = pattern / pattern.std()
        self._blur = tuple(max(3, 2 * (side // _CELLS) + 1) for side in (width, height))

    def put(self, image: np.ndarray) -> np.ndarray:
        """A marked copy of an (H, W, 3) uint8 picture of that size."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        busy = cv2.blur(np.abs(grey - cv2.blur(grey, self._blur)), self._blur)
        added = np.rint(np.clip(_FAINT + _SHARE * busy, _FAINT, _STRONG) * self._pattern).astype(np.int16)
        return cv2.add(image, cv2.merge([added] * 3), dtype=cv2.CV_8U)


def read_mark(path: Path | str) -> Mark | None:
    """The mark of a video, None where there is none. Raises PahaError where the file is no video."""
    from paha.media.video_io import iter_video

    return find_mark(mean_brightness(iter_video(path)))


def mean_brightness(frames: Iterable[np.ndarray]) -> np.ndarray:
    """(SIDE, SIDE) float32 grey levels: the mean of every fifth frame, uint8 RGB (H, W, 3), _READ_FRAMES at most."""
    total, count = np.zeros((_SIDE, _SIDE), np.float32), 0
    for frame in islice(frames, 0, _READ_STEP * _READ_FRAMES, _READ_STEP):
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        total += cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        count += 1
    return total / max(count, 1)


def find_mark(brightness: np.ndarray) -> Mark | None:
    """The mark in what `mean_brightness` gives, None where there is none."""
    scores = bit_scores(brightness)
    # Under no mark the scores are independent and standard normal, whatever the picture: the signs are random.
    false_rate = float(chdtrc(BITS, (scores**2).sum()))
    if false_rate > MAX_FALSE_RATE:
        return None
    number = int(((scores < 0) << np.arange(BITS, dtype=np.uint64)).sum())
    # All bits have the same strength s, about: a score z has the sign of its bit with odds of exp(2 s |z|) to 1.
    strength = np.sqrt(max((scores**2).mean() - 1, 0))
    doubt = float(expit(-2 * strength * np.abs(scores)).sum())
    return Mark(number if doubt < _MAX_DOUBT else None, false_rate)


def bit_scores(brightness: np.ndarray) -> np.ndarray:
    """(BITS,): each bit's sum of signed coefficients over its standard deviation; negative where the bit is set.

    brightness: float (SIDE, SIDE), grey levels. Coefficients are counted relative to their surroundings, so that busy
    places do not drown the others.
    """
    rows, columns = np.array(_FREQUENCIES).T
    cells = brightness.reshape(_CELLS, _CELL, _CELLS, _CELL).transpose(0, 2, 1, 3)
    coefficients = np.asarray(dctn(cells, axes=(2, 3), norm="ortho"))[..., rows, columns]
    energy = cv2.blur(coefficients**2, (3, 3))
    ratios = np.clip(coefficients / np.sqrt(energy + _PLAIN**2), -_MAX_RATIO, _MAX_RATIO).ravel()
    signs, bits = _sequence()
    along = np.bincount(bits, signs * ratios, minlength=BITS)
    return along / np.sqrt(np.bincount(bits, ratios**2, minlength=BITS) + 1e-12)


@cache
def _sequence() -> tuple[np.ndarray, np.ndarray]:
    """(signs -1 or 1, index of the bit), one for each coefficient of the grid, for ever the same."""
    count = _CELLS**2 * len(_FREQUENCIES)
    drawn = np.frombuffer(hashlib.shake_256(_KEY).digest(count), np.uint8).astype(np.int64)
    return 1 - 2 * (drawn >> 7), drawn % BITS


def _synthesis(chips: np.ndarray) -> np.ndarray:
    """The pattern (SIDE, SIDE) whose cells have these coefficients."""
    rows, columns = np.array(_FREQUENCIES).T
    cells = np.zeros((_CELLS, _CELLS, _CELL, _CELL), np.float32)
    cells[..., rows, columns] = chips.reshape(_CELLS, _CELLS, -1)
    return np.asarray(idctn(cells, axes=(2, 3), norm="ortho")).transpose(0, 2, 1, 3).reshape(_SIDE, _SIDE)
