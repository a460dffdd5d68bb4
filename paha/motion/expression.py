"""The face's own motion on a fine lattice about it: mouth, brows, gaze and lids, before the head carries it along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.motion.compositing import Box
from paha.motion.fields import BROWS, GAZE_SHIFT, LIDS, OVAL, WIDE_GAIN, Eye, Mouth, brow_field, smoothstep
from paha.motion.lattice import Lattice
from paha.motion.person import PRESS_THICKNESS, PersonMotion
from paha.motion.photograph import IRIS, Photograph

FACE_STEP = 1 / 40
"""Width of the fine lattice's step in face heights, at least 2 pixels."""
FADE = 3
"""Nodes at the fine lattice's border over which everything fades to nothing."""


@dataclass(frozen=True)
class Expression:
    """box: pixels that move with the face's features. lattice: the fine one over it."""

    photo: Photograph
    box: Box
    lattice: Lattice
    mouth: Mouth
    eyes: dict[str, Eye]
    brows: dict[str, np.ndarray]

    @classmethod
    def of(cls, photo: Photograph) -> Expression:
        """Of a photograph's face."""
        box = face_box(photo)
        lattice = Lattice.over(box.columns, box.rows, max(2, round(FACE_STEP * photo.unit)))
        grid = lattice.nodes
        fade = border_fade(lattice.shape)
        eyes = {side: Eye.of(photo, grid, side, IRIS[side]).faded(fade) for side in LIDS}
        brows = {side: fade * brow_field(photo, grid, side) for side in BROWS}
        return cls(photo, box, lattice, Mouth.of(photo, grid).faded(fade), eyes, brows)

    def upper_face(self, motion: PersonMotion, t: int) -> np.ndarray:
        """(h, w, 2) displacement, pixels, of the mouth's width, brows and gaze: what both sides of a tear share."""
        photo, unit = self.photo, self.photo.unit
        moved = self.mouth.wide[..., None] * (0.5 * unit * WIDE_GAIN * motion.mouth_wide[t] * photo.across)
        for index, (side, eye) in enumerate(self.eyes.items()):
            moved += self.brows[side][..., None] * (-unit * motion.brows[t, index] * photo.down)
            look = GAZE_SHIFT * eye.width * (motion.gaze[t, 0] * photo.across + 0.5 * motion.gaze[t, 1] * photo.down)
            moved += eye.look[..., None] * look.astype(np.float32)
        return moved

    def upper_lip(self, opening: float, press: float) -> np.ndarray:
        """(h, w, 2) that the upper lip's side moves. opening: face heights. press: lip_press."""
        return self._lip(self.mouth.jaw_upper, self.mouth.press_upper, opening, press)

    def lower_lip(self, opening: float, press: float) -> np.ndarray:
        """(h, w, 2) that the jaw's side moves."""
        return self._lip(self.mouth.jaw_lower, self.mouth.press_lower, opening, press)

    def _lip(self, jaw: np.ndarray, thickness: np.ndarray, opening: float, press: float) -> np.ndarray:
        unit = np.float32(self.photo.unit)
        along = jaw * (unit * np.float32(opening))
        along += thickness * (unit * np.float32(0.5 * PRESS_THICKNESS * np.clip(press, -0.5, 1)))
        return along[..., None] * self.photo.down


def face_box(photo: Photograph) -> Box:
    """Pixels that the face's features may move: from above the brows to the throat."""
    face, unit = photo.landmarks.face[:, :2], photo.unit
    ring = face[list(OVAL)]
    u, v = (ring - face[152]) @ photo.across / unit, np.array([-1.05, 0.45])
    u = np.array([u.min() - 0.2, u.max() + 0.2])
    corners = face[152] + unit * np.array([a * photo.across + b * photo.down for a in u for b in v])
    return Box.about(corners.min(0), corners.max(0))


def border_fade(shape: tuple[int, int]) -> np.ndarray:
    """(h, w) float32: 0 at the border, 1 from FADE nodes on."""
    y, x = (smoothstep(0, FADE, np.minimum(np.arange(n), n - 1 - np.arange(n))) for n in shape)
    return np.minimum(y[:, None], x)
