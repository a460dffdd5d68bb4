"""Log-mel spectra of speech at a fixed loudness: sixteen-kilohertz samples in, four mel frames a video frame out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paha.types import FPS, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from torch import Tensor  # seconds of start-up, which an evaluation of keypoints does without

SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FPS
"""Samples of one video frame: frame f is heard from sample 640 f to 640 (f + 1)."""
HOP = 160
MELS_PER_FRAME = SAMPLES_PER_FRAME // HOP
WINDOW = 400
FFT_SIZE = 512
SPEECH_RMS = 0.1
"""Every recording is brought to this root mean square over its active part."""
ACTIVE_DB = -40.0
"""A frame is active where it is no further than this below the loudest one."""
SILENCE_RMS = 1e-3
"""Below this (-60 dB of full scale) a recording is silent and is left as it is."""
# log10 of a band's power at SPEECH_RMS lies in about -6 (the floor, quieter than a good microphone's noise) to 1.5.
FLOOR = 1e-6
CENTRE = -2.5
SPREAD = 3.5


def speech_rms(mono: np.ndarray) -> float:
    """Root mean square of (M,) samples over the active part, in 40 ms frames; 0 without samples."""
    frames = np.pad(mono, (0, -len(mono) % SAMPLES_PER_FRAME)).reshape(-1, SAMPLES_PER_FRAME)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    if not len(power):
        return 0.0
    return float(np.sqrt(power[power >= power.max() * 10 ** (ACTIVE_DB / 10)].mean()))


def normalise_level(mono: np.ndarray) -> np.ndarray:
    """(M,) float32 samples with the gain that brings speech to SPEECH_RMS; silent ones unchanged."""
    mono = np.asarray(mono, np.float32)
    rms = speech_rms(mono)
    return mono if rms < SILENCE_RMS else mono * np.float32(SPEECH_RMS / rms)


def mel_filters(
    num_bands: int, *, num_bins: int = FFT_SIZE // 2 + 1, rate_hz: int = SAMPLE_RATE_HZ, warp: float = 1.0
) -> Tensor:
    """(num_bins, num_bands) float32 triangular filters of equal area on Slaney's mel scale, from 0 to rate_hz / 2.

    warp: what is heard at f counts as warp * f, as from a shorter (above 1) or longer vocal tract.
    """
    import torch

    return torch.from_numpy(mel_triangles(num_bands, num_bins=num_bins, rate_hz=rate_hz, warp=warp))


def mel_triangles(num_bands: int, *, num_bins: int, rate_hz: int, warp: float = 1.0) -> np.ndarray:
    """`mel_filters` as an array."""
    edges_hz = _mel_to_hz(np.linspace(0, _hz_to_mel(rate_hz / 2), num_bands + 2))
    bins_hz = np.linspace(0, rate_hz / 2, num_bins) * warp
    slopes = edges_hz[None] - bins_hz[:, None]
    rising, falling = -slopes[:, :-2] / np.diff(edges_hz)[:-1], slopes[:, 2:] / np.diff(edges_hz)[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (edges_hz[2:] - edges_hz[:-2])).astype(np.float32)


# Slaney's scale: linear to 1 kHz (15 mel), then 27 mel a factor of 6.4.
def _hz_to_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) * 27 / np.log(6.4)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def power_spectra(samples: Tensor) -> Tensor:
    """(n, num_bins) power of the windows that start at every HOP-th of (FFT_SIZE + (n - 1) HOP,) samples."""
    import torch

    window = torch.hann_window(WINDOW, device=samples.device)
    spectra = torch.stft(samples, FFT_SIZE, HOP, WINDOW, window, center=False, return_complex=True)
    return spectra.abs().square().T


def spectra_of_hops(samples: Tensor) -> Tensor:
    """(n, num_bins) power of the windows that are centred on the hops of (n HOP,) samples, silence around them."""
    from torch.nn.functional import pad

    lead = FFT_SIZE // 2 - HOP // 2
    return power_spectra(pad(samples, (lead, FFT_SIZE - HOP - lead)))


def log_mel(power: Tensor, filters: Tensor) -> Tensor:
    """(n, num_bands) bands of spectra (n, num_bins), in about [-1, 1]; silence is -1."""
    return ((power @ filters + FLOOR).log10() - CENTRE) / SPREAD


def fit_length(mono: np.ndarray, num_samples: int) -> np.ndarray:
    """(num_samples,) float32: the sound cut, or followed by silence."""
    mono = np.asarray(mono[:num_samples], np.float32)
    return np.pad(mono, (0, num_samples - len(mono)))
