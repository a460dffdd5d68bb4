"""A photograph prepared for moving: person and background apart, and axes fixed to the face.

Pixels are the picture's, float32, pixel centres at +0.5. `grid` is a lattice over the person's reach on which all
displacement fields live; it is a few pixels wide, so that a frame costs little beside resampling the picture.
Letters: H W the picture, h w the grid, J points of MediaPipe's face mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from paha.motion.arm_cut import ARMS, ArmCut, ArmPoints, cut_arm, refined_about
from paha.motion.geometry import Geometry
from paha.motion.landmarks import Landmarks
from paha.motion.lattice import Lattice
from paha.motion.matting import disk
from paha.motion.person import measure
from paha.motion.uncovered import with_held, without_person

GRID_STEP = 1 / 20
"""Width of a grid cell in face heights, at least 2 pixels: head, neck, torso and arms move smoothly."""
REACH = 0.35
"""Face heights about the person that may move."""
HALO = 0.02
"""Face heights by which the person's mask is grown: hair that the mask misses moves along rather than staying."""
ARM_SCORE = 0.7
"""Elbow and wrist must be seen as clearly for an arm to move, and the hand's points on average."""
IRIS = {"left": 473, "right": 468}


@dataclass(frozen=True)
class Photograph:
    """image: (H, W, 3) uint8. landmarks: of the person in it, in its pixels."""

    image: np.ndarray
    landmarks: Landmarks

    @cached_property
    def geometry(self) -> Geometry:
        """What the motion codec knows of the person."""
        state = measure(self.landmarks.points[None], reference=self.landmarks.points)
        return Geometry(self.landmarks.points, self.landmarks.scores, state)

    @cached_property
    def unit(self) -> float:
        """Pixels of a face height."""
        face = self.landmarks.face
        return float(np.linalg.norm(face[10] - face[152]))

    @cached_property
    def down(self) -> np.ndarray:
        """(2,) unit vector from forehead to chin in the image."""
        axis = (self.landmarks.face[152] - self.landmarks.face[10])[:2]
        return (axis / np.linalg.norm(axis)).astype(np.float32)

    @property
    def across(self) -> np.ndarray:
        """(2,) unit vector to the image's right, square to `down`."""
        return np.array([self.down[1], -self.down[0]], np.float32)

    @cached_property
    def region(self) -> tuple[slice, slice]:
        """Rows and columns that may change: the person with some room about it."""
        height, width = self.image.shape[:2]
        rows, columns = np.nonzero(self.landmarks.mask > 0.1)
        if not len(rows):
            return slice(0, height), slice(0, width)
        room = round(REACH * self.unit)
        top, left = max(0, rows.min() - room), max(0, columns.min() - room)
        return slice(top, min(height, rows.max() + room)), slice(left, min(width, columns.max() + room))

    @cached_property
    def lattice(self) -> Lattice:
        """The grid over `region`."""
        return Lattice.over(self.region[1], self.region[0], max(2, round(GRID_STEP * self.unit)))

    @property
    def step(self) -> int:
        """Pixels of a grid cell."""
        return self.lattice.step

    @property
    def grid(self) -> np.ndarray:
        """(h, w, 2) float32: pixels (x, y) of the grid's nodes, over `region`."""
        return self.lattice.nodes

    def to_nodes(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) to the grid's index coordinates."""
        return ((points - self.grid[0, 0]) / self.step).astype(np.float32)

    @cached_property
    def arm_cuts(self) -> dict[int, ArmCut]:
        """Arms whose hand is open, by side (0 left, 1 right), cut out of the picture."""
        return {side: cut_arm(self.image, self.landmarks, side, self.unit) for side in self._hands(open_=True)}

    def _hands(self, *, open_: bool) -> list[int]:
        """Sides whose elbow, wrist and hand are seen, the hand open or not."""
        points, scores = self.landmarks.points, self.landmarks.scores
        size = self.image.shape[1::-1]
        found = []
        for side, (_, elbow, wrist, hand) in enumerate(ARMS):
            inside = ((points[[elbow, wrist]] >= 0) & (points[[elbow, wrist]] < size)).all()
            seen = min(scores[elbow], scores[wrist], scores[hand].mean()) >= ARM_SCORE
            if inside and seen and ArmPoints.of(self.landmarks, side, self.unit).open == open_:
                found.append(side)
        return found

    @cached_property
    def alpha(self) -> np.ndarray:
        """(H, W) float32 in [0, 1]: how much of a pixel is the person, refined along the picture's own edges.

        It is grown a little where there may be hair, close about arms, and holds what closed hands hold.
        """
        mask = self.landmarks.mask
        grown = cv2.dilate(mask, disk(round(HALO * self.unit)))
        refined = guided_filter(self.image, grown.astype(np.float32), radius=max(2, round(0.04 * self.unit)))
        alpha = np.clip((refined - 0.08) / 0.84, 0, 1).astype(np.float32)
        for cut in self.arm_cuts.values():
            alpha = refined_about(alpha, self.image, mask, cut, unit=self.unit)
        held = [self.landmarks.points[ARMS[side][3]] for side in self._hands(open_=False)]
        return with_held(alpha, held, radius=0.6 * self.unit)

    @cached_property
    def background(self) -> np.ndarray:
        """(H, W, 3) uint8: the picture without the person, where moving may uncover it; untouched elsewhere."""
        return without_person(self.image, self.alpha, unit=self.unit)


def guided_filter(image: np.ndarray, mask: np.ndarray, *, radius: int, eps: float = 1e-3) -> np.ndarray:
    """The mask (H, W) made to follow the edges of the image (He et al. 2010), on its grey values."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    mean = lambda x: cv2.blur(x, (2 * radius + 1, 2 * radius + 1))  # noqa: E731
    mean_grey, mean_mask = mean(grey), mean(mask)
    a = (mean(grey * mask) - mean_grey * mean_mask) / (mean(grey * grey) - mean_grey**2 + eps)
    b = mean_mask - a * mean_grey
    return mean(a) * grey + mean(b)
