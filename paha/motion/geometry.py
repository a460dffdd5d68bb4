"""Where a reference has its parts: the square grid about the person that motion latents live on.

The grid is tied to the face, not to the picture: a cell is CELL face heights wide, the face's middle lies at FACE_AT,
whatever the picture's framing. So a mouth is always in the same cells, a portrait and a half-body differ only in which
cells are empty, and parts outside the picture simply are not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from paha.motion.person import PARTS, HeadPose, PersonMotion, fit_head, measure
from paha.types import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

CELL = 0.75
"""Face heights a cell."""
FACE_AT = np.array([4.0, 2.0])
"""Cells from the grid's top left corner to the middle between forehead and chin."""
SEEN = 0.3
"""Score from which a keypoint counts as seen."""
HAND_SHARE = 0.5
"""Share of a hand's 21 points that must be seen."""


@dataclass(frozen=True)
class Geometry:
    """A reference person. points: (133, 2) pixels. scores: (133,). state: its own `PersonMotion`, one frame."""

    points: np.ndarray
    scores: np.ndarray
    state: PersonMotion

    @classmethod
    def of(cls, points: np.ndarray, scores: np.ndarray, *, gaze: np.ndarray | None = None) -> Geometry:
        """The geometry of one frame's keypoints; gaze: (2,) where it is known."""
        state = measure(points[None], reference=points)
        if gaze is not None:
            state.gaze[0] = gaze
        return cls(points.astype(np.float32), scores.astype(np.float32), state)

    @cached_property
    def head(self) -> HeadPose:
        """The face's pose, one frame."""
        return fit_head(self.points[None, FACE])

    @property
    def unit(self) -> float:
        """Pixels of a face height."""
        return float(self.head.scale[0])

    @property
    def parts_seen(self) -> np.ndarray:
        """(8,) bool: shoulders, elbows, wrists, hips."""
        return self.scores[PARTS] >= SEEN

    @property
    def hands_seen(self) -> np.ndarray:
        """(2,) bool, left and right."""
        return np.array([(self.scores[hand] >= SEEN).mean() >= HAND_SHARE for hand in (LEFT_HAND, RIGHT_HAND)])

    def to_cells(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) to cells of the grid."""
        return (points - self.head.centre[0]) / (CELL * self.unit) + FACE_AT

    def square(self, cells: int) -> tuple[float, float, float]:
        """(left, top, side) of the grid of cells x cells, pixels."""
        left, top = self.head.centre[0] - CELL * self.unit * FACE_AT
        return float(left), float(top), CELL * self.unit * cells

    def face_box(self) -> np.ndarray:
        """(4,) x0 y0 x1 y1 of the face's points and forehead, pixels."""
        face = self.points[FACE]
        top = self.head.centre[0, 1] - 0.5 * self.unit
        low, high = face.min(0), face.max(0)
        return np.array([low[0], min(top, low[1]), high[0], high[1]], np.float32)


def empty_points() -> np.ndarray:
    """(133, 2) zeros, to be filled."""
    return np.zeros((NUM_KEYPOINTS, 2), np.float32)
