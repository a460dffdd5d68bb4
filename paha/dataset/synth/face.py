"""The moving parts of a face seen from the front: eyes, brows, mouth, jaw; their shapes, 68 landmarks and drawing.

Units and axes as in `head`. Landmarks are the 68 of iBUG: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67,
each from the image's left to right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.dataset.synth.character import Character, FaceShape
from paha.dataset.synth.drawing import smooth
from paha.dataset.synth.head import face_outline

MOUTH_GAP = 0.168
"""Distance between the lips at mouth_open 1."""
JAW_DROP = 0.095
"""How far the chin falls at jaw 1."""
BROW_RISE = 0.042
_S_MOUTH = np.linspace(-1, 1, 17, dtype=np.float32)
_S_EYE = np.linspace(-1, 1, 13, dtype=np.float32)


@dataclass(frozen=True)
class FaceMotion:
    """The rig signals of the face in one frame; ranges as in `RigSignals`."""

    mouth_open: float = 0.0
    mouth_wide: float = 0.0
    lip_press: float = 0.0
    jaw: float = 0.0
    brow: float = 0.0
    blink: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0


@dataclass(frozen=True)
class Mouth:
    """Four curves (17, 2) from the image's left corner to the right: outer and inner edges of both lips."""

    top_outer: np.ndarray
    top_inner: np.ndarray
    bottom_inner: np.ndarray
    bottom_outer: np.ndarray

    def landmarks(self) -> np.ndarray:
        """(20, 2) iBUG points 48-67."""
        outer = [self.top_outer[[0, 3, 6, 8, 10, 13, 16]], self.bottom_outer[[13, 10, 8, 6, 3]]]
        return np.concatenate([*outer, self.top_inner[[1, 5, 8, 11, 15]], self.bottom_inner[[11, 8, 5]]])


@dataclass(frozen=True)
class Eye:
    """One eye: upper and lower lid (13, 2) from the inner to the outer corner, the open upper lid, the iris' centre."""

    upper: np.ndarray
    lower: np.ndarray
    open_upper: np.ndarray
    iris: np.ndarray
    side: int


def mouth_shape(face: FaceShape, motion: FaceMotion) -> Mouth:
    """Lips for the given opening, width and pressure."""
    s, wide, press = _S_MOUTH, motion.mouth_wide, motion.lip_press
    opening = motion.mouth_open * (1 - press)
    pucker, spread = max(0.0, -wide), max(0.0, wide)
    half = face.mouth_width * (1 + 0.2 * spread - 0.36 * pucker) * (1 - 0.07 * opening)
    gap = MOUTH_GAP * opening * (1 - 0.12 * spread)
    arch = 1 - s**2
    gape = arch ** (0.72 - 0.2 * pucker - 0.12 * opening)
    corner = face.mouth_y - 0.006 - 0.012 * spread + 0.2 * gap
    line = corner + (face.mouth_y + 0.004 - corner) * arch - 0.003 * np.cos(s * np.pi * 2) * (1 - opening)
    top_inner = line - 0.12 * gap * gape
    bottom_inner = line + 0.88 * gap * gape
    thick = (1 + 0.25 * pucker - 0.12 * spread - 0.15 * opening) * (1 - 0.55 * press)
    cupid = arch**0.62 * (1 - 0.2 * np.exp(-((s / 0.17) ** 2)) * (1 - 0.6 * opening))
    top_outer = top_inner - face.lip_upper * thick * cupid
    bottom_outer = bottom_inner + face.lip_lower * thick * arch**0.6
    x = half * s
    return Mouth(*(np.stack([x, y], 1) for y in (top_outer, top_inner, bottom_inner, bottom_outer)))


def eye_shape(face: FaceShape, motion: FaceMotion, *, side: int) -> Eye:
    """One eye (side +1: on the image's right)."""
    s = _S_EYE
    blink = float(np.clip(motion.blink, 0, 1))
    wide = 1 + 0.14 * max(0.0, motion.brow) - 0.1 * max(0.0, -motion.brow) - 0.14 * max(0.0, motion.gaze_y)
    slant = -face.eye_tilt * s + 0.004 * (s < -0.8)
    open_upper = slant - face.eye_height * wide * (1 - np.abs(s + 0.06) ** 2.3).clip(0)
    lower = slant + face.eye_height * 0.52 * (1 - s**2) * (1 - 0.15 * blink)
    upper = open_upper + blink * (lower - 0.004 - open_upper)
    x = side * (face.eye_x + face.eye_width * s)
    iris = np.array([side * face.eye_x + 0.032 * motion.gaze_x, -0.006 + 0.014 * motion.gaze_y])
    lids = [np.stack([x, y], 1) for y in (upper, lower, open_upper)]
    return Eye(upper=lids[0], lower=lids[1], open_upper=lids[2], iris=iris, side=side)


