"""Displacement fields of a photograph, on its grid: what each signal moves, and how far.

All are smooth, so that a frame's backward map follows from a few fixed-point steps. Where the face must tear, at lips
and lids, there are two fields, each continued smoothly beyond the edge, and `paha.motion.renderer` cuts between them.
Letters: h w the grid, (u, v) face heights along the face's own axes from a feature's middle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from paha.motion.face_model import PIVOT
from paha.motion.person import PARTS, PersonMotion, rotation_matrix
from paha.motion.photograph import Photograph
from paha.motion.triangulation import interpolate

UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LOWER_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip  # noqa: E501
LIDS = {
    "left": ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362)),
    "right": ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
}
BROWS = {"left": (336, 296, 334, 293, 300), "right": (70, 63, 105, 66, 107)}
BROWS_BELOW = {"left": (285, 295, 282, 283, 276), "right": (46, 53, 52, 65, 55)}
UPPER_SHARE = 0.1
"""Of an opening, what the upper lip rises; the rest is the jaw's."""
CHEEK_TOP = 0.25
"""Face heights above the lips from which the cheeks stretch as the jaw falls: over a shorter way they streak."""
GAZE_SHIFT = 0.1
"""Eye widths that an iris moves at gaze 1."""
LIMITS = np.array([0.22, 0.16, 0.16])
"""Radians of yaw, pitch and roll beyond which faces crumple."""
RELIEF = np.array([0.2, 0.65])
"""Share of depth added to the face's in yaw and pitch, so that MediaPipe reads the turn that was asked for."""
OPEN_GAIN, WIDE_GAIN = 1.04, 1.36
"""Of mouth_open, between full lips, and mouth_wide, so that MediaPipe reads off rendered frames what was asked for."""
FULL_LIPS, THIN_LIPS_GAIN, MOST_OPEN_GAIN = 0.09, 9.0, 1.4
"""Face heights of both lips together; how much more of an opening for each that is missing, and the most: a gap without
lips about it looks smaller, to MediaPipe by a half at 0.05."""
OVERLAP = 0.004
"""Face heights that closed lips overlap by."""
MAX_OPEN = 0.15
BORDER = 0.25
"""Face heights from the picture's border within which what reaches it is held."""


def smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """0 below low, 1 above high, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


@dataclass(frozen=True)
class Head:
    """The head as a solid. solid: (h, w, 3) x - pivot in 3D at each grid node, pixels. relief: (h, w) depth from the
    face's middle, pixels. weight: (h, w) how much a node belongs to the head."""

    solid: np.ndarray
    relief: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, photo: Photograph) -> Head:
        face, unit, grid = photo.landmarks.face, photo.unit, photo.grid
        centre = (face[10] + face[152]) / 2
        ring = face[list(OVAL)]
        outer = np.concatenate(
            [centre + (ring - centre) * (s, s, 1) + (0, 0, z * unit) for s, z in ((1.3, 0.1), (1.8, 0.15))]
        )
        known = np.concatenate([face[:468], outer])
        depth = interpolate(known[:, :2], known[:, 2], grid)
        depth = cv2.GaussianBlur(depth, (0, 0), 0.05 * unit / photo.step)
        pose = photo.geometry.head
        turned = rotation_matrix(pose.rotation)[0] @ PIVOT * unit
        pivot = np.append(centre[:2] + turned[:2], centre[2] + turned[2])
        solid = np.concatenate([grid, depth[..., None]], -1) - pivot.astype(np.float32)
        relief = depth - face[:468, 2].mean()
        return cls(solid.astype(np.float32), relief.astype(np.float32), head_weight(photo))

    def displacement(self, motion: PersonMotion, t: int, unit: float) -> np.ndarray:
        """(h, w, 2) of the head's turn and shift, not weighted."""
        turn = (rotation_matrix(limited_angles(motion.head_rotation[t])) - np.eye(3))[:2].astype(np.float32)
        turn_relief = (turn[:, 2] * RELIEF).astype(np.float32)
        return (
            self.solid @ turn.T
            + self.relief[..., None] * turn_relief
            + (unit * motion.head_shift[t]).astype(np.float32)
        )


def limited_angles(rotation: np.ndarray) -> np.ndarray:
    """(3,) radians drawn in to LIMITS: by 2 % at half of them, by 16 % at all."""
    return rotation / (1 + (rotation / LIMITS) ** 4) ** 0.25


