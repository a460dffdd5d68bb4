"""Random people as a photograph shows them: keypoints, what of them is in the picture, and how they hold themselves.

Lengths in face heights, origin in the middle between forehead and chin, x to the right of the image, y down. Means and
deviations are those of MediaPipe's landmarks on 1,027 generated portraits and half-bodies (people who do not exist;
MIT, CC0 and Apache-2.0), rounded; framings are wider than theirs, as a picture may show a face or a figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.motion.face_model import FACE_68
from paha.motion.person import PersonMotion, move_points
from paha.types import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

_EYES = (slice(36, 42), slice(42, 48))
_BROWS, _NOSTRILS, _JAW, _MOUTH = slice(17, 27), slice(31, 36), slice(0, 17), slice(48, 68)
# A flat open hand, fingers up the image, thumb to the right: wrist, then thumb to little finger; length 1.
_FINGERS = ((0.25, 0.25, 0.55), (0.13, 0.5, 0.98), (0.0, 0.52, 1.0), (-0.11, 0.5, 0.94), (-0.22, 0.45, 0.8))


@dataclass(frozen=True)
class ReferencePerson:
    """A person in a picture. points: (133, 2), facing the viewer, mouth closed. scores: (133,), 0 where hidden."""

    points: np.ndarray
    scores: np.ndarray

    def in_state(self, state: PersonMotion) -> np.ndarray:
        """(133, 2) keypoints of the person in a state of one frame, counted from the neutral one."""
        return move_points(self.points, state)[0].astype(np.float32)


def random_person(rng: np.random.Generator) -> ReferencePerson:
    """A person of random build, arms and framing."""
    points = np.zeros((NUM_KEYPOINTS, 2))
    points[FACE] = _face(rng)
    face = points[FACE]
    points[0], points[1], points[2] = face[30], face[_EYES[1]].mean(0), face[_EYES[0]].mean(0)
    points[3], points[4] = face[15] + (0.03, 0.0), face[1] - (0.03, 0.0)
    _place_body(points, rng)
    return ReferencePerson(points.astype(np.float32), _scores(points, rng))


def _face(rng: np.random.Generator) -> np.ndarray:
    """(68, 2) from the mean face."""
    face = FACE_68[:, :2].copy()
    face[:, 0] *= rng.normal(1, 0.02)
    face[_JAW, 0] *= rng.normal(1, 0.03)
    face[_BROWS, 1] += rng.normal(0, 0.02)
    face[_NOSTRILS, 0] *= rng.normal(1, 0.12)
    face[27:36, 1] += rng.normal(0, 0.01)
    apart, size = rng.normal(1, 0.04), rng.normal(1, 0.07)
    for eye in _EYES:
        middle = face[eye].mean(0)
        face[eye] = middle * (apart, 1) + (face[eye] - middle) * size * (1, rng.normal(1, 0.1))
    mouth = face[_MOUTH]
    middle = mouth.mean(0)
    face[_MOUTH] = middle + (0, rng.normal(0, 0.018)) + (mouth - middle) * (rng.normal(1, 0.08), rng.uniform(0.7, 1.4))
    return face


def _place_body(points: np.ndarray, rng: np.random.Generator) -> None:
    """Fill shoulders, elbows, wrists, hips, legs and hands of points (133, 2); sides: 1 left (image's right), -1."""
    middle = np.array([rng.normal(0, 0.15), np.clip(rng.normal(0.9, 0.15), 0.6, 1.3)])
    half, tilt = np.clip(rng.normal(0.82, 0.13), 0.4, 1.2), rng.normal(0, 0.08)
    hips = rng.normal(2.65, 0.35)
    pose = rng.choice(["down", "front", "raised", "mixed"], p=[0.4, 0.3, 0.15, 0.15])
    for index, side in enumerate((1, -1)):
        shoulder = middle + side * np.array([half, tilt])
        arm = rng.choice(["down", "front", "raised"]) if pose == "mixed" else pose
        elbow = shoulder + rng.normal(1.5, 0.2) * _toward(np.deg2rad(rng.normal(12, 10)), side)
        # Outward from straight down: negative angles bring the hand in front of the body.
        angle, length = {
            "down": (rng.normal(-5, 12), rng.normal(1.25, 0.15)),
            "front": (rng.uniform(-120, -30), rng.uniform(0.5, 1.25)),
            "raised": (rng.normal(-170, 25), rng.uniform(0.6, 1.3)),
        }[str(arm)]
        wrist = elbow + length * _toward(np.deg2rad(angle), side)
        points[[5 + index, 7 + index, 9 + index]] = shoulder, elbow, wrist
        hip = middle + np.array([side * 0.62 * half * rng.normal(1, 0.1), hips])
        points[11 + index] = hip
        points[[13 + index, 15 + index]] = hip + (0, 2.2), hip + (0, 4.4)
        points[17 + 3 * index : 20 + 3 * index] = points[15 + index] + (0.1 * side, 0.3)
        direction = np.deg2rad(angle + rng.normal(0, 20))
        points[(LEFT_HAND, RIGHT_HAND)[index]] = _hand(wrist, direction, side, rng)


def _toward(angle: float, side: int) -> np.ndarray:
    """Unit vector at an angle from straight down, outward positive."""
    return np.array([side * np.sin(angle), np.cos(angle)])


def _hand(wrist: np.ndarray, angle: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """(21, 2) joints of a hand that points along the angle, more or less closed and turned."""
    along, thumb = _toward(angle, side), rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)
    across = thumb * np.array([-along[1], along[0]])
    reach = rng.uniform(0.4, 1.0)
    joints = [np.zeros(2)]
    for offset, knuckle, tip in _FINGERS:
        for step in range(4):
            up = knuckle + (tip - knuckle) * reach * step / 3 if offset != _FINGERS[0][0] else tip * (0.3 + 0.2 * step)
            joints.append(np.array([offset * (1 + 0.15 * step), up]))
    flat = np.array(joints) * rng.normal(0.7, 0.08)
    return wrist + flat[:, :1] * across + flat[:, 1:] * along


def _scores(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(133,) float32: 0 outside the picture or hidden, else 0.6 to 1."""
    kind = rng.choice(["portrait", "half-body", "figure"], p=[0.4, 0.48, 0.12])
    bottom, side = {
        "portrait": (rng.normal(1.4, 0.3), rng.normal(1.3, 0.25)),
        "half-body": (rng.uniform(1.9, 4.2), rng.uniform(1.3, 2.8)),
        "figure": (rng.uniform(3.5, 7.5), rng.uniform(1.5, 4.0)),
    }[str(kind)]
    shift = rng.normal(0, 0.15)
    seen = (points[:, 1] < max(bottom, 0.62)) & (np.abs(points[:, 0] - shift) < max(side, 0.62))
    scores = np.where(seen, rng.uniform(0.6, 1.0, NUM_KEYPOINTS), 0.0)
    scores[FACE] = rng.uniform(0.8, 1.0)
    for index, hand in enumerate((LEFT_HAND, RIGHT_HAND)):
        if rng.random() < 0.1 or scores[9 + index] == 0:  # behind the back, in a pocket
            scores[hand], scores[9 + index] = 0.0, 0.0
        elif (scores[hand] > 0).mean() < 0.5 or rng.random() < 0.25:  # seen, but not well enough for its fingers
            scores[hand] = 0.0
    if rng.random() < 0.3:  # under a table, a jacket
        scores[11:17] = 0.0
    return scores.astype(np.float32)


def random_hold(rng: np.random.Generator) -> PersonMotion:
    """How a person holds head and mouth in the picture and while speaking: one frame, counted from neutral."""
    hold = PersonMotion.rest(1)
    turn = rng.normal((0.0, 0.03, 0.0), (0.24, 0.1, 0.06)).clip(-0.6, 0.6)
    hold.head_rotation[0] = turn
    if rng.random() < 0.35:  # a smile stays
        hold.mouth_wide[0] = rng.uniform(0.0, 0.09)
    hold.brows[0] = rng.normal(0, 0.008)
    return hold


def random_state(rng: np.random.Generator, *, hold: PersonMotion) -> PersonMotion:
    """The state of the photograph's moment, not of speech: lips closed, or apart in a smile; other gaze, a tilt."""
    state = PersonMotion.rest(1)
    state.head_rotation[0] = rng.normal(0, (0.07, 0.05, 0.04))
    state.head_shift[0] = rng.normal(0, 0.02, 2)
    state.gaze[0] = rng.normal(0, (0.3, 0.15)).clip(-0.9, 0.9)
    state.brows[0] += rng.normal(0, 0.008)
    if rng.random() < 0.15:
        state.lids[0] = rng.uniform(0, 0.5)
    if rng.random() < 0.45:
        state.mouth_open[0] = rng.uniform(0.0, 0.06) if rng.random() < 0.85 else rng.uniform(0.06, 0.1)
        state.mouth_wide[0] = rng.uniform(-0.01, 0.03)
    state.parts[0] = rng.normal(0, 0.01, (8, 2))
    return state.after(hold)
