"""Beat Alignment Score (BAS): how near every beat of the speech a beat of the gestures lies, and the other way round
(B.5, [17]).

Beats of the speech are its onsets; beats of a gesture are the moments of least speed, where a stroke stops or turns.
`beat_alignment` is the score of two lists of times; `bas` measures a clip in seconds; `bas_legacy` repeats the form
that published numbers of this line seem to use, which compares 31.25 Hz steps of the sound with frames of the video.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.evaluation.metrics.keypoints import FORE, GESTURE, MIN_SCORE, fill_unseen
from paha.evaluation.metrics.onsets import STEP_S, onset_frames
from paha.types import FPS, Keypoints

SIGMA_S = 0.12
"""Tolerance: 3 frames at 25 fps, as AIST++'s 3 frames at the frame rate of this task."""
SMOOTHING_S = 0.2
"""Gaussian sigma of the smoothed speed: 5 frames at 25 fps."""
LEGACY_SIGMA = 3.0
LEGACY_SMOOTHING = 5.0
NO_ARMS = "no arm or hand was seen"
NO_MOTION_BEAT = "no motion beat"
"""Why the score over motion beats is absent where the arms are seen and rest; that over speech beats is 0 there."""


@dataclass(frozen=True)
class Bas:
    """A clip's scores in [0, 1] with what they were made of; None where there is no such score, `absent` then says why.

    score: mean over the speech's beats. motion: over the motion's (AIST++'s direction). legacy: see `bas_legacy`.
    """

    score: float | None
    motion: float | None
    legacy: float | None
    audio_beats: int
    motion_beats: int | None
    absent: str = ""


def beat_alignment(audio_s: np.ndarray, motion_s: np.ndarray, *, sigma_s: float = SIGMA_S) -> float:
    """Mean over audio beats of exp(-d^2 / (2 sigma^2)), d the time to the nearest motion beat, all in one unit.

    1 where every audio beat has a motion beat at the same moment; 0 without any motion beat (published code leaves such
    clips out, which rewards standing still). Raises ValueError without an audio beat: there is nothing to align to.
    """
    if not len(audio_s):
        raise ValueError("there is no audio beat")
    if not len(motion_s):
        return 0.0
    distance = np.abs(np.asarray(audio_s)[:, None] - np.asarray(motion_s)).min(1)
    return float(np.exp(-np.square(distance / sigma_s) / 2).mean())


def gesture_speed(keypoints: Keypoints, *, fps: float = FPS, min_score: float = MIN_SCORE) -> np.ndarray:
    """Mean speed of the arms' and hands' points in pixels a second, (T - 1,); value k belongs to time (k + 1/2) / fps.

    Points never seen in the clip are left out, gaps of the others are filled; all zeros where nothing was ever seen.
    """
    points, seen = fill_unseen(keypoints.points[:, GESTURE], keypoints.scores[:, GESTURE], min_score=min_score)
    if not seen.any():
        return np.zeros(len(points) - 1)
    return np.linalg.norm(np.diff(points[:, seen], axis=0), axis=-1).mean(1) * fps


def speed_minima(speed: np.ndarray, *, smoothing: float) -> np.ndarray:
    """Indices of the strict local minima of the speed, smoothed by a Gaussian of `smoothing` steps (0: not at all)."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(speed, smoothing) if smoothing > 0 else speed
    falls = np.diff(smooth)
    return np.flatnonzero((falls[:-1] < 0) & (falls[1:] > 0)) + 1


def motion_beats_s(
    keypoints: Keypoints, *, fps: float = FPS, smoothing_s: float = SMOOTHING_S, min_score: float = MIN_SCORE
) -> np.ndarray:
    """Times in seconds of the gesture's beats."""
    speed = gesture_speed(keypoints, fps=fps, min_score=min_score)
    return (speed_minima(speed, smoothing=smoothing_s * fps) + 0.5) / fps


def bas(
    keypoints: Keypoints,
    mono: np.ndarray,
    *,
    fps: float = FPS,
    sigma_s: float = SIGMA_S,
    smoothing_s: float = SMOOTHING_S,
    min_score: float = MIN_SCORE,
) -> Bas:
    """Score of a clip's keypoints against its speech (M,), 16 kHz. Onsets after the last frame do not count."""
    steps = onset_frames(mono)
    onsets = steps[steps * STEP_S <= len(keypoints.scores) / fps] * STEP_S
    if not (keypoints.scores[:, FORE] >= min_score).any():
        return Bas(None, None, None, len(onsets), None, NO_ARMS)
    motion = motion_beats_s(keypoints, fps=fps, smoothing_s=smoothing_s, min_score=min_score)
    if not len(onsets):
        return Bas(None, None, None, 0, len(motion), "no onset in the speech")
    score = beat_alignment(onsets, motion, sigma_s=sigma_s)
    backwards = beat_alignment(motion, onsets, sigma_s=sigma_s) if len(motion) else None
    return Bas(score, backwards, _legacy(keypoints, steps, min_score), len(onsets), len(motion))


def bas_legacy(keypoints: Keypoints, mono: np.ndarray, *, min_score: float = MIN_SCORE) -> float | None:
    """The mismatched form: onsets counted in steps of 512 samples at 16 kHz (31.25 a second), motion beats in frames of
    the video, subtracted as if they were the same; sigma 3 and smoothing 5 of these. None without an onset.

    Onset 31 (0.992 s) is held against frame 31 (1.24 s at 25 fps): the clocks drift apart by a quarter of a second
    each second, so that a score says little about alignment. Kept to compare with published tables only.
    """
    steps = onset_frames(mono)
    return _legacy(keypoints, steps, min_score) if len(steps) else None


def _legacy(keypoints: Keypoints, steps: np.ndarray, min_score: float) -> float:
    motion = speed_minima(gesture_speed(keypoints, min_score=min_score), smoothing=LEGACY_SMOOTHING)
    return beat_alignment(steps, motion, sigma_s=LEGACY_SIGMA)