def head_weight(photo: Photograph) -> np.ndarray:
    """(h, w): 1 on the head, 0 from the shoulders down, smooth along the neck."""
    face, unit = photo.landmarks.face, photo.unit
    chin = face[152, :2]
    shoulders = photo.landmarks.points[5:7]
    seen = photo.landmarks.scores[5:7] > 0.3
    neck = float((shoulders[seen].mean(0) - chin) @ photo.down) / unit if seen.any() else 0.55
    v = (photo.grid - chin) @ photo.down / unit
    u = (photo.grid - chin) @ photo.across / unit
    fall = max(0.35, neck + 0.15)
    # Off the neck, the shoulders rise towards the head: they stay with the body.
    return 1 - smoothstep(-0.12, fall, v + 0.35 * np.clip(np.abs(u) - 0.45, 0, 2) * smoothstep(-0.3, 0.3, v))


def border_hold(photo: Photograph) -> np.ndarray:
    """(h, w): 0 at the picture's border, beyond which there is nothing to show, to 1 within BORDER face heights."""
    height, width = photo.image.shape[:2]
    x, y = photo.grid[..., 0], photo.grid[..., 1]
    return smoothstep(0, BORDER, np.minimum(np.minimum(x, width - x), np.minimum(y, height - y)) / photo.unit)


@dataclass(frozen=True)
class Torso:
    """left, right: (h, w) how much a node follows each shoulder."""

    left: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, photo: Photograph) -> Torso:
        """The shoulders' move, blended across, fading towards the hips."""
        points, seen = photo.landmarks.points[PARTS][:2], photo.geometry.parts_seen[:2]
        if not seen.any():
            nothing = np.zeros(photo.lattice.shape, np.float32)
            return cls(nothing, nothing)
        span = max(abs(float(points[0, 0] - points[1, 0])), 0.5 * photo.unit)
        left = smoothstep(-0.5, 0.5, (photo.grid[..., 0] - points[:, 0].mean()) / span)
        fade = 1 - smoothstep(0.0, 2.6, (photo.grid[..., 1] - points[seen, 1].mean()) / photo.unit)
        shares = (left, 1 - left) if seen.all() else seen.astype(np.float32)
        return cls(*(fade * share for share in shares))

    def displacement(self, motion: PersonMotion, t: int, unit: float) -> np.ndarray:
        """(h, w, 2) pixels."""
        left, right = (unit * motion.parts[t, :2]).astype(np.float32)
        return self.left[..., None] * left + self.right[..., None] * right


@dataclass(frozen=True)
class Mouth:
    """Fields of the lips (h, w), in units of their signal's pixels along the face's axes.

    jaw_upper, jaw_lower: along `down`, of an opening, as the upper and the lower side of the lips follow it.
    wide: along `across`, of a change of width. press_upper, press_lower: along `down`, of a change of thickness.
    upper, lower: (N, 2) the inner edges of the lips from the image's left corner to the right. gain: of an opening.
    """

    jaw_upper: np.ndarray
    jaw_lower: np.ndarray
    wide: np.ndarray
    press_upper: np.ndarray
    press_lower: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    gain: float

    def faded(self, fade: np.ndarray) -> Mouth:
        """With its fields times a weight (h, w)."""
        names = ("jaw_upper", "jaw_lower", "wide", "press_upper", "press_lower")
        return replace(self, **{name: fade * getattr(self, name) for name in names})

    @classmethod
    def of(cls, photo: Photograph, grid: np.ndarray) -> Mouth:
        """grid: (h, w, 2) pixels of the nodes."""
        face, unit, across, down = photo.landmarks.face[:, :2], photo.unit, photo.across, photo.down
        upper, lower = face[list(UPPER_INNER)], face[list(LOWER_INNER)]
        corners = np.stack([upper[0], upper[-1]])
        middle = corners.mean(0)
        half = max(float((corners[1] - corners[0]) @ across) / 2 / unit, 0.05)
        outer = max(float((face[291] - face[61]) @ across) / 2 / unit, 0.06)
        chin = float((face[152] - middle) @ down) / unit
        u = (grid - middle) @ across / unit
        v = (grid - middle) @ down / unit

        def above(edge: np.ndarray) -> np.ndarray:
            """v less the edge's own v at the same u: signed distance below an inner edge."""
            at, height = (edge - middle) @ across / unit, (edge - middle) @ down / unit
            order = np.argsort(at)
            return v - np.interp(u, at[order], height[order], left=0, right=0).astype(np.float32)

        v_upper, v_lower = above(upper), above(lower)
        profile = np.clip(1 - np.abs(u / half) ** 2.2, 0, 1) ** 0.7
        # The chin follows the jaw; cheeks less, the further out and up; the throat no more.
        ring = (face[list(OVAL)] - middle) @ across / unit
        width = np.where(u < 0, max(-ring.min(), 0.2), max(ring.max(), 0.2))
        sides = 1 - smoothstep(0.35, 1.25, np.abs(u) / width)
        throat = 1 - smoothstep(chin + 0.02, chin + 0.4, v)
        cheek = smoothstep(-CHEEK_TOP, 0.9 * chin, v) * sides * throat
        jaw_lower = np.maximum(profile * throat, cheek)
        # Above the lips and between them, what lies within the corners stays with the skull.
        beside = np.maximum(smoothstep(0.6, 1.0, np.abs(u) / half), smoothstep(0.0, 0.3, v_upper))
        lift = np.exp(-((u / (1.3 * outer)) ** 2)) * np.exp(-((np.minimum(v_upper, 0) / 0.1) ** 2)) * profile
        near = np.exp(-((u / (1.7 * outer)) ** 4) - (v / 0.2) ** 4)
        thickness = max(float(np.linalg.norm(face[0] - face[13])) / unit, 0.02)
        return cls(
            jaw_upper=((1 - UPPER_SHARE) * cheek * beside - UPPER_SHARE * lift).astype(np.float32),
            jaw_lower=((1 - UPPER_SHARE) * jaw_lower).astype(np.float32),
            wide=(np.clip(u / outer, -1.2, 1.2) * near).astype(np.float32),
            press_upper=(_hump(-v_upper, thickness) * profile).astype(np.float32),
            press_lower=(-_hump(v_lower, thickness) * profile).astype(np.float32),
            upper=upper.astype(np.float32),
            lower=lower.astype(np.float32),
            gain=open_gain(float(np.linalg.norm(face[[0, 17]] - face[[13, 14]], axis=1).sum()) / unit),
        )


