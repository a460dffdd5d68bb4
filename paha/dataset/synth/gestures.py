"""Hands: strokes that land on stressed syllables, prepared, held and retracted; rest in the pauses.

One-to-many on purpose: which accents, which hand, which kind of gesture, how large and with which hand shape is drawn
at random; only *when* strokes land follows from the speech.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.dataset.synth.motion import drift, keyframes
from paha.dataset.synth.stress import Accent, Phrase, choose

MAX_MEAN_SPEED = 3.0
"""Shoulder widths a second over a whole move; the peak of a minimum-jerk move is 1.875 times that."""
ARM_LENGTH = 1.55
_SHOULDER = np.array([0.5, 0.0])


@dataclass(frozen=True)
class GestureKind:
    """A gesture of one hand in coordinates of that hand's side (x positive outward, y down, in shoulder widths).

    ready, stroke: (x, y) at the end of the preparation and of the stroke. shape: openness, palm, wrist angle there.
    """

    ready: tuple[float, float]
    stroke: tuple[float, float]
    shape: tuple[float, float, float]


GESTURES = {
    "beat": GestureKind((0.42, 0.85), (0.42, 1.15), (0.55, 0.0, 0.05)),
    "sweep": GestureKind((0.18, 0.95), (0.95, 0.95), (0.85, 0.7, 0.2)),
    "offer": GestureKind((0.4, 1.2), (0.72, 1.0), (0.95, 0.95, 0.35)),
    "raise": GestureKind((0.6, 1.0), (0.75, 0.35), (0.25, 0.3, 0.1)),
    "chop": GestureKind((0.5, 0.6), (0.35, 1.1), (0.8, -0.1, -0.2)),
    "gather": GestureKind((0.75, 0.9), (0.12, 1.0), (0.2, -0.6, -0.35)),
    "push": GestureKind((0.55, 0.95), (0.6, 0.7), (0.95, 0.85, 0.0)),
    "draw": GestureKind((0.2, 0.7), (0.8, 1.15), (0.4, -0.5, 0.3)),
}
_REST = {"down": ((0.42, 1.9), (0.4, -0.5, 0.0)), "belly": ((0.14, 1.42), (0.35, -0.8, -0.3))}


@dataclass(frozen=True)
class _Style:
    """What stays the same over one speech: rest pose, size of gestures, time between strokes, liking for the right
    hand, share of phrases without gestures."""

    rest: str
    size: float
    gap_s: float
    right_share: float
    calm_share: float


@dataclass(frozen=True)
class _Move:
    """A stroke of one hand: the hand is ready at ready_s, lands at land_s and holds until hold_s."""

    ready_s: float
    land_s: float
    hold_s: float
    ready: np.ndarray
    stroke: np.ndarray


@dataclass(frozen=True)
class Hands:
    """Wrists (T, 2) and hand shapes (T, 3) as in RigSignals, and the accents that strokes land on."""

    left_wrist: np.ndarray
    right_wrist: np.ndarray
    left_shape: np.ndarray
    right_shape: np.ndarray
    strokes: tuple[Accent, ...]


def gesture(parts: list[Phrase], at_s: np.ndarray, *, rng: np.random.Generator) -> Hands:
    """Hands for the phrases of a speech at the times at_s (T,)."""
    style = _Style(
        rest=str(rng.choice(["down", "belly"], p=[0.65, 0.35])),
        size=float(rng.uniform(0.85, 1.35)),
        gap_s=float(rng.uniform(0.5, 0.9)),
        right_share=float(rng.uniform(0.3, 0.7)),
        calm_share=float(rng.uniform(0.05, 0.3)),
    )
    moves: dict[str, list[list[_Move]]] = {"left": [], "right": []}
    strokes: list[Accent] = []
    for phrase in parts:
        chosen = choose(phrase.accents, min_gap_s=style.gap_s * rng.uniform(0.8, 1.3), rng=rng)
        if rng.random() < style.calm_share:
            chosen = []
        planned = _plan_phrase(chosen, phrase, style, rng)
        strokes += chosen
        for side, side_moves in planned.items():
            moves[side].append(side_moves)
    left = _trajectory(moves["left"], at_s, style, rng)
    right = _trajectory(moves["right"], at_s, style, rng)
    mirror = np.array([-1, 1])
    return Hands(left[:, :2], right[:, :2] * mirror, left[:, 2:], right[:, 2:], tuple(strokes))


def _plan_phrase(
    chosen: list[Accent], phrase: Phrase, style: _Style, rng: np.random.Generator
) -> dict[str, list[_Move]]:
    """Which hand strikes which accent, and how. The choice of hands lasts for some strokes, as people do it."""
    planned: dict[str, list[_Move]] = {"left": [], "right": []}
    hands = _choose_hands(style, rng)
    for index, accent in enumerate(chosen):
        if rng.random() < 0.35:
            hands = _choose_hands(style, rng)
        kind = GESTURES[str(rng.choice(list(GESTURES)))]
        next_s = chosen[index + 1].time_s if index + 1 < len(chosen) else phrase.end_s + 0.25
        scale = style.size * rng.uniform(0.7, 1.15) * (0.7 + 0.4 * accent.strength)
        for side in hands:
            # Two hands mirror each other, never exactly.
            planned[side].append(_move(kind, accent, next_s, scale * rng.uniform(0.9, 1.1), rng))
    return planned


def _choose_hands(style: _Style, rng: np.random.Generator) -> tuple[str, ...]:
    if rng.random() < 0.35:
        return ("left", "right")
    return ("right",) if rng.random() < style.right_share else ("left",)


def _move(kind: GestureKind, accent: Accent, next_s: float, scale: float, rng: np.random.Generator) -> _Move:
    middle = 0.5 * (np.array(kind.ready) + np.array(kind.stroke)) + rng.normal(0, 0.07, 2)
    half = 0.5 * (np.array(kind.stroke) - np.array(kind.ready)) * scale
    shape = np.array(kind.shape) + rng.normal(0, 1, 3) * (0.12, 0.2, 0.12)
    ready_shape = 0.6 * shape + 0.4 * np.array([0.45, 0.0, 0.0])
    stroke_s = rng.uniform(0.2, 0.32)
    hold_s = accent.time_s + rng.uniform(0.15, 0.7) * max(0.0, next_s - accent.time_s - 0.45)
    return _Move(
        ready_s=accent.time_s - stroke_s,
        land_s=accent.time_s,
        hold_s=hold_s,
        ready=np.concatenate([_reachable(middle - half), _bounded(ready_shape)]),
        stroke=np.concatenate([_reachable(middle + half), _bounded(shape)]),
    )


def _reachable(point: np.ndarray) -> np.ndarray:
    """The nearest point within the arm's length and the space before the body."""
    boxed = np.clip(point, (-0.25, 0.2), (1.25, 1.5))
    reach = boxed - _SHOULDER
    distance = float(np.hypot(*reach))
    return _SHOULDER + reach * min(1.0, 0.95 * ARM_LENGTH / max(distance, 1e-6))


