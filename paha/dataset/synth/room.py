"""How clean speech is made to sound recorded: a room, a microphone, a telephone or codec, a level, some noise."""

from __future__ import annotations

import numpy as np
from numpy.fft import irfft, rfft, rfftfreq
from scipy.fft import next_fast_len

from paha.types import SAMPLE_RATE_HZ

_EQUALISER_HZ = (60.0, 200.0, 600.0, 1800.0, 4000.0, 8000.0)
_EQUALISER_DB = 3.0
_NARROW_SHARE, _NOISY_SHARE, _COMPANDED_SHARE = 0.3, 0.25, 0.15


def record(samples: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """(N,) float32 clean speech -> (N,) float32 in [-1, 1], as some microphone in some room would have it.

    A reverberation whose first sample is the direct sound and an equaliser without delay keep lips aligned. Peak level
    -12 to 0 dB of 0.9; noise 30 to 60 dB below the speech, in a quarter of all 12 to 30; in three of ten the band
    limits of a telephone or a cheap codec; some with the steps of 8-bit mu-law.
    """
    length = int(next_fast_len(len(samples) + SAMPLE_RATE_HZ // 4, True) or 0)
    hz = rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    spectrum = rfft(samples, length) * rfft(_room(rng), length) * _response(hz, rng)
    heard = irfft(spectrum, length)[: len(samples)]
    loudness = float(np.sqrt(np.mean(np.square(heard)))) + 1e-6
    below_db = rng.uniform(12, 30) if rng.random() < _NOISY_SHARE else rng.uniform(30, 60)
    noisy = heard + _noise(len(samples), rng) * (loudness * 10 ** (-below_db / 20))
    peak = 0.9 * 10 ** (-rng.uniform(0, 12) / 20)
    level = noisy * peak / max(float(np.abs(noisy).max()), 1e-6)
    return (_companded(level) if rng.random() < _COMPANDED_SHARE else level).astype(np.float32)


def _response(hz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gain by frequency, without phase: a smooth random equaliser, and at times the limits of a narrow band."""
    knots_db = rng.normal(0, _EQUALISER_DB, len(_EQUALISER_HZ))
    gain = 10 ** (np.interp(np.log(np.maximum(hz, 1)), np.log(_EQUALISER_HZ), knots_db) / 20)
    if rng.random() < _NARROW_SHARE:
        low, high = rng.uniform(50, 300), rng.uniform(3400, 7000)
        gain /= np.sqrt(1 + (low / np.maximum(hz, 1)) ** 6) * np.sqrt(1 + (hz / high) ** 16)
    return gain


def _room(rng: np.random.Generator) -> np.ndarray:
    length = int(rng.uniform(0.02, 0.2) * SAMPLE_RATE_HZ)
    decay = np.exp(-5 * np.arange(length) / length)
    tail = rng.standard_normal(length) * decay
    tail = tail * (rng.uniform(0.05, 0.4) / float(np.linalg.norm(tail)))
    tail[0] = 1.0
    return tail


def _noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) noise of deviation 1 with a random slope of its spectrum."""
    length = int(next_fast_len(count, True) or 0)
    hz = rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    spectrum = rfft(rng.standard_normal(length).astype(np.float32)) / np.maximum(hz, 40) ** rng.uniform(0, 1)
    noise = irfft(spectrum, length)[:count]
    return noise / max(float(noise.std()), 1e-9)


def _companded(samples: np.ndarray) -> np.ndarray:
    """As 8-bit mu-law (ITU-T G.711's curve) keeps it."""
    squeezed = np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256)
    steps = np.rint(squeezed * 127) / 127
    return np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255
