"""Onsets of speech: `librosa.onset.onset_detect` with its defaults, without librosa (260 MB of dependencies).

Spectral flux of a log-mel spectrogram, then its peaks. The published beat scores all use these onsets at 16 kHz.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from paha.extractors.mel import mel_triangles
from paha.types import SAMPLE_RATE_HZ

HOP = 512
"""Samples between two values of the onset strength: 31.25 of them a second at 16 kHz, not a video's frame rate."""
STEP_S = HOP / SAMPLE_RATE_HZ
FFT_SIZE = 2048
MEL_BANDS = 128
TOP_DB = 80.0
AMIN = 1e-10
PEAK_DELTA = 0.07
"""A peak of the strength, scaled to [0, 1], stands so far above its neighbourhood's mean."""
SILENCE_RMS = 1e-4
"""-80 dB of full scale: below it there is nothing to hear, and the scaling to [0, 1] would find onsets in the noise."""


def onset_frames(mono: np.ndarray) -> np.ndarray:
    """Onsets of (M,) samples at 16 kHz as indices of HOP-sample steps (31.25 Hz), int64, ascending.

    Equal to `librosa.onset.onset_detect(y=mono, sr=16000)` of librosa 0.11, but that silence has no onset.
    """
    if len(mono) < HOP or np.sqrt(np.mean(np.square(mono, dtype=np.float64))) < SILENCE_RMS:
        return np.zeros(0, np.int64)
    strength = onset_strength(mono)
    strength = strength - strength.min()
    peak = strength.max()
    return _peaks(strength / peak) if peak > 0 else np.zeros(0, np.int64)


def onsets_s(mono: np.ndarray) -> np.ndarray:
    """The same in seconds."""
    return onset_frames(mono) * STEP_S


def onset_strength(mono: np.ndarray) -> np.ndarray:
    """Mean rise of the log-mel bands against the step before, of (M,) samples at 16 kHz: (1 + M // HOP,)."""
    log_mel = _log_mel(np.asarray(mono, np.float32))
    flux = np.maximum(0, np.diff(log_mel, axis=0)).mean(1)
    # The strength belongs to the end of the step, and librosa moves it by half a window, as its frames are centred.
    return np.pad(flux, (1 + FFT_SIZE // (2 * HOP), 0))[: len(log_mel)]


def _log_mel(mono: np.ndarray) -> np.ndarray:
    padded = np.pad(mono, FFT_SIZE // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE)
    power = np.square(np.abs(np.fft.rfft(windows * hann.astype(np.float32), axis=1)))
    decibels = 10 * np.log10(np.maximum(AMIN, power @ _filters()))
    return np.maximum(decibels, decibels.max() - TOP_DB)


@cache
def _filters() -> np.ndarray:
    return mel_triangles(MEL_BANDS, num_bins=FFT_SIZE // 2 + 1, rate_hz=SAMPLE_RATE_HZ)


def _peaks(strength: np.ndarray) -> np.ndarray:
    """Steps that stand PEAK_DELTA above the mean of 100 ms before and after them.

    librosa also wants a local maximum over 30 ms before, which at this hop is the step itself.
    """
    around = SAMPLE_RATE_HZ // 10 // HOP
    sums = np.concatenate([[0.0], np.cumsum(strength)])
    at = np.arange(len(strength))
    first, last = np.maximum(at - around, 0), np.minimum(at + around + 1, len(strength))
    return np.flatnonzero(strength >= (sums[last] - sums[first]) / (last - first) + PEAK_DELTA)
