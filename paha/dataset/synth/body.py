"""Pose of torso, arms and wrists: from rig signals to joints by two-bone inverse kinematics.

Body units: 1 is the shoulder width, origin midway between the shoulders, x to the image's right, y down,
z to the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.dataset.synth.character import Character
from paha.dataset.synth.sleeves import FOREARM, UPPER_ARM

SHOULDER_RISE = 0.035
"""How far the shoulders rise at a signal of 1."""
SHOULDER = (0.455, 0.085)
"""The shoulder joint: inside the torso's outline, which the sleeve's round end touches."""
REACH = np.array([0.86, 0.62])
"""Wrist targets are drawn nearer to the chest than life has them, so that gestures stay in the frame."""


@dataclass(frozen=True)
class ArmPose:
    """Joints (3,) of one arm in body units; side +1 is the person's left, on the image's right."""

    shoulder: np.ndarray
    elbow: np.ndarray
    wrist: np.ndarray
    side: int


def reach_depth(wrist: np.ndarray) -> float:
    """How far in front of the body a hand at (x, y) is held: more when it is raised or crosses the middle."""
    raised = float(np.clip((1.45 - wrist[1]) / 0.8, 0, 1))
    return 0.1 + 0.32 * raised * raised * (3 - 2 * raised)


def solve_arm(wrist: np.ndarray, *, side: int, lift: float) -> ArmPose:
    """Arm whose wrist is at (x, y), or as near to it as the arm reaches; the elbow points outward, down and back."""
    shoulder = np.array([SHOULDER[0] * side, SHOULDER[1] - lift, 0.0])
    target = np.array([*(wrist * REACH), reach_depth(wrist)])
    span = target - shoulder
    distance = float(np.linalg.norm(span)) + 1e-9
    axis = span / distance
    distance = float(np.clip(distance, 0.22, (UPPER_ARM + FOREARM) * 0.998))
    along = (distance**2 + UPPER_ARM**2 - FOREARM**2) / (2 * distance)
    across = np.sqrt(max(0.0, UPPER_ARM**2 - along**2))
    pole = np.array([0.5 * side, 0.75, -0.55])
    pole = pole - axis * (pole @ axis)
    elbow = shoulder + along * axis + across * pole / (np.linalg.norm(pole) + 1e-9)
    return ArmPose(shoulder=shoulder, elbow=elbow, wrist=shoulder + distance * axis, side=side)


class BodyFrame:
    """Where body units lie in the frame (128ths)."""

    def __init__(self, character: Character) -> None:
        self.origin = np.array([character.framing.centre_x, character.framing.shoulder_y])
        self.unit = character.shoulder_width

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """(..., 2 or 3) body units to (..., 2) 128ths of the frame."""
        return self.origin + points[..., :2] * self.unit


def torso_matrix(frame: BodyFrame, *, low: np.ndarray, scale: float, zoom: float, lift: float) -> np.ndarray:
    """2x3 affine matrix, texture to frame pixels: raising the shoulders stretches the torso off its lower edge."""
    bottom = 1.3
    stretch = (bottom + lift) / bottom
    factor = frame.unit * zoom / scale
    offset_x = (frame.origin[0] + low[0] * frame.unit) * zoom
    offset_y = (frame.origin[1] + (bottom + (low[1] - bottom) * stretch) * frame.unit) * zoom
    return np.array([[factor, 0, offset_x], [0, factor * stretch, offset_y]])


def limb_matrix(
    start: np.ndarray, end: np.ndarray, *, length: float, low: np.ndarray, scale: float, unit: float
) -> np.ndarray:
    """2x3 affine matrix that lays a strip's bone from start to end (frame pixels); only its length is foreshortened."""
    bone = (end - start) / max(length * unit, 1e-6)
    size = float(np.linalg.norm(bone))
    direction = bone / size if size > 1e-6 else np.array([0.0, 1.0])
    along = direction * max(size, 0.12) * unit / scale
    across = np.array([-direction[1], direction[0]]) * unit / scale
    linear = np.stack([along, across], 1)
    return np.concatenate([linear, (start + linear @ (low * scale))[:, None]], 1)