def brow_shape(face: FaceShape, motion: FaceMotion, *, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre line (M, 2), from the inner to the outer end, and half width (M,) of one brow."""
    rise, frown = BROW_RISE * motion.brow, max(0.0, -motion.brow)
    y, arch = -face.brow_y, face.brow_arch
    control = [
        (face.eye_x - 0.105 - 0.008 * frown, y + 0.008 - rise * (0.9 if motion.brow < 0 else 0.8)),
        (face.eye_x - 0.045, y - arch * 0.45 - rise),
        (face.eye_x + 0.03, y - arch - rise * 1.1),
        (face.eye_x + 0.12, y + 0.012 - rise * 0.7),
    ]
    line = smooth(control, samples=4, closed=False) * np.array([side, 1], dtype=np.float32)
    t = np.linspace(0, 1, len(line))
    return line, face.brow_thickness * (0.78 + 0.5 * t - 1.16 * t**3).clip(0.14) * np.minimum(1, 0.55 + 4 * t)


def jaw_fall(y: np.ndarray) -> np.ndarray:
    """Share of the jaw's drop that skin at height y takes: 0 above the lips, 1 at the chin, fading below it."""
    down = np.clip((y - 0.25) / 0.27, 0, 1)
    fade = np.clip((y - 0.7) / 0.26, 0, 1)
    return down**2 * (3 - 2 * down) * (1 - fade**2 * (3 - 2 * fade))


def drop_jaw(points: np.ndarray, jaw: float) -> np.ndarray:
    """Where points (N, 2) of the still face go when the jaw falls; inverts y -> y - JAW_DROP jaw jaw_fall(y)."""
    y = points[:, 1]
    moved = y
    for _ in range(6):
        moved = y + JAW_DROP * jaw * jaw_fall(moved)
    return np.stack([points[:, 0], moved], 1)


def still_landmarks(face: FaceShape) -> np.ndarray:
    """(26, 2) landmarks that lie on the still skin: jaw 0-16 and nose 27-35."""
    outline = face_outline(face)
    right = outline[: len(outline) // 2 + 1]
    right = right[(right[:, 1] > -0.03) & (right[:, 0] >= 0)]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(right, axis=0), axis=1))])
    at = np.linspace(0, length[-1], 9)
    half = np.stack([np.interp(at, length, right[:, 0]), np.interp(at, length, right[:, 1])], 1)
    half[-1, 0] = 0
    jaw = np.concatenate([half * (-1, 1), half[-2::-1]])
    tip, width = face.nose_y, face.nose_width
    bridge = [(0, y) for y in np.linspace(-0.015, tip - 0.03, 4)]
    base = [(width * f, tip + 0.022 - 0.012 * abs(f)) for f in (-0.8, -0.4, 0, 0.4, 0.8)]
    return np.concatenate([jaw, bridge, base])


@dataclass(frozen=True)
class FacePose:
    """Everything that moves in a face in one frame, and its 68 landmarks in the head's still frame."""

    mouth: Mouth
    eyes: tuple[Eye, Eye]
    brows: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    landmarks: np.ndarray
    jaw: float


def pose_face(character: Character, motion: FaceMotion, *, still: np.ndarray) -> FacePose:
    """Shapes and landmarks; `still` is `still_landmarks(face)`, kept by the caller."""
    face = character.face
    mouth = mouth_shape(face, motion)
    left, right = (eye_shape(face, motion, side=side) for side in (-1, 1))
    brow_left, brow_right = (brow_shape(face, motion, side=side) for side in (-1, 1))
    at = np.linspace(0, len(brow_left[0]) - 1, 5).round().astype(int)
    jaw = drop_jaw(still, motion.jaw)
    eye_left = [left.upper[[12, 8, 4, 0]], left.lower[[4, 8]]]
    eye_right = [right.upper[[0, 4, 8, 12]], right.lower[[8, 4]]]
    parts = [jaw[:17], brow_left[0][at[::-1]], brow_right[0][at], jaw[17:], *eye_left, *eye_right, mouth.landmarks()]
    return FacePose(mouth, (left, right), (brow_left, brow_right), np.concatenate(parts).astype(np.float32), motion.jaw)
