"""A person made of the mean face and a plain body, for tests of motion without pictures."""

from __future__ import annotations

import numpy as np

from paha.motion.face_model import FACE_68
from paha.motion.geometry import Geometry
from paha.motion.person import PersonMotion
from paha.types import FACE, LEFT_HAND, RIGHT_HAND

BODY = [(0.75, 1.05), (-0.75, 1.05), (1.0, 2.2), (-1.0, 2.2), (0.7, 2.9), (-0.7, 2.9), (0.5, 3.4), (-0.5, 3.4)]
"""Shoulders, elbows, wrists, hips, face heights from the face's middle."""


def keypoints(unit: float = 200.0, middle: tuple[float, float] = (300.0, 250.0)) -> np.ndarray:
    """(133, 2) pixels of somebody who faces the viewer with closed lips."""
    points = np.zeros((133, 2))
    points[FACE] = FACE_68[:, :2]
    points[[0, 1, 2, 3, 4]] = FACE_68[[30, 44, 38, 15, 1], :2]
    points[5:13] = BODY
    fan = np.stack([np.linspace(-0.15, 0.15, 21), np.linspace(0, 0.3, 21)], 1)
    points[LEFT_HAND], points[RIGHT_HAND] = points[9] + fan - fan[0], points[10] + fan - fan[0]
    return points * unit + middle


def scores(*, hands: bool = True, hips: bool = True, body: bool = True) -> np.ndarray:
    """(133,) all seen but for what is left out."""
    seen = np.ones(133, np.float32)
    seen[13:23] = 0
    if not body:
        seen[5:13] = seen[91:] = 0
    if not hips:
        seen[11:13] = 0
    if not hands:
        seen[9:11] = seen[91:] = 0
    return seen


def person(**seen: bool) -> Geometry:
    """Their geometry."""
    return Geometry.of(keypoints(), scores(**seen))


def gentle_motion(num_frames: int = 40, seed: int = 0) -> PersonMotion:
    """Relative motion of natural size: speaking lips, a turning head, blinks, hands that move."""
    rng = np.random.default_rng(seed)
    spread = {"head_shift": 0.02, "head_rotation": 0.07, "brows": 0.015, "gaze": 0.3, "parts": 0.05}
    motion = PersonMotion.rest(num_frames)
    for name, deviation in (spread | {"hand_rotation": 0.1, "mouth_wide": 0.015}).items():
        value = getattr(motion, name)
        value[:] = rng.normal(0, deviation, value.shape)
    motion.mouth_open[:] = rng.uniform(0, 0.1, num_frames)
    motion.lip_press[:] = rng.uniform(0, 0.5, num_frames)
    motion.lids[:] = rng.uniform(0, 0.8, (num_frames, 1))
    return motion
