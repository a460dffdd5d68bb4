"""The 133 COCO-WholeBody keypoints of a layout and how sure a perfect observer would be of each."""

from __future__ import annotations

import numpy as np

from paha.dataset.synth.body import BodyFrame
from paha.dataset.synth.character import LONG_STYLES, Character
from paha.dataset.synth.hand_drawing import CHAINS, RADII
from paha.dataset.synth.hands import HandPose
from paha.dataset.synth.layout import Layout
from paha.types import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

VISIBLE, HIDDEN = 0.95, 0.3
SPEED_LIMIT = 0.08
"""A point that moves this far in a frame (frame widths) keeps exp(-1) of its score: motion blurs what is seen."""
SIDE = 128.0


def layout_points(layout: Layout, *, frame: BodyFrame) -> np.ndarray:
    """(133, 2) keypoints in 128ths of the frame; legs and feet hang below it."""
    points = np.empty((NUM_KEYPOINTS, 2), dtype=np.float64)
    marks = layout.landmarks
    points[0] = marks[30]
    points[1], points[2] = marks[42:48].mean(0), marks[36:42].mean(0)
    points[3:5] = layout.ears
    for index, (arm, hand) in enumerate(zip(layout.arms, layout.hands, strict=True)):
        points[[5 + index, 7 + index, 9 + index]] = frame.to_frame(np.stack([arm.shoulder, arm.elbow, arm.wrist]))
        points[(LEFT_HAND, RIGHT_HAND)[index]] = hand.joints[:, :2]
        x = arm.side * np.array([0.3, 0.3, 0.3, 0.38, 0.42, 0.3])
        y = np.array([1.45, 2.55, 3.6, 3.78, 3.76, 3.7])
        legs = frame.to_frame(np.stack([x, y], 1))
        points[[11 + index, 13 + index, 15 + index]] = legs[:3]
        points[17 + 3 * index : 20 + 3 * index] = legs[3:]
    points[FACE] = marks
    return points


def _segment_distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) distances from points (N, 2) to segments a-b (M, 2)."""
    span = b - a
    t = ((points[:, None] - a) * span).sum(-1) / ((span**2).sum(-1) + 1e-9)
    nearest = a + np.clip(t, 0, 1)[..., None] * span
    return np.linalg.norm(points[:, None] - nearest, axis=-1)


def covered_by_hand(points: np.ndarray, hand: HandPose) -> np.ndarray:
    """(N,) whether a hand lies over points (N, 2)."""
    low, high = hand.joints[:, :2].min(0) - 3, hand.joints[:, :2].max(0) + 3
    near = np.flatnonzero(((points > low) & (points < high)).all(1))
    covered = np.zeros(len(points), dtype=bool)
    if not len(near):
        return covered
    joints = hand.joints[:, :2]
    palm = [0, 0, 0, 0, 1]
    starts = np.concatenate([joints[palm], joints[CHAINS[:, :-1]].reshape(-1, 2)])
    ends = np.concatenate([joints[[5, 9, 13, 17, 5]], joints[CHAINS[:, 1:]].reshape(-1, 2)])
    radii = np.concatenate([np.full(5, 0.08), RADII[:, 1:].reshape(-1)]) * hand.length
    covered[near] = (_segment_distance(points[near], starts, ends) < radii).any(1)
    return covered


def covered_by_arm(points: np.ndarray, joints: np.ndarray, *, width: float) -> np.ndarray:
    """(N,) whether the forearm from joints[0] to joints[1] lies over points (N, 2)."""
    return _segment_distance(points, joints[:1], joints[1:2])[:, 0] < width


def layout_scores(
    layout: Layout, points: np.ndarray, previous: np.ndarray, *, character: Character, frame: BodyFrame
) -> np.ndarray:
    """(133,) confidences: 0 out of the frame, lower where hidden, turned away or fast."""
    scores = np.full(NUM_KEYPOINTS, VISIBLE)
    scores[17 + 6 : 17 + 6 + 68] *= _turned_away(layout)
    scores[3:5] *= _ears(layout, character)
    front = int(np.argmax([hand.joints[:, 2].mean() for hand in layout.hands]))
    head = np.r_[0:7, 23:91]
    for index, (arm, hand) in enumerate(zip(layout.arms, layout.hands, strict=True)):
        mine = (LEFT_HAND, RIGHT_HAND)[index]
        other = (RIGHT_HAND, LEFT_HAND)[index]
        targets = np.r_[head, 7 + (1 - index), 9 + (1 - index), np.arange(133)[other]] if index == front else head
        hidden = covered_by_hand(points[targets], hand)
        forearm = frame.to_frame(np.stack([arm.elbow, arm.wrist]))
        hidden |= covered_by_arm(points[targets], forearm, width=0.06 * frame.unit)
        scores[targets[hidden]] = HIDDEN
        scores[mine] *= _folded(hand)
    speed = np.linalg.norm(points - previous, axis=1) / (SPEED_LIMIT * SIDE)
    scores *= np.exp(-(speed**2))
    outside = ((points < 0) | (points >= SIDE)).any(1)
    scores[outside] = 0
    scores[11:23] = 0
    return scores


def _turned_away(layout: Layout) -> np.ndarray:
    """(68,) factor for landmarks on the side that the head turns away from the viewer."""
    factor = np.ones(68)
    yaw = float(layout.head.turn[0]) / 0.125
    ramp = np.linspace(1, -1, 17)
    # Turning to the image's right hides the image's right edge of the jaw.
    factor[:17] = 1 - 0.3 * np.clip(-ramp * yaw, 0, 1)
    return factor


def _ears(layout: Layout, character: Character) -> np.ndarray:
    """(2,) factor for the person's left and right ear."""
    yaw = float(layout.head.turn[0]) / 0.125
    base = 0.55 if character.hair.style in LONG_STYLES[:4] else 1.0
    return base * (1 - 0.5 * np.clip(np.array([yaw, -yaw]), 0, 1))


def _folded(hand: HandPose) -> np.ndarray:
    """(21,) factor: joints of curled fingers behind the palm, or of a hand seen edge on, are less sure."""
    factor = np.ones(21)
    behind = hand.joints[:, 2] < hand.joints[0, 2] - 0.12 * hand.length
    factor[behind] = 0.8
    return factor * (0.9 + 0.1 * min(1.0, abs(hand.facing) * 2))
