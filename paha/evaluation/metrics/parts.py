"""Metrics of hands, mouth, identity and colour of generated speech video that need no network's weights.

Legend: T frames, S sampled frames.
"""

from __future__ import annotations

import numpy as np

from paha.evaluation.metrics.keypoints import FORE, HANDS, MIN_SCORE, fill_unseen
from paha.runtime.statistics import lip_r, loudness_lips
from paha.types import FACE, FPS, Keypoints

MAX_LAG = 15
"""Frames: as far as SyncNet's protocol looks."""
SILENCE_DB = -40.0
"""A frame is silent this far below the loudest one."""
MIN_SILENCE_FRAMES = 5
SPEECH_FLOOR_RMS = 1e-4
HKV_HEIGHT = 512
MIN_SEEN_SHARE = 0.2
"""Of the frames, in which a hand's point must be seen."""
_INNER_LIPS = (FACE.start + 62, FACE.start + 66)
_FACE_HEIGHT = (FACE.start + 27, FACE.start + 8)


def mouth_opening(keypoints: Keypoints, mouth_open: np.ndarray | None = None) -> np.ndarray:
    """(T,): the pose reader's own reading where there is one, else the gap of the inner lips over the height from the
    nose's root to the chin. Gaps in time are filled.
    """
    if mouth_open is not None:
        return np.asarray(mouth_open, np.float64)
    points, _ = fill_unseen(keypoints.points, keypoints.scores)

    def distance(pair: tuple[int, int]) -> np.ndarray:
        return np.linalg.norm(points[:, pair[0]] - points[:, pair[1]], axis=-1)

    return distance(_INNER_LIPS) / np.maximum(distance(_FACE_HEIGHT), 1e-6)


def lip_loudness(mouth: np.ndarray, mono: np.ndarray, *, max_lag: int = MAX_LAG) -> tuple[float, int | None, float]:
    """How the mouth's opening follows the speech's loudness: Pearson r at lag 0, best lag in frames, and margin.

    margin: the highest r less the median over all lags from -15 to 15, as SyncNet's confidence is made, but without its
    network. Positive lag: the mouth is late; None for a mouth that never moves.
    """
    loud = loudness_lips(mono, len(mouth))
    max_lag = min(max_lag, max(0, len(mouth) - 10))
    lags = np.arange(-max_lag, max_lag + 1)
    r = np.array([lip_r(mouth, loud, lag=int(lag)) for lag in lags])
    best = int(r.argmax())
    return float(r[max_lag]), int(lags[best]) if r.any() else None, float(r[best] - np.median(r))


def silent_frames(mono: np.ndarray, num_frames: int) -> np.ndarray:
    """(T,) bool: in pauses of at least 0.2 s, 40 dB below the loudest frame."""
    loud = loudness_lips(mono, num_frames)
    if loud.max() < SPEECH_FLOOR_RMS:
        return np.ones(num_frames, bool)
    quiet = loud < loud.max() * 10 ** (SILENCE_DB / 20)
    kept = np.zeros(num_frames, bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]])))
    for start, stop in edges.reshape(-1, 2):
        kept[start:stop] = stop - start >= MIN_SILENCE_FRAMES
    return kept


def mouth_in_silence(mouth: np.ndarray, mono: np.ndarray, *, fps: float = FPS) -> float | None:
    """Mean absolute change of the mouth's opening per second within pauses; None for speech without pauses.

    The first 0.2 s of a pause are left out: the lips close then.
    """
    silent = silent_frames(mono, len(mouth))
    settled = silent.copy()
    for k in range(1, MIN_SILENCE_FRAMES + 1):
        settled[k:] &= silent[:-k]
    inside = settled[1:] & settled[:-1]
    return float(np.abs(np.diff(mouth))[inside].mean() * fps) if inside.any() else None


def hand_confidence(keypoints: Keypoints) -> tuple[float, float] | None:
    """Mean confidence of the hands' points in frames where a hand is seen, and the variance of that over time.

    A hand counts as seen where half of its points have a confidence above 0.1. None where no hand is ever seen.
    """
    seen = _seen_hands(keypoints)
    if not seen.any():
        return None
    by_frame = keypoints.scores[:, HANDS].reshape(len(seen), 2, 21).mean(-1)
    means = np.array([by_frame[t][seen[t]].mean() for t in np.flatnonzero(seen.any(1))])
    return float(means.mean()), float(means.var())


def hands_seen(keypoints: Keypoints) -> float:
    """Share of frames in which a hand is seen. Blur and noise lower it; `hand_confidence`, of the hands that are still
    found, they may raise."""
    return float(_seen_hands(keypoints).any(1).mean())


def _seen_hands(keypoints: Keypoints) -> np.ndarray:
    """(T, 2) bool, left and right."""
    scores = keypoints.scores[:, HANDS].reshape(len(keypoints.scores), 2, 21)
    return (scores > 0.1).sum(-1) >= 11


