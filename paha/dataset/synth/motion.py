"""Smooth curves over time (keyframes, bumps, slow drift) that all motion of the rig is made of."""

from __future__ import annotations

import numpy as np

from paha.motion.easing import minimum_jerk


def keyframes(times_s: np.ndarray, values: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    """Minimum-jerk moves between keyframes, still at each: times (K,) rising, values (K, n), at (T,) -> (T, n).

    The first value holds before the first time, the last after the last.
    """
    index = np.clip(np.searchsorted(times_s, at_s, side="right") - 1, 0, len(times_s) - 2)
    length = np.maximum(times_s[index + 1] - times_s[index], 1e-6)
    progress = minimum_jerk((at_s - times_s[index]) / length)[:, None]
    return values[index] + progress * (values[index + 1] - values[index])


def bumps(times_s: np.ndarray, heights: np.ndarray, at_s: np.ndarray, *, rise_s: float, fall_s: float) -> np.ndarray:
    """(T,) sum of smooth bumps that rise to their height at times_s within rise_s and return within fall_s."""
    if len(times_s) == 0:
        return np.zeros(len(at_s))
    away = at_s[:, None] - times_s[None]
    shape = np.where(away < 0, minimum_jerk(1 + away / rise_s), minimum_jerk(1 - away / fall_s))
    return shape @ heights


def drift(at_s: np.ndarray, *, rng: np.random.Generator, low_hz: float = 0.08, high_hz: float = 0.5) -> np.ndarray:
    """(T,) slow random swaying of RMS about 0.5, within [-1, 1]: five sines of random frequency and phase."""
    frequencies = rng.uniform(low_hz, high_hz, 5)
    phases = rng.uniform(0, 2 * np.pi, 5)
    waves = np.sin(2 * np.pi * frequencies * at_s[:, None] + phases)
    return np.tanh(waves.sum(axis=1) / np.sqrt(5) * 0.8)


def steps(times_s: np.ndarray, levels: np.ndarray, at_s: np.ndarray, *, move_s: float) -> np.ndarray:
    """(T,) levels[0] until times_s[0], then level k + 1 after times_s[k], each move lasting move_s (minimum jerk)."""
    moves = minimum_jerk((at_s[:, None] - times_s[None]) / move_s) if len(times_s) else np.zeros((len(at_s), 0))
    return levels[0] + moves @ np.diff(levels)


def random_times(rng: np.random.Generator, duration_s: float, *, low_s: float, high_s: float) -> np.ndarray:
    """Rising times in (0, duration_s), their gaps uniform in low_s to high_s, beginning anywhere within a gap."""
    gaps = rng.uniform(low_s, high_s, int(duration_s / low_s) + 2)
    times = np.cumsum(gaps) - rng.uniform(0, high_s)
    return times[(times > 0) & (times < duration_s)]
