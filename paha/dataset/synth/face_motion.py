"""Head, brows, eyes and shoulders: nods and raised brows on stressed syllables, blinks, glances, breathing."""

from __future__ import annotations

import numpy as np

from paha.dataset.synth.motion import bumps, drift, random_times, steps
from paha.dataset.synth.stress import Accent, Phrase, choose
from paha.motion.blinks import blink_times, blinks

_SACCADE_S = 0.05
_ON_VIEWER = 0.65


def head_motion(
    parts: list[Phrase], at_s: np.ndarray, *, gaze_x: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """head_yaw, head_pitch, head_roll (T,) in [-1, 1], mostly within 0.4: nods, turns at phrases, shifts, slow sway.

    The head follows the eyes, gaze_x (T,), a little and late.
    """
    accents = _some(parts, min_gap_s=0.5, rng=rng)
    starts_s = [phrase.start_s + rng.uniform(-0.3, 0.4) for phrase in parts]
    shifts_s = random_times(rng, float(at_s[-1]) + 0.1, low_s=3.0, high_s=8.0)  # of posture, in silence too
    moves_s = np.sort(np.concatenate([starts_s, shifts_s]))
    yaw = np.concatenate([[rng.normal(0, 0.1)], rng.normal(0, 0.2, len(moves_s)).clip(-0.55, 0.55)])
    roll = np.concatenate([[rng.normal(0, 0.06)], rng.normal(0, 0.12, len(moves_s)).clip(-0.35, 0.35)])
    pitch = np.concatenate([[0.0], rng.normal(0, 0.06, len(moves_s))])
    liveliness = rng.uniform(0.12, 0.4)
    heights = np.array([a.strength for a in accents]) * liveliness * rng.uniform(0.4, 1.2, len(accents))
    nods = bumps(_times(accents), heights, at_s, rise_s=0.22, fall_s=0.4)
    follow = 0.12 * _followed(gaze_x, at_s)
    return {
        "head_pitch": np.clip(nods + steps(moves_s, pitch, at_s, move_s=0.8) + 0.07 * drift(at_s, rng=rng), -0.5, 0.6),
        "head_yaw": np.clip(steps(moves_s, yaw, at_s, move_s=0.8) + follow + 0.1 * drift(at_s, rng=rng), -0.7, 0.7),
        "head_roll": np.clip(steps(moves_s, roll, at_s, move_s=0.9) + 0.08 * drift(at_s, rng=rng), -0.4, 0.4),
    }


def _followed(gaze: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    """(T,) a gaze that is smoothed and 0.15 s late."""
    from scipy.ndimage import gaussian_filter1d

    if len(at_s) < 2:
        return gaze
    step_s = float(at_s[1] - at_s[0])
    return np.interp(at_s - 0.15, at_s, gaussian_filter1d(gaze, 0.2 / step_s, mode="nearest"))


def brow_motion(parts: list[Phrase], at_s: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """(T,) in [-1, 1]: raised on some strong accents, drawn together over some phrases."""
    accents = [a for a in _some(parts, min_gap_s=0.8, rng=rng) if rng.random() < 0.5]
    raises = bumps(_times(accents), rng.uniform(0.25, 0.9, len(accents)), at_s, rise_s=0.18, fall_s=0.45)
    moods = np.concatenate([[0.0], rng.choice([0.0, 0.25, -0.3], len(parts), p=[0.6, 0.2, 0.2])])
    moods_s = np.array([phrase.start_s for phrase in parts])
    return np.clip(raises + steps(moods_s, moods, at_s, move_s=0.4) + 0.06 * drift(at_s, rng=rng), -1, 1)


def eye_motion(at_s: np.ndarray, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """blink (T,) in [0, 1]; gaze_x, gaze_y (T,) in [-1, 1]: small glances away from the viewer and back."""
    duration_s = float(at_s[-1]) + 0.1
    glances_s = random_times(rng, duration_s, low_s=0.5, high_s=2.8)
    away = (rng.random(len(glances_s) + 1) > _ON_VIEWER).astype(float)
    count = len(away)
    level_x = away * rng.normal(0, 0.35, count) + rng.normal(0, 0.03, count)
    level_y = away * rng.normal(0, 0.2, count) + rng.normal(0, 0.02, count)
    return {
        "blink": blinks(blink_times(duration_s, rng), at_s),
        "gaze_x": steps(glances_s, level_x, at_s, move_s=_SACCADE_S).clip(-0.9, 0.9),
        "gaze_y": steps(glances_s, level_y, at_s, move_s=_SACCADE_S).clip(-0.7, 0.7),
    }


def shoulder_motion(parts: list[Phrase], at_s: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """(T,) in [-1, 1]: a breath before each phrase, let out while speaking; quiet breathing; some shrugs."""
    breaths_s = np.array([phrase.start_s - 0.05 for phrase in parts])
    breaths = bumps(breaths_s, rng.uniform(0.25, 0.5, len(parts)), at_s, rise_s=0.5, fall_s=1.6)
    quiet = 0.15 * np.sin(2 * np.pi * (rng.uniform(0.2, 0.3) * at_s + rng.random()))
    shrugs = [a for a in _some(parts, min_gap_s=2.0, rng=rng) if rng.random() < 0.1]
    shrugging = bumps(_times(shrugs), rng.uniform(0.3, 0.6, len(shrugs)), at_s, rise_s=0.3, fall_s=0.5)
    return np.clip(breaths + quiet + shrugging, -1, 1)


def _some(parts: list[Phrase], *, min_gap_s: float, rng: np.random.Generator) -> list[Accent]:
    return [accent for phrase in parts for accent in choose(phrase.accents, min_gap_s=min_gap_s, rng=rng)]


def _times(accents: list[Accent]) -> np.ndarray:
    return np.array([a.time_s for a in accents])
