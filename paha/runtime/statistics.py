"""How well lips follow true ones: correlation of the mouth's opening, its best lag, intervals over clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_DRAWS_AT_A_TIME = 50


@dataclass(frozen=True)
class Interval:
    """A mean over clips with its bootstrap 95 % interval and the number of clips."""

    mean: float
    low: float
    high: float
    num: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] (N={self.num})"


def lip_r(read: np.ndarray, truth: np.ndarray, *, lag: int = 0) -> float:
    """Pearson correlation of two mouth-opening curves (T,); `read` shifted `lag` frames later than `truth`.

    A constant curve (a still image) has no correlation and counts as 0.
    """
    if len(read) != len(truth):
        raise ValueError(f"curves of {len(read)} and {len(truth)} frames")
    if lag > 0:
        read, truth = read[lag:], truth[:-lag]
    elif lag < 0:
        read, truth = read[:lag], truth[-lag:]
    if read.std() < 1e-6 or truth.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(read, truth)[0, 1])


def best_lag(read: np.ndarray, truth: np.ndarray, *, max_lag: int = 5) -> int:
    """The lag in frames, -max_lag to max_lag, at which the correlation is highest."""
    lags = range(-max_lag, max_lag + 1)
    return max(lags, key=lambda lag: lip_r(read, truth, lag=lag))


def bootstrap(values: list[float], *, samples: int = 2000, seed: int = 0) -> Interval:
    """Mean over clips and the 2.5 and 97.5 % quantiles of its bootstrap distribution."""
    data, rng = np.asarray(values, dtype=np.float64), np.random.default_rng(seed)
    # In small blocks, which are the same draws, so that memory stays small for thousands of clips.
    blocks = np.diff([*range(0, samples, _DRAWS_AT_A_TIME), samples])
    draws = np.concatenate([rng.choice(data, size=(block, len(data))).mean(axis=1) for block in blocks])
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(data.mean()), float(low), float(high), len(data))


def loudness_lips(mono: np.ndarray, num_frames: int, *, samples_per_frame: int = 640) -> np.ndarray:
    """The trivial baseline: the mouth opens with the frame's loudness (RMS over its 40 ms), (T,)."""
    padded = np.zeros(num_frames * samples_per_frame, dtype=np.float64)
    padded[: min(len(mono), len(padded))] = mono[: len(padded)]
    return np.sqrt((padded.reshape(num_frames, samples_per_frame) ** 2).mean(axis=1))
