"""How clean synthetic speech is made to sound recorded: a room, a microphone, a level, some noise."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve, lfilter

from paha.types import SAMPLE_RATE_HZ


def record(samples: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """(N,) float32 clean speech -> (N,) float32 in [-1, 1], as some microphone in some room would have it.

    Peak level -12 to 0 dB of 0.9, noise 30 to 60 dB below the speech, a spectral tilt of a few dB, and a reverberation
    of 20 to 60 ms whose first sample is the direct sound, so that lips stay aligned.
    """
    tilt = rng.uniform(-0.25, 0.25)
    heard = lfilter([1.0, tilt], [1.0], fftconvolve(samples, _room(rng))[: len(samples)])
    loudness = float(np.sqrt(np.mean(np.square(heard)))) + 1e-6
    noise = np.asarray(lfilter([1.0], [1.0, -rng.uniform(0, 0.9)], rng.standard_normal(len(samples))))
    noisy = heard + noise * (loudness * 10 ** (-rng.uniform(30, 60) / 20) / np.std(noise))
    peak = 0.9 * 10 ** (-rng.uniform(0, 12) / 20)
    return (noisy * peak / max(float(np.abs(noisy).max()), 1e-6)).astype(np.float32)


def _room(rng: np.random.Generator) -> np.ndarray:
    length = int(rng.uniform(0.02, 0.06) * SAMPLE_RATE_HZ)
    decay = np.exp(-5 * np.arange(length) / length)
    tail = rng.standard_normal(length) * decay
    tail = tail * (rng.uniform(0.05, 0.35) / float(np.linalg.norm(tail)))
    tail[0] = 1.0
    return tail
