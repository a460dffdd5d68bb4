"""Hands: forward kinematics of 21 joints in three dimensions, in COCO-WholeBody order.

Order: wrist, then thumb, index, middle, ring and little finger from root to tip (four points each).
Unit: hand lengths (wrist to the open middle finger's tip); z to the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.dataset.synth.body import ArmPose
from paha.dataset.synth.head_warp import rotation

# Roots of index, middle, ring and little finger on the palm: along the hand, towards the thumb.
KNUCKLES = np.array([[0.455, 0.165], [0.475, 0.05], [0.45, -0.065], [0.4, -0.17]])
BONES = np.array([[0.235, 0.15, 0.115], [0.255, 0.165, 0.12], [0.235, 0.155, 0.115], [0.185, 0.115, 0.1]])
FAN_SPREAD = np.deg2rad([13.0, 3.0, -8.0, -20.0])
FAN_FIST = np.deg2rad([2.0, 0.0, -3.0, -6.0])
FLEX_FIST = np.deg2rad([84.0, 98.0, 62.0])
FLEX_OPEN = np.deg2rad([4.0, 9.0, 6.0])
CURL = np.array([0.86, 0.97, 1.04, 1.08])
"""How much of the closing each finger takes."""
THUMB_OPEN = np.array([[0.12, 0.13, 0.03], [0.29, 0.27, 0.06], [0.42, 0.37, 0.07], [0.53, 0.44, 0.06]])
THUMB_FIST = np.array([[0.12, 0.12, 0.06], [0.29, 0.19, 0.14], [0.42, 0.09, 0.2], [0.46, -0.04, 0.22]])
"""Thumb joints: along the hand, towards the thumb's side, out of the palm."""
FLATTEN = 0.4
"""Share of the forearm's lean towards the viewer that the drawn hand keeps."""


@dataclass(frozen=True)
class HandPose:
    """21 joints (21, 3) in 128ths of the frame (z to the viewer), the palm's facing to the viewer, the length."""

    joints: np.ndarray
    facing: float
    length: float
    side: int


def hand_joints(openness: float) -> np.ndarray:
    """(21, 3) joints in the hand's own axes: along the hand, towards the thumb, out of the palm."""
    closed = 1 - float(np.clip(openness, 0, 1))
    fan = FAN_SPREAD + (FAN_FIST - FAN_SPREAD) * closed
    flex = np.cumsum(FLEX_OPEN + CURL[:, None] * closed**1.15 * (FLEX_FIST - FLEX_OPEN), axis=1)
    forward = BONES * np.cos(flex)
    steps = np.stack([forward * np.cos(fan)[:, None], forward * np.sin(fan)[:, None], BONES * np.sin(flex)], -1)
    roots = np.concatenate([KNUCKLES, np.zeros((4, 1))], 1)[:, None]
    fingers = np.concatenate([roots, roots + np.cumsum(steps, axis=1)], 1)
    thumb = THUMB_OPEN + (THUMB_FIST - THUMB_OPEN) * closed**1.3
    return np.concatenate([np.zeros((1, 3)), thumb, fingers.reshape(16, 3)])


def palm_angle(palm: float) -> float:
    """Turn about the forearm in radians: 0 palm to the viewer (palm = 1), pi its back (-1); hurries past edge-on."""
    return 0.5 * np.pi * (1 - np.sign(palm) * abs(palm) ** 0.6)


def pose_hand(arm: ArmPose, *, wrist: np.ndarray, openness: float, palm: float, bend: float, length: float) -> HandPose:
    """Joints of a hand at `wrist` (2,) in the frame. `bend` in radians: positive away from the body's midline."""
    axis = arm.wrist - arm.elbow
    axis = axis * (1, 1, FLATTEN)
    turned = rotation(bend * arm.side) @ axis[:2]
    axis = np.array([turned[0], turned[1], axis[2]])
    axis /= np.linalg.norm(axis) + 1e-9
    normal = np.array([0, 0, 1.0]) - axis * axis[2]
    normal /= np.linalg.norm(normal) + 1e-9
    thumb = np.cross(axis, normal) * arm.side
    angle = palm_angle(float(palm))
    cos, sin = np.cos(angle), np.sin(angle)
    basis = np.stack([axis, cos * thumb - sin * normal, cos * normal + sin * thumb])
    joints = hand_joints(openness) @ basis * length
    joints[:, :2] += wrist
    return HandPose(joints=joints, facing=float(cos), length=length, side=arm.side)
