"""Hands of photographed people: small strokes on some stressed syllables, holds, rest where the picture has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.dataset.synth.motion import drift, keyframes
from paha.dataset.synth.stress import Accent, Phrase, choose

REACH = 0.5
"""Face heights from the rest pose that a wrist keeps within."""
_STROKE_S, _PREPARE_S, _RETRACT_S = 0.28, 0.45, 0.8
_MAX_TURN = 0.35
_STILL = np.zeros(3)


@dataclass(frozen=True)
class _Style:
    """Of one speech. size: face heights of a usual stroke. gap_s: between strokes. calm: share of phrases without.
    right, both: share of strokes by the right hand, and by both."""

    size: float
    gap_s: float
    calm: float
    right: float
    both: float


def hand_motion(parts: list[Phrase], at_s: np.ndarray, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Displacement of the wrists from rest (T, 2, 2), face heights, and turn of the hands (T, 2), radians clockwise.

    The person's left first; x to the right of the image, y down.
    """
    style = _Style(
        size=float(np.clip(np.exp(rng.normal(np.log(0.17), 0.4)), 0.05, 0.36)),
        gap_s=float(rng.uniform(0.8, 1.6)),
        calm=float(rng.uniform(0.3, 0.7)),
        right=float(rng.uniform(0.3, 0.7)),
        both=float(rng.uniform(0.2, 0.6)),
    )
    strokes: tuple[list[list[tuple[Accent, float]]], ...] = ([], [])
    for phrase in parts:
        accents = [] if rng.random() < style.calm else choose(phrase.accents, min_gap_s=style.gap_s, rng=rng)
        chosen: tuple[list[tuple[Accent, float]], ...] = ([], [])
        for accent in accents:
            size = style.size * float(rng.uniform(0.6, 1.2)) * (0.6 + 0.5 * accent.strength)
            for side in _sides(style, rng):
                chosen[side].append((accent, size * float(rng.uniform(0.85, 1.15))))
        for side in (0, 1):
            strokes[side].append(chosen[side])
    curves = [_trajectory(strokes[side], at_s, side=(1, -1)[side], rng=rng) for side in (0, 1)]
    both = np.stack(curves, 1)
    return both[..., :2], both[..., 2]


def _sides(style: _Style, rng: np.random.Generator) -> tuple[int, ...]:
    if rng.random() < style.both:
        return (0, 1)
    return (1,) if rng.random() < style.right else (0,)


def _trajectory(
    phrases: list[list[tuple[Accent, float]]], at_s: np.ndarray, *, side: int, rng: np.random.Generator
) -> np.ndarray:
    """(T, 3) displacement and turn of one hand. side: 1 for the left hand, which is on the image's right, else -1."""
    frames: list[tuple[float, np.ndarray]] = [(-10.0, _STILL)]
    for strokes in phrases:
        for accent, size in strokes:
            _stroke(frames, accent.time_s, size, side, rng)
        if frames[-1][1] is not _STILL:
            frames.append((frames[-1][0] + _RETRACT_S * float(rng.uniform(0.9, 1.4)), _STILL))
    frames.append((max(frames[-1][0], float(at_s[-1])) + 10.0, frames[-1][1]))
    path = keyframes(np.array([time for time, _ in frames]), np.stack([value for _, value in frames]), at_s)
    # A hand at rest is never quite still.
    for axis, amount in enumerate((0.012, 0.012, 0.02)):
        path[:, axis] += amount * drift(at_s, rng=rng, low_hz=0.1, high_hz=0.5)
    return _within_reach(path)


def _stroke(
    frames: list[tuple[float, np.ndarray]], land_s: float, size: float, side: int, rng: np.random.Generator
) -> None:
    """Raise the hand, strike down or outwards on the accent, hold. Left out where the hand has no time for it."""
    ready_s = land_s - _STROKE_S * float(rng.uniform(0.9, 1.3))
    since_s = frames[-1][0]
    if since_s > ready_s - 0.3:
        return
    up, outward = size * float(rng.uniform(0.6, 1.1)), size * float(rng.normal(0.15, 0.45))
    turn = float(rng.normal(0, 0.5)) * size / 0.2 * 0.25
    ready = np.array([side * outward, -up, turn])
    stroke = ready + np.array(
        [side * size * float(rng.uniform(0, 0.5)), size * float(rng.uniform(0.2, 0.7)), 0.3 * turn]
    )
    start_s = ready_s - _PREPARE_S * float(rng.uniform(0.9, 1.4))
    if start_s > since_s:
        frames.append((start_s, frames[-1][1]))
    frames += [(ready_s, ready), (land_s, stroke), (land_s + float(rng.uniform(0.1, 0.9)), stroke)]


def _within_reach(path: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(path[:, :2], axis=1, keepdims=True)
    path[:, :2] *= REACH * np.tanh(distance / REACH) / np.maximum(distance, 1e-9)
    path[:, 2] = np.clip(path[:, 2], -_MAX_TURN, _MAX_TURN)
    return path