def _bounded(shape: np.ndarray) -> np.ndarray:
    return np.clip(shape, (0, -1, -0.7), (1, 1, 0.7))


def _trajectory(groups: list[list[_Move]], at_s: np.ndarray, style: _Style, rng: np.random.Generator) -> np.ndarray:
    """(T, 5) wrist and shape of one hand: rest, then per phrase prepare, stroke, hold ..., retract."""
    point, shape = _REST[style.rest]
    rest = np.array([*point, *shape]) + np.array([*rng.normal(0, 0.03, 2), *rng.normal(0, 0.08, 3)])
    frames: list[tuple[float, np.ndarray]] = [(-10.0, rest)]
    for moves in groups:
        for move in moves:
            _prepare(frames, move, rest)
            frames += [(move.land_s, move.stroke), (move.hold_s, move.stroke)]
        if moves:
            frames.append((moves[-1].hold_s + rng.uniform(0.5, 0.75), rest))
    _relax(frames, rest)
    frames.append((max(frames[-1][0], float(at_s[-1])) + 10.0, frames[-1][1]))
    times, values = _slowed(frames)
    path = keyframes(times, values, at_s)
    # A held hand is never quite still.
    for axis, amount in enumerate((0.02, 0.02, 0.03, 0.05, 0.04)):
        path[:, axis] += amount * drift(at_s, rng=rng, low_hz=0.15, high_hz=0.7)
    return path.clip((-0.4, 0.15, 0, -1, -0.75), (1.4, 2.1, 1, 1, 0.75))


def _prepare(frames: list[tuple[float, np.ndarray]], move: _Move, rest: np.ndarray) -> None:
    """Go to the stroke's start. A retraction that the stroke overtakes is dropped; after a long hold there is one."""
    if frames[-1][0] > move.ready_s - 0.35 and len(frames) > 2:
        frames.pop()
    elif move.ready_s - frames[-1][0] > 2.0 and frames[-1][1] is not rest:
        frames.append((frames[-1][0] + 0.75, rest))
    previous_s, previous = frames[-1]
    if previous_s > move.ready_s - 0.12:
        # No time to prepare: cut the hold, and strike from where the hand is.
        frames[-1] = (min(previous_s, max(frames[-2][0] + 0.01, move.land_s - 0.25)), previous)
        return
    travel_s = max(0.4, float(np.hypot(*(move.ready - previous)[:2])) / MAX_MEAN_SPEED)
    start_s = move.ready_s - travel_s
    if start_s > previous_s:
        frames.append((start_s, previous))
    frames.append((move.ready_s, move.ready))


def _relax(frames: list[tuple[float, np.ndarray]], rest: np.ndarray) -> None:
    """The speech's last retraction always ends at rest."""
    if frames[-1][1] is not rest:
        frames.append((frames[-1][0] + 0.7, rest))


def _slowed(frames: list[tuple[float, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Times (K,) strictly rising and values (K, 5); moves too fast for an arm fall short of their goal."""
    times, values = [frames[0][0]], [frames[0][1]]
    for time_s, value in frames[1:]:
        time_s = max(time_s, times[-1] + 1e-3)
        step = value - values[-1]
        distance = float(np.hypot(*step[:2]))
        share = min(1.0, MAX_MEAN_SPEED * (time_s - times[-1]) / max(distance, 1e-6))
        times.append(time_s)
        values.append(values[-1] + share * step)
    return np.array(times), np.stack(values)
