"""What is measured of the sound, for every video frame."""

from __future__ import annotations

import numpy as np

from paha.types import FPS, SAMPLE_RATE_HZ

FLOOR_DB = -100.0
_CLIPPED = 0.999
_CLIPPED_RUN = 3


def levels_db(mono: np.ndarray, num_frames: int) -> np.ndarray:
    """(T,) root mean square of the 16 kHz samples (N,) under each video frame, in decibels of full scale."""
    per_frame = SAMPLE_RATE_HZ // FPS
    padded = np.zeros(num_frames * per_frame, np.float64)
    count = min(len(mono), len(padded))
    padded[:count] = mono[:count]
    power = np.square(padded).reshape(num_frames, per_frame).mean(1)
    return (10 * np.log10(power + 10 ** (FLOOR_DB / 10))).astype(np.float32)


def clipped_share(samples: np.ndarray, rate_hz: int, num_frames: int) -> np.ndarray:
    """(T,) share of the samples (N, channels) under each frame that stand at full scale, three in a row or more."""
    full = (np.abs(samples) >= _CLIPPED).any(1).astype(np.int8)
    if not full.any():
        return np.zeros(num_frames, np.float32)
    runs = np.convolve(full, np.ones(_CLIPPED_RUN, np.int8), mode="same") >= _CLIPPED_RUN
    edges = (np.arange(num_frames + 1) * rate_hz / FPS).astype(int)
    total = np.concatenate([[0], np.cumsum(runs)])
    edges = np.minimum(edges, len(runs))
    return ((total[edges[1:]] - total[edges[:-1]]) / np.maximum(1, np.diff(edges))).astype(np.float32)
