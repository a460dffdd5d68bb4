"""Draws a hand from its 21 joints: palm and five tapered fingers, sorted by depth, each with a darker rim."""

from __future__ import annotations

import cv2
import numpy as np

from paha.dataset.synth.character import Character
from paha.dataset.synth.drawing import fill_convex, fixed_point, lit, mix, opaque, scaled, smooth
from paha.dataset.synth.hands import HandPose

RADII = np.array(
    [
        [0.075, 0.062, 0.054, 0.044],
        [0.056, 0.051, 0.046, 0.038],
        [0.058, 0.053, 0.047, 0.039],
        [0.055, 0.05, 0.045, 0.037],
        [0.047, 0.043, 0.039, 0.033],
    ]
)
"""Half widths at the joints of thumb, index, middle, ring and little finger, in hand lengths."""
RIM = 0.0155
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 6)
_COS, _SIN = np.cos(_ARC), np.sin(_ARC)
CHAINS = np.arange(1, 21).reshape(5, 4)
"""Joint indices of the five fingers."""


def capsules(joints: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Convex outlines (F, 3, 12, 2) of the bones of F fingers with joints (F, 4, 2) and half widths (F, 4)."""
    a, b = joints[:, :-1], joints[:, 1:]
    span = b - a
    direction = span / (np.linalg.norm(span, axis=-1, keepdims=True) + 1e-6)
    normal = np.stack([-direction[..., 1], direction[..., 0]], -1)

    def cap(centre: np.ndarray, radius: np.ndarray, sign: float) -> np.ndarray:
        arc = sign * (_COS[:, None] * direction[..., None, :] + _SIN[:, None] * normal[..., None, :])
        return centre[..., None, :] + radius[..., None, None] * arc

    return np.concatenate([cap(b, radii[:, 1:], 1.0), cap(a, radii[:, :-1], -1.0)], axis=-2)


class HandPainter:
    """Colours of a character's hands and how to draw them."""

    def __init__(self, character: Character) -> None:
        skin, blush = character.skin, character.blush
        self.rim = opaque(scaled(mix(skin, blush, 0.5), 0.6))
        self.back, self.palm = opaque(scaled(skin, 0.97)), opaque(mix(scaled(skin, 1.03), blush, 0.1))
        self.far = opaque(scaled(mix(skin, blush, 0.25), 0.84))
        self.light = opaque(lit(skin, 1.04, 7))
        self.crease = opaque(scaled(mix(skin, blush, 0.6), 0.76))
        self.nail = opaque(mix(skin, (255, 226, 220), 0.6))
        self.toward_light = float(np.sign(character.light))

    def draw(self, image: np.ndarray, hand: HandPose, *, zoom: float) -> None:
        """Draw the hand in place; `zoom` pixels make a 128th of the frame."""
        size = hand.length * zoom
        joints = hand.joints[CHAINS]
        points = joints[..., :2] * zoom
        outer = fixed_point(capsules(points, (RADII + RIM) * size))
        inner = fixed_point(capsules(points, RADII * size))
        near = joints[:, 1:, 2].mean(1) > hand.joints[[0, 5, 9, 17], 2].mean() + 0.002 * hand.length
        order = np.argsort(joints[:, 1:, 2].mean(1), kind="stable")
        for finger in order:
            if not near[finger]:
                self._finger(image, outer[finger], inner[finger], self.far if hand.facing > 0 else self.back)
        self._palm(image, hand, zoom)
        for finger in order:
            if near[finger]:
                self._finger(image, outer[finger], inner[finger], self.palm if hand.facing > 0 else self.back)
        self._details(image, hand, points, size)

    def _finger(self, image: np.ndarray, outer: np.ndarray, inner: np.ndarray, colour: tuple) -> None:
        for outline in outer:
            fill_convex(image, outline, self.rim)
        for outline in inner:
            fill_convex(image, outline, colour)

    def _palm(self, image: np.ndarray, hand: HandPose, zoom: float) -> None:
        outline = palm_outline(hand) * zoom
        centre = outline.mean(0)
        grown = outline + (outline - centre) * (
            RIM * hand.length * zoom / (np.linalg.norm(outline - centre, axis=1)[:, None] + 1e-6)
        )
        fill_convex(image, _hull(grown), self.rim)
        fill_convex(image, _hull(outline), self.palm if hand.facing > 0 else self.back)
        glow = centre + (outline - centre) * 0.55 + np.array([0.05 * self.toward_light, -0.04]) * hand.length * zoom
        fill_convex(image, _hull(glow), self.light)

    def _details(self, image: np.ndarray, hand: HandPose, points: np.ndarray, size: float) -> None:
        """A lighter streak on each finger; nails on the back, the thumb's crease in the palm."""
        offset = np.array([0.012 * self.toward_light, -0.012]) * size
        streaks = fixed_point(
            capsules(points[:, 1:] * 0.94 + points[:, :-1] * 0.06 + offset, RADII[:, 1:] * size * 0.42)
        )
        for outline in streaks.reshape(-1, *streaks.shape[2:]):
            fill_convex(image, outline, self.light)
        if hand.facing < -0.3:
            tips = points[:, 3] * 0.8 + points[:, 2] * 0.2
            for tip in tips:
                fill_convex(image, fixed_point(tip + _UNIT * 0.024 * size), self.nail)


_UNIT = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 8, endpoint=False)), np.sin(np.linspace(0, 2 * np.pi, 8, endpoint=False))], 1
)


def palm_outline(hand: HandPose) -> np.ndarray:
    """Outline (M, 2) of the palm in 128ths of the frame."""
    j = hand.joints[:, :2]
    along = j[9] - j[0]
    across = (j[5] - j[17]) / (np.linalg.norm(j[5] - j[17]) + 1e-6) * hand.length
    if np.linalg.norm(j[5] - j[17]) < 0.12 * hand.length:
        # Edge on: the palm keeps its thickness.
        across = np.array([-along[1], along[0]]) / (np.linalg.norm(along) + 1e-6) * hand.length
    wide = across * 0.055
    corners = [j[0] + across * 0.075, j[1] + wide * 0.4, j[5] + wide, (j[9] + j[5]) / 2 + along * 0.06]
    corners += [
        (j[9] + j[13]) / 2 + along * 0.06,
        j[13] + along * 0.02,
        j[17] - wide * 0.8,
        (j[17] + j[0]) / 2 - across * 0.1,
        j[0] - across * 0.085,
    ]
    return smooth(np.asarray(corners), samples=3)


def _hull(points: np.ndarray) -> np.ndarray:
    return cv2.convexHull(fixed_point(points))