def hkv(keypoints: Keypoints, *, height: int) -> float | None:
    """HKV, hand keypoint variance: mean over the seen points of both hands of their variance over time, x and y
    added, in pixels squared of a picture 512 px high. None where no hand is seen in a fifth of the frames.

    Published numbers do not say their unit; more is livelier, and a jumping hand has most.
    """
    points, _ = fill_unseen(keypoints.points[:, HANDS], keypoints.scores[:, HANDS])
    seen = seen_often(keypoints)[HANDS]
    return float(points[:, seen].var(0).sum(-1).mean() * (HKV_HEIGHT / height) ** 2) if seen.any() else None


def jerk(keypoints: Keypoints, *, fps: float = FPS) -> float | None:
    """Root mean square of the third derivative of elbows, wrists and hands, in shoulder widths per second cubed.

    None where shoulders, or all arms and hands, are unseen, or with fewer than four frames.
    """
    points, seen = fill_unseen(keypoints.points, keypoints.scores)
    own = np.zeros(len(seen), bool)
    own[FORE] = seen[FORE]
    if not own.any() or not (seen[5] and seen[6]) or len(points) < 4:
        return None
    width = float(np.median(np.linalg.norm(points[:, 5] - points[:, 6], axis=-1)))
    third = np.diff(points[:, own], n=3, axis=0) * fps**3
    return float(np.sqrt(np.square(third).sum(-1).mean()) / max(width, 1e-6))


def mouth_seen(keypoints: Keypoints, *, share: float = 0.5) -> bool:
    """Whether the inner lips are seen in at least that share of the frames."""
    seen = np.asarray((keypoints.scores[:, _INNER_LIPS] >= MIN_SCORE).all(1))
    return bool(len(seen)) and float(seen.mean()) >= share


def hand_motion(keypoints: Keypoints) -> float | None:
    """Deviation over time of the hands' points about their mean places, in shoulder widths; None where no hand is seen
    in a fifth of the frames, or the shoulders are never."""
    points, seen = fill_unseen(keypoints.points, keypoints.scores)
    hands = np.zeros(len(seen), bool)
    hands[HANDS] = seen_often(keypoints)[HANDS]
    if not hands.any() or not (seen[5] and seen[6]):
        return None
    width = float(np.median(np.linalg.norm(points[:, 5] - points[:, 6], axis=-1)))
    return float(np.sqrt(points[:, hands].var(0).sum(-1)).mean() / max(width, 1e-6))


def seen_often(keypoints: Keypoints) -> np.ndarray:
    """(133,) bool: points that are seen in enough frames for their motion to mean anything. A hand that shows for a
    moment is drawn over the gaps and would seem to rest."""
    return (keypoints.scores >= MIN_SCORE).mean(0) >= MIN_SEEN_SHARE


def seen_share(keypoints: Keypoints) -> float:
    """Share of frames in which an arm or a hand is seen (an elbow, wrist or hand point above the threshold)."""
    scores = keypoints.scores[:, FORE]
    return float((scores >= MIN_SCORE).any(1).mean())


def drift(values: np.ndarray) -> float | None:
    """Euclidean distance between the mean of the first and of the last fifth of (S, n) values in time.

    On CIELAB colours it is a Delta E. None with fewer than five samples.
    """
    if len(values) < 5:
        return None
    fifth = max(1, len(values) // 5)
    return float(np.linalg.norm(values[:fifth].mean(0) - values[-fifth:].mean(0)))


_SRGB = np.arange(256) / 255
_LINEAR = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""Of every value of a byte."""
_STEPS = 2**16 - 1
_TO_XYZ = _STEPS * (
    np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])
    / np.array([[0.95047], [1.0], [1.08883]])
).astype(np.float32)
"""Over D65's white, in steps of the curve's table."""
_SHARE = np.arange(_STEPS + 1) / _STEPS
_CURVE = np.where(_SHARE > (6 / 29) ** 3, np.cbrt(_SHARE), _SHARE / (3 * (6 / 29) ** 2) + 4 / 29).astype(np.float32)
"""CIELAB's cube root. Off a table it costs a third; a pixel's L is off by 0.007 at most."""


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB values (..., 3) uint8 to CIELAB (D65), L in [0, 100]."""
    return _lab(_curve(rgb))


def mean_lab(rgb: np.ndarray) -> np.ndarray:
    """Mean CIELAB (3,) of sRGB values (N, 3) uint8."""
    return _lab(_curve(rgb).mean(0, dtype=np.float64))


def _curve(rgb: np.ndarray) -> np.ndarray:
    """Cube roots (..., 3) of X, Y and Z."""
    steps = _LINEAR[np.asarray(rgb, np.uint8)] @ _TO_XYZ.T
    return _CURVE[np.minimum(steps + np.float32(0.5), _STEPS).astype(np.uint16)]


def _lab(f: np.ndarray) -> np.ndarray:
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)
