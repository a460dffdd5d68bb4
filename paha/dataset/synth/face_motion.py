"""Head, brows, eyes and shoulders: nods and raised brows on stressed syllables, blinks, glances, breathing."""

from __future__ import annotations

import numpy as np

from paha.dataset.synth.motion import bumps, drift, random_times, steps
from paha.dataset.synth.stress import Accent, Phrase, choose


def head_motion(parts: list[Phrase], at_s: np.ndarray, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """head_yaw, head_pitch, head_roll (T,) in [-1, 1]: nods on accents, turns at phrases, slow sway."""
    accents = _some(parts, min_gap_s=0.45, rng=rng)
    turns_s = np.array([phrase.start_s + rng.uniform(-0.2, 0.4) for phrase in parts])
    turns = np.concatenate([[rng.normal(0, 0.15)], rng.normal(0, 0.3, len(parts)).clip(-0.7, 0.7)])
    tilts = np.concatenate([[rng.normal(0, 0.1)], rng.normal(0, 0.25, len(parts))])
    heights = np.array([a.strength for a in accents]) * rng.uniform(0.3, 0.8) * rng.uniform(0.5, 1.3, len(accents))
    nods = bumps(_times(accents), heights, at_s, rise_s=0.2, fall_s=0.35)
    return {
        "head_pitch": np.clip(nods - 0.1 + 0.15 * drift(at_s, rng=rng), -1, 1),
        "head_yaw": np.clip(steps(turns_s, turns, at_s, move_s=0.6) + 0.2 * drift(at_s, rng=rng), -1, 1),
        "head_roll": np.clip(steps(turns_s, tilts, at_s, move_s=0.7) + 0.15 * drift(at_s, rng=rng), -1, 1),
    }


def brow_motion(parts: list[Phrase], at_s: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """(T,) in [-1, 1]: raised on some strong accents, drawn together over some phrases."""
    accents = [a for a in _some(parts, min_gap_s=0.8, rng=rng) if rng.random() < 0.6]
    raises = bumps(_times(accents), rng.uniform(0.4, 1.0, len(accents)), at_s, rise_s=0.15, fall_s=0.4)
    moods = np.concatenate([[0.0], rng.choice([0.0, 0.25, -0.45], len(parts), p=[0.5, 0.25, 0.25])])
    moods_s = np.array([phrase.start_s for phrase in parts])
    return np.clip(raises + steps(moods_s, moods, at_s, move_s=0.4) + 0.08 * drift(at_s, rng=rng), -1, 1)


def eye_motion(at_s: np.ndarray, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """blink (T,) every 2 to 5 s; gaze_x, gaze_y (T,): glances away from the viewer and back."""
    duration_s = float(at_s[-1]) + 0.1
    blinks_s = random_times(rng, duration_s, low_s=2.0, high_s=5.0)
    glances_s = random_times(rng, duration_s, low_s=0.8, high_s=2.6)
    # About half of all fixations are on the viewer.
    away = (rng.random(len(glances_s) + 1) < 0.45).astype(float)
    move_s = 0.08
    return {
        "blink": np.clip(bumps(blinks_s, np.ones(len(blinks_s)), at_s, rise_s=0.12, fall_s=0.18) * 1.15, 0, 1),
        "gaze_x": steps(glances_s, away * rng.uniform(-0.9, 0.9, len(away)), at_s, move_s=move_s).clip(-1, 1),
        "gaze_y": steps(glances_s, away * rng.uniform(-0.5, 0.6, len(away)), at_s, move_s=move_s).clip(-1, 1),
    }


def shoulder_motion(parts: list[Phrase], at_s: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """(T,) in [-1, 1]: a breath before each phrase, let out while speaking; quiet breathing; some shrugs."""
    breaths_s = np.array([phrase.start_s - 0.05 for phrase in parts])
    breaths = bumps(breaths_s, rng.uniform(0.25, 0.5, len(parts)), at_s, rise_s=0.45, fall_s=1.6)
    quiet = 0.15 * np.sin(2 * np.pi * (rng.uniform(0.2, 0.3) * at_s + rng.random()))
    shrugs = [a for a in _some(parts, min_gap_s=2.0, rng=rng) if rng.random() < 0.15]
    shrugging = bumps(_times(shrugs), rng.uniform(0.4, 0.7, len(shrugs)), at_s, rise_s=0.25, fall_s=0.5)
    return np.clip(breaths + quiet + shrugging, -1, 1)


def _some(parts: list[Phrase], *, min_gap_s: float, rng: np.random.Generator) -> list[Accent]:
    return [accent for phrase in parts for accent in choose(phrase.accents, min_gap_s=min_gap_s, rng=rng)]


def _times(accents: list[Accent]) -> np.ndarray:
    return np.array([a.time_s for a in accents])