def open_gain(lips: float) -> float:
    """Of an opening between lips that thick together, face heights."""
    return OPEN_GAIN * float(np.clip(1 + THIN_LIPS_GAIN * (FULL_LIPS - lips), 1, MOST_OPEN_GAIN))


def _hump(distance: np.ndarray, thickness: float) -> np.ndarray:
    """0 at an edge, 1 at `thickness` from it, fading out by three times as far."""
    return smoothstep(0, thickness, distance) * (1 - smoothstep(thickness, 3.5 * thickness, distance))


@dataclass(frozen=True)
class Eye:
    """close: (h, w, 2) pixels that the upper lid's side moves as the eye closes. look: (h, w) how much moves with the
    iris. upper, lower: (N, 2) the lids' edges, from corner to corner. room: pixels above them that give way. width: of
    the eye, pixels."""

    close: np.ndarray
    look: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    room: float
    width: float

    def faded(self, fade: np.ndarray) -> Eye:
        """With its fields times a weight (h, w)."""
        return replace(self, close=fade[..., None] * self.close, look=fade * self.look)

    @classmethod
    def of(cls, photo: Photograph, grid: np.ndarray, side: str, iris: int) -> Eye:
        """grid: (h, w, 2) pixels of the nodes."""
        face, unit, across, down = photo.landmarks.face[:, :2], photo.unit, photo.across, photo.down
        upper, lower = (face[list(index)] for index in LIDS[side])
        width = float(np.linalg.norm(upper[0] - upper[-1]))
        middle = (upper[0] + upper[-1]) / 2
        u = (grid - middle) @ across
        v = (grid - middle) @ down
        at = (upper - middle) @ across
        order = np.argsort(at)
        edge = np.interp(u, at[order], ((upper - middle) @ down)[order], left=0, right=0)
        drop = np.interp(u, at[order], np.maximum(((lower - upper) @ down)[order], 0), left=0, right=0)
        room = max(float((upper[2:-2] - face[list(BROWS_BELOW[side])].max(0))[:, 1].min()), 0.045 * unit)
        fade = 1 - smoothstep(0.15, 1.0, (edge - v) / room)
        # A little further than the mesh's lower lid, or a rim of white stays.
        drop = 1.1 * drop + 0.04 * width * np.clip(1 - (u / (0.5 * width)) ** 2, 0, 1)
        close = (drop * fade)[..., None] * down
        centre = face[iris]
        radius = 0.32 * width
        look = np.exp(-((((grid - centre) ** 2).sum(-1) / radius**2) ** 1.5))
        edges = upper.astype(np.float32), lower.astype(np.float32)
        return cls(close.astype(np.float32), look.astype(np.float32), *edges, room, width)


def brow_field(photo: Photograph, grid: np.ndarray, side: str) -> np.ndarray:
    """(h, w): how much moves with a brow."""
    face, unit = photo.landmarks.face[:, :2], photo.unit
    brow = face[list(BROWS[side])]
    u = (grid - brow.mean(0)) @ photo.across / unit
    v = (grid - brow.mean(0)) @ photo.down / unit
    half = float(np.linalg.norm(brow[0] - brow[-1])) / 2 / unit
    return np.exp(-((u / (1.6 * half)) ** 4) - np.where(v > 0, (v / 0.06) ** 2, (v / 0.16) ** 2)).astype(np.float32)
