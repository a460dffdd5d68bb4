"""Strokes on accents: do hands land when the speech sets in, more often than chance? (docs/metrics.md)

A stroke lands where a hand slows down sharply. The slowing of arms and hands is correlated with the onset strength of
the speech at lag 0, and held against the same clip's own correlations with its sound moved round the clip, which keep
how much there is of both. Beats need not be picked, and more of them score no higher.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.evaluation.metrics.beats import NO_ARMS
from paha.evaluation.metrics.keypoints import FORE, GESTURE, MIN_SCORE, fill_unseen
from paha.evaluation.metrics.onsets import HOP, SILENCE_RMS, STEP_S, onset_strength
from paha.types import FPS, Keypoints

JITTER_S = 0.04
"""Gaussian sigma that points are smoothed by before they are differentiated twice."""
SMOOTHING_S, TREND_S = 0.08, 0.48
"""Both curves: detail finer than the first is blurred, what changes slower than the second (pauses) is taken away."""
GUARD_S = 0.32
"""Moves of the sound by less than this are no chance."""
MIN_SECONDS = 2.0


@dataclass(frozen=True)
class Alignment:
    """z: standard deviations over chance, None where `absent` says why there is none; 0 where nothing moves."""

    z: float | None
    absent: str = ""


def accent_alignment(keypoints: Keypoints, mono: np.ndarray, *, fps: float = FPS) -> Alignment:
    """How well the strokes of a clip's arms and hands land on the onsets of its speech (M,), 16 kHz.

    Independent of the size of gestures, of the person's and of how many there are; 0 on average where sound and motion
    have nothing to do with each other.
    """
    if not (keypoints.scores[:, FORE] >= MIN_SCORE).any():
        return Alignment(None, NO_ARMS)
    if len(keypoints.scores) < MIN_SECONDS * fps:
        return Alignment(None, f"shorter than {MIN_SECONDS:g} s")
    if len(mono) < HOP or np.sqrt(np.mean(np.square(mono, dtype=np.float64))) < SILENCE_RMS:
        return Alignment(None, "no onset in the speech")
    points, seen = fill_unseen(keypoints.points[:, GESTURE], keypoints.scores[:, GESTURE])
    slowing = deceleration(points[:, seen], fps=fps)
    return Alignment(circular_z(slowing, onsets_at_frames(mono, len(slowing), fps=fps), fps=fps))


def deceleration(points: np.ndarray, *, fps: float = FPS) -> np.ndarray:
    """(T,) mean over points (T, K, 2) of how fast each one's speed falls, a second squared; 0 while it rises."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(np.asarray(points, np.float64), JITTER_S * fps, axis=0)
    speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * fps
    return np.maximum(0, -np.gradient(speed, axis=0) * fps).mean(1)


def onsets_at_frames(mono: np.ndarray, num_frames: int, *, fps: float = FPS) -> np.ndarray:
    """(T,) onset strength of (M,) samples at the middle of every frame."""
    strength = onset_strength(mono)
    return np.interp((np.arange(num_frames) + 0.5) / fps, np.arange(len(strength)) * STEP_S, strength)


def circular_z(motion: np.ndarray, sound: np.ndarray, *, fps: float = FPS) -> float:
    """Correlation of two curves (T,) at lag 0, in standard deviations of those at all lags round the clip beyond
    GUARD_S, over their mean. 0 where one is constant."""
    a, b = _standardised(motion, fps), _standardised(sound, fps)
    if a is None or b is None:
        return 0.0
    T = len(a)
    r = np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), T) / T
    lags = np.arange(T)
    chance = r[np.minimum(lags, T - lags) > GUARD_S * fps]
    spread = float(chance.std())
    return float(r[0] - chance.mean()) / spread if spread > 1e-12 else 0.0


def _standardised(curve: np.ndarray, fps: float) -> np.ndarray | None:
    """Band-passed, mean 0, variance 1; None for a constant."""
    from scipy.ndimage import gaussian_filter1d

    if np.ptp(curve) <= 1e-9 * max(1.0, float(np.abs(curve).max())):
        return None
    fine, slow = (gaussian_filter1d(curve, s * fps, mode="wrap") for s in (SMOOTHING_S, TREND_S))
    band = fine - slow
    return (band - band.mean()) / band.std()
