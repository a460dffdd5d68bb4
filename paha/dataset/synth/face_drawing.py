"""Draws the moving parts of a face into the head's texture (uint8 RGBA, seen from the front)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from paha.dataset.synth.character import Character
from paha.dataset.synth.drawing import SHIFT, fill, fixed_point, mix, opaque, ribbon, scaled, shifted, stroke
from paha.dataset.synth.face import Eye, FacePose, Mouth

_TAPER = np.sin(np.linspace(0.06, np.pi - 0.06, 13)) ** 0.6


class FacePainter:
    """Colours of a character's features and how to draw them at `scale` pixels a face height."""

    def __init__(self, character: Character, *, scale: float) -> None:
        skin, lips, hair = character.skin, character.lips, character.hair.colour
        grey = min(hair) > 120
        self.character, self.scale = character, scale
        self.brow = opaque(mix(scaled(hair, 0.62 if not grey else 0.6), skin, 0.12))
        self.lid = opaque(scaled(mix(skin, character.blush, 0.5), 0.86))
        self.crease = opaque(scaled(character.blush, 0.62))
        self.lash = opaque(mix((32, 24, 24), character.blush, 0.12))
        self.lower_lash = opaque(scaled(character.blush, 0.52))
        self.white, self.white_shade = opaque((244, 242, 240)), opaque((206, 200, 202))
        self.iris, self.iris_rim = opaque(character.eye_colour), opaque(scaled(character.eye_colour, 0.55))
        self.iris_light = opaque(scaled(character.eye_colour, 1.35))
        self.lip_top, self.lip_bottom = opaque(scaled(lips, 0.86)), opaque(lips)
        self.lip_light = opaque(mix(lips, (255, 236, 230), 0.26))
        self.lip_line = opaque(scaled(lips, 0.5))
        self.mouth, self.tongue = opaque((62, 18, 22)), opaque((178, 84, 84))
        self.teeth, self.lower_teeth = opaque((242, 238, 230)), opaque((206, 198, 190))

    def draw(self, image: np.ndarray, pose: FacePose, *, origin: np.ndarray) -> None:
        """Draw brows, eyes and mouth in place; `origin` is the unit coordinate of the picture's corner."""
        for line, width in pose.brows:
            self._fill(image, ribbon(line, width) - origin, self.brow)
        for eye in pose.eyes:
            self._eye(image, eye, origin)
        self._mouth(image, pose.mouth, origin)

    def _fill(self, image: np.ndarray, points: np.ndarray, colour: Sequence[float]) -> None:
        fill(image, points * self.scale, colour)

    def _eye(self, image: np.ndarray, eye: Eye, origin: np.ndarray) -> None:
        upper, lower, open_upper = eye.upper - origin, eye.lower - origin, eye.open_upper - origin
        self._fill(image, np.concatenate([shifted(open_upper, 0, -0.006), lower[::-1]]), self.lid)
        crease = open_upper + np.array([0, -0.02]) + 0.35 * (upper - open_upper)
        stroke(image, crease[1:-1] * self.scale, self.crease, thickness=round(0.008 * self.scale))
        if float((lower - upper)[6, 1]) > 0.012:
            self._eyeball(image, eye, origin)
        self._fill(image, ribbon(lower[3:], np.full(10, 0.0035)), self.lower_lash)
        lashes = self.character.face.lashes
        width = (0.0075 + 0.006 * lashes) * _TAPER * np.linspace(0.7, 1.15, 13)
        line = upper + np.array([0, -0.003])
        if lashes > 0.5:
            line[-1] += (eye.side * 0.02 * lashes, -0.012 * lashes)
        self._fill(image, ribbon(line, width), self.lash)

    def _eyeball(self, image: np.ndarray, eye: Eye, origin: np.ndarray) -> None:
        """White, iris, pupil and glint, cut by the lids."""
        outline = np.concatenate([eye.upper, eye.lower[::-1]]) - origin
        low = np.floor(outline.min(0) * self.scale).astype(int) - 1
        high = np.ceil(outline.max(0) * self.scale).astype(int) + 2
        region = image[low[1] : high[1], low[0] : high[0]]
        patch = np.empty_like(region)
        patch[:] = self.white
        shift = -(origin + low / self.scale)
        shade = np.concatenate([shifted(eye.upper, 0, -0.03), shifted(eye.upper, 0, 0.014)[::-1]])
        self._fill(patch, shade + shift, self.white_shade)
        centre = (eye.iris + shift) * self.scale
        radius = self.character.face.eye_height * 0.98 * self.scale
        parts = [((0, 0), 1.0, self.iris_rim), ((0, 0.1), 0.8, self.iris), ((0, 0.42), 0.42, self.iris_light)]
        parts += [
            ((0, 0), 0.46, (18, 14, 16, 255)),
            ((0.36 * np.sign(self.character.light), -0.38), 0.27, (255, 255, 255, 255)),
        ]
        for (dx, dy), size, colour in parts:
            at = fixed_point(centre + np.array([dx, dy]) * radius)
            cv2.circle(patch, at.tolist(), round(size * radius * (1 << SHIFT)), colour, -1, cv2.LINE_AA, SHIFT)
        self._fill(
            patch,
            np.concatenate([shifted(eye.upper, 0, -0.03), shifted(eye.upper, 0, 0.006)[::-1]]) + shift,
            self.lower_lash,
        )
        mask = np.zeros(region.shape[:2], dtype=np.uint8)
        self._fill(mask, np.concatenate([eye.upper, eye.lower[::-1]]) + shift, (255,))
        weight = mask[..., None].astype(np.int16)
        region[:] = region + (patch.astype(np.int16) - region) * weight // 255

    def _mouth(self, image: np.ndarray, mouth: Mouth, origin: np.ndarray) -> None:
        top_outer, top_inner = mouth.top_outer - origin, mouth.top_inner - origin
        bottom_inner, bottom_outer = mouth.bottom_inner - origin, mouth.bottom_outer - origin
        self._fill(image, np.concatenate([bottom_inner, bottom_outer[::-1]]), self.lip_bottom)
        shine = bottom_inner + (bottom_outer - bottom_inner) * 0.38
        thick = (bottom_outer - bottom_inner)[4:13, 1] * 0.2 * np.sin(np.linspace(0.2, np.pi - 0.2, 9))
        self._fill(image, ribbon(shifted(shine[4:13], 0.012 * self.character.light, 0), thick), self.lip_light)
        self._fill(image, np.concatenate([top_outer, top_inner[::-1]]), self.lip_top)
        gap = bottom_inner[:, 1] - top_inner[:, 1]
        if gap[8] > 0.008:
            self._inside(image, top_inner, bottom_inner, gap)
        width = 0.0065 * np.sin(np.linspace(0.35, np.pi - 0.35, 17)) * (1 if gap[8] < 0.02 else 0.5)
        self._fill(image, ribbon(top_inner, width), self.lip_line)

    def _inside(self, image: np.ndarray, top: np.ndarray, bottom: np.ndarray, gap: np.ndarray) -> None:
        """Dark of the mouth, teeth along the upper lip, tongue and lower teeth along the lower one."""
        self._fill(image, np.concatenate([top, bottom[::-1]]), self.mouth)
        inner = slice(2, 15)
        down = np.array([0.0, 1.0])
        if gap[8] > 0.05:
            rise = np.minimum(0.42 * gap, 0.07)[inner] * np.sin(np.linspace(0.2, np.pi - 0.2, 13))
            tongue = bottom[inner] - rise[:, None] * down
            self._fill(image, np.concatenate([tongue, bottom[inner][::-1]]), self.tongue)
        upper = np.minimum(0.5 * gap, 0.036)[inner]
        teeth = top[inner] + upper[:, None] * down
        self._fill(image, np.concatenate([top[inner], teeth[::-1]]), self.teeth)
