"""What is told to people about a photograph before it is animated: who was taken, and what may not work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from paha.errors import PahaError
from paha.types import LEFT_HAND, RIGHT_HAND

if TYPE_CHECKING:
    from paha.motion.landmarks import PersonReading

MIN_FACE_PX = 40
"""Height of the smallest face that is animated: below it lips are two or three pixels."""
MAX_YAW_DEGREES = 45.0
_SURE_FACE = 0.6
_LIPS = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)
_EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))
_SIDES = (234, 454)
"""Mesh points before the person's right and left ear."""
_FLAT_SHARE = 0.45
_FLAT_LEVEL = 2.0
"""Grey levels a pixel. Of 51 generated photographs at most 0.23 of a face is flatter, in the median 0.00."""


def check_face(box: np.ndarray) -> None:
    """Raises PahaError where a face box (x0, y0, x1, y1, ...) is too small to be animated."""
    height = float(box[3] - box[1])
    if height < MIN_FACE_PX:
        raise PahaError(
            f"the face is {height:.0f} pixels high, at least {MIN_FACE_PX} are needed; use a larger picture of it, "
            "or ask for a larger video"
        )


def head_yaw_degrees(face: np.ndarray) -> float:
    """Angle about the vertical axis of a face mesh (478, 3): 0 from the front, 90 a profile; positive where the
    picture shows more of the person's left cheek."""
    across = face[_SIDES[1]] - face[_SIDES[0]]
    return float(np.degrees(np.arctan2(across[2], np.linalg.norm(across[:2]) + 1e-6)))


def warnings_of(
    image: np.ndarray, reading: PersonReading, *, box: np.ndarray, others: np.ndarray, named: bool
) -> tuple[str, ...]:
    """Lines for people about a picture (H, W, 3) uint8 and what was read of it. named: the person chose the face."""
    told = []
    if len(others) and not named:
        where = ",".join(f"{value:.0f}" for value in box[:4])
        told.append(
            f"{len(others) + 1} people were found: the largest face, at {where}, is animated; name another by "
            "--face-box x0,y0,x1,y1"
        )
    yaw = abs(head_yaw_degrees(reading.face))
    if yaw > MAX_YAW_DEGREES:
        told.append(
            f"the face is turned by {yaw:.0f} degrees, more than {MAX_YAW_DEGREES:.0f}: lips may look wrong; use a "
            "picture seen more from the front"
        )
    told += [
        f"something covers the {part}: it may look wrong when it moves; use a picture that shows the {part}"
        for part in ("eyes", "mouth")
        if part in reading.covered or part in _under_hands(reading)
    ]
    if reading.face_score < _SURE_FACE:
        told.append(
            "the face was read with low confidence (covered, blurred, or no person's): look at the result before use"
        )
    if is_flat_drawing(image, reading.face):
        told.append("the picture looks like a drawing: its face may be read less exactly than a photograph's")
    return tuple(told)


def _under_hands(reading: PersonReading) -> list[str]:
    """Which of mouth and eyes lie under hand points."""
    parts = {"mouth": [_LIPS], "eyes": list(_EYES)}
    hands = [reading.points[side][reading.scores[side] > 0] for side in (LEFT_HAND, RIGHT_HAND)]
    tips = np.concatenate(hands)
    covered = []
    for name, rings in parts.items():
        hulls = [cv2.convexHull(reading.face[list(ring), :2].astype(np.float32)) for ring in rings]
        if any(cv2.pointPolygonTest(hull, (float(x), float(y)), False) > 0 for hull in hulls for x, y in tips):
            covered.append(name)
    return covered


def is_flat_drawing(image: np.ndarray, face: np.ndarray) -> bool:
    """Whether most of the face (mesh (478, 3), pixels) is of one colour each, as photographs' faces never are."""
    low = np.maximum(face[:, :2].min(0), 0).astype(int)
    high = face[:, :2].max(0).astype(int)
    crop = image[low[1] : high[1], low[0] : high[0]]
    if min(crop.shape[:2]) < 16:
        return False
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return float((slope < _FLAT_LEVEL).mean()) > _FLAT_SHARE
