"""Thirteen mel-frequency cepstra as SyncNet was trained on them: `python_speech_features.mfcc` with its defaults."""

from __future__ import annotations

import numpy as np

from paha.types import SAMPLE_RATE_HZ

NUM_CEPSTRA, NUM_FILTERS, FFT_SIZE = 13, 26, 512
WINDOW, HOP = SAMPLE_RATE_HZ // 40, SAMPLE_RATE_HZ // 100
PREEMPHASIS, LIFTER = 0.97, 22
MFCC_RATE_HZ = SAMPLE_RATE_HZ // HOP


def mfcc(mono: np.ndarray) -> np.ndarray:
    """Cepstra (n, 13) of (M,) samples in [-1, 1] at 16 kHz, 100 a second; the first is the log energy.

    Samples are taken as 16-bit integers, which the energy and SyncNet's weights depend on. Windows of 25 ms without
    taper, the last one filled up with zeros.
    """
    from scipy.fft import dct

    x = np.clip(np.rint(np.asarray(mono, np.float64) * 32768), -32768, 32767)
    x = np.append(x[:1], x[1:] - PREEMPHASIS * x[:-1])
    count = 1 + max(0, -(-(len(x) - WINDOW) // HOP))
    x = np.pad(x, (0, max(0, (count - 1) * HOP + WINDOW - len(x))))
    windows = np.lib.stride_tricks.sliding_window_view(x, WINDOW)[::HOP][:count]
    power = np.square(np.abs(np.fft.rfft(windows, FFT_SIZE))) / FFT_SIZE
    eps = np.finfo(np.float64).eps
    energy, bands = power.sum(1), power @ _filters().T
    energy, bands = np.where(energy == 0, eps, energy), np.where(bands == 0, eps, bands)
    cepstra = np.asarray(dct(np.log(bands), type=2, axis=1, norm="ortho"))[:, :NUM_CEPSTRA]
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(NUM_CEPSTRA) / LIFTER)
    cepstra[:, 0] = np.log(energy)
    return cepstra


def _filters() -> np.ndarray:
    """(26, 257) triangles between whole bins, even on the scale 2595 log10(1 + f / 700)."""
    mel = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700), NUM_FILTERS + 2)
    bins = np.floor((FFT_SIZE + 1) * 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE_HZ)
    at = np.arange(FFT_SIZE // 2 + 1)
    filters = np.zeros((NUM_FILTERS, len(at)))
    for j, (low, middle, high) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        rising, falling = (at >= int(low)) & (at < int(middle)), (at >= int(middle)) & (at < int(high))
        filters[j, rising] = (at[rising] - low) / (middle - low)
        filters[j, falling] = (high - at[falling]) / (high - middle)
    return filters
