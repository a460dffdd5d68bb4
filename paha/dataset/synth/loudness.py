"""Loudness and coarse spectral shape of speech on the rig's fine time grid of 200 steps a second."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from paha.types import FPS, SAMPLE_RATE_HZ

STEPS_PER_FRAME = 8
STEPS_HZ = FPS * STEPS_PER_FRAME
_HOP = SAMPLE_RATE_HZ // STEPS_HZ
_RANGE_DB = 32.0
_FLOOR_DB = -100.0


def num_frames(samples: np.ndarray) -> int:
    """Video frames that mono 16 kHz samples last: the rounded duration times 25, at least 1."""
    return max(1, round(len(samples) * FPS / SAMPLE_RATE_HZ))


def smooth(values: np.ndarray, sigma_s: float) -> np.ndarray:
    """Gaussian smoothing along time of (N,) values on the fine grid; the ends are continued."""
    return gaussian_filter1d(values, sigma_s * STEPS_HZ, mode="nearest", truncate=3.0)


def at_frames(fine: np.ndarray) -> np.ndarray:
    """(8 T, ...) on the fine grid -> (T, ...) float32 at the middles of the frames."""
    half = STEPS_PER_FRAME // 2
    return (0.5 * (fine[half - 1 :: STEPS_PER_FRAME] + fine[half::STEPS_PER_FRAME])).astype(np.float32)


def level_db(samples: np.ndarray) -> np.ndarray:
    """(N,) samples -> (8 T,) RMS in dB over about 25 ms around each step, floored at -100."""
    power = np.square(samples, dtype=np.float64)
    steps = _padded(power, STEPS_PER_FRAME * num_frames(samples) * _HOP).reshape(-1, _HOP).mean(axis=1)
    return 10 * np.log10(smooth(steps, 0.008) + 10 ** (_FLOOR_DB / 10))


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.pad(values[:length], (0, max(0, length - len(values))))


def loudness(samples: np.ndarray) -> np.ndarray:
    """(8 T,) in [0, 1]: the level in dB over the 32 dB below the speech's own loud places; 0 throughout silence."""
    level = level_db(samples)
    loud = float(np.percentile(level, 95))
    if loud < -60:
        return np.zeros_like(level)
    return np.clip((level - loud) / _RANGE_DB + 1, 0, 1)


def is_speech(loud: np.ndarray, *, min_pause_s: float = 0.2) -> np.ndarray:
    """(8 T,) loudness -> (8 T,) bool: louder than 25 dB below the loud places, gaps under min_pause_s filled."""
    from scipy.ndimage import binary_closing, binary_opening

    steps = max(1, round(min_pause_s * STEPS_HZ))
    active = np.pad(loud > 1 - 25 / _RANGE_DB, steps)
    closed = binary_closing(active, structure=np.ones(steps, dtype=bool))
    # Clicks shorter than 30 ms are no speech.
    return binary_opening(closed, structure=np.ones(6, dtype=bool))[steps:-steps]


def band_shape(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(8 T,) each: centroid in Hz of 200-1200 (follows F1), of 900-3000 (F2), share of power above 3500."""
    frame, bins = 512, np.fft.rfftfreq(512, 1 / SAMPLE_RATE_HZ)
    steps = STEPS_PER_FRAME * num_frames(samples)
    padded = np.pad(_padded(samples, steps * _HOP), (frame // 2, frame // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, frame)[_HOP // 2 :: _HOP][:steps]
    power = np.abs(np.fft.rfft(windows * np.hanning(frame))) ** 2 + 1e-9
    high = power[:, bins > 3500].sum(axis=1) / power[:, bins > 100].sum(axis=1)
    return _centroid(power, bins, 200, 1200), _centroid(power, bins, 900, 3000), high


def _centroid(power: np.ndarray, bins: np.ndarray, low: float, high: float) -> np.ndarray:
    band = (bins >= low) & (bins <= high)
    # The square root keeps one strong harmonic from deciding alone.
    amplitude = np.sqrt(power[:, band])
    return (amplitude * bins[band]).sum(axis=1) / amplitude.sum(axis=1)
