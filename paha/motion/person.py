"""How a person moves: the signals that motion latents carry, measured off keypoints and applied to them.

The unit of length is the *face height*: from the top of the forehead to the chin (points 10 and 152 of MediaPipe's face
mesh). Axes are the picture's: x to the right, y down, z away from the viewer. Left and right are the person's.
Legend: T frames, K keypoints (133, `paha.types`), J face points (68, iBUG's order).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from paha.motion.face_model import FACE_68, PIVOT
from paha.types import FACE, LEFT_HAND, RIGHT_HAND

PARTS = slice(5, 13)
"""Keypoints that move on their own: shoulders, elbows, wrists and hips, the left one of each pair first."""
NUM_PARTS = 8
LEFT_WRIST, RIGHT_WRIST = 9, 10
SIGNAL_WIDTHS = {
    "head_shift": 2,
    "head_rotation": 3,
    "mouth_open": 1,
    "mouth_wide": 1,
    "lip_press": 1,
    "lids": 2,
    "brows": 2,
    "gaze": 2,
    "parts": 2 * NUM_PARTS,
    "hand_rotation": 2,
}
"""Numbers a frame of each signal."""
PRESS_THICKNESS = 0.04
"""Face heights by which both lips together are thinner at lip_press 1."""
LID_APERTURE = 0.3
"""Height of an open eye over its width; lids 0 there, 1 at none."""
# Face points that speech and expression leave alone: nose, corners of the eyes, upper ends of the jaw line.
RIGID = np.r_[27:36, 36, 39, 42, 45, 0:3, 14:17]
_EYES = {"left": slice(42, 48), "right": slice(36, 42)}
_BROWS = {"left": slice(22, 27), "right": slice(17, 22)}


@dataclass(frozen=True)
class PersonMotion:
    """T frames of a person's state, float32; `relative_to` makes motion since a reference frame of two of them.

    head_shift: (T, 2) of the head's pivot at the top of the neck, face heights, from wherever the state is counted.
    head_rotation: (T, 3) yaw, pitch, roll in radians: turned to the image's right, nodding down, clockwise.
    mouth_open: (T,) gap between the inner lips, face heights. mouth_wide: (T,) width of the mouth, face heights.
    lip_press: (T,) 1 where the lips together are PRESS_THICKNESS thinner (pressed, or rolled in).
    lids: (T, 2) 0 open to 1 closed, left and right. brows: (T, 2) lift, face heights.
    gaze: (T, 2) x and y of the pupils, -1 to 1. parts: (T, 8, 2) shoulders, elbows, wrists, hips, face heights.
    hand_rotation: (T, 2) radians in the image, clockwise, left and right.
    """

    head_shift: np.ndarray
    head_rotation: np.ndarray
    mouth_open: np.ndarray
    mouth_wide: np.ndarray
    lip_press: np.ndarray
    lids: np.ndarray
    brows: np.ndarray
    gaze: np.ndarray
    parts: np.ndarray
    hand_rotation: np.ndarray

    def __len__(self) -> int:
        return len(self.mouth_open)

    def frames(self, index: slice | np.ndarray) -> Self:
        """Some of the frames."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def relative_to(self, reference: Self) -> Self:
        """Motion since a reference state of one frame: every signal less the reference's."""
        return type(self)(**{f.name: getattr(self, f.name) - getattr(reference, f.name) for f in fields(self)})

    def after(self, reference: Self) -> Self:
        """Inverse of `relative_to`."""
        return type(self)(**{f.name: getattr(self, f.name) + getattr(reference, f.name) for f in fields(self)})

    def to_array(self) -> np.ndarray:
        """(T, 32) float32, the signals side by side in the order of SIGNAL_WIDTHS."""
        return np.concatenate(
            [np.asarray(getattr(self, name), np.float32).reshape(len(self), -1) for name in SIGNAL_WIDTHS], axis=1
        )

    @classmethod
    def from_array(cls, array: np.ndarray) -> Self:
        """Inverse of `to_array`."""
        ends = np.cumsum(list(SIGNAL_WIDTHS.values()))[:-1]
        columns = dict(zip(SIGNAL_WIDTHS, np.split(np.asarray(array, np.float32), ends, axis=1), strict=True))
        flat = {name: value[:, 0] if SIGNAL_WIDTHS[name] == 1 else value for name, value in columns.items()}
        return cls(**flat | {"parts": columns["parts"].reshape(-1, NUM_PARTS, 2)})

    @classmethod
    def rest(cls, num_frames: int) -> Self:
        """A state of zeros."""
        return cls.from_array(np.zeros((num_frames, sum(SIGNAL_WIDTHS.values())), np.float32))


@dataclass(frozen=True)
class HeadPose:
    """Pose of a face under weak perspective: p = scale R X + shift, X of `face_model.FACE_68`.

    rotation: (T, 3) yaw, pitch, roll in radians. scale: (T,) pixels of a face height. centre: (T, 2) the middle between
    forehead and chin, pixels.
    """

    rotation: np.ndarray
    scale: np.ndarray
    centre: np.ndarray

    @property
    def pivot(self) -> np.ndarray:
        """(T, 2), pixels: where the head turns, at the top of the neck."""
        turned = np.einsum("tij,j->ti", rotation_matrix(self.rotation), PIVOT)
        return self.centre + self.scale[:, None] * turned[:, :2]


def rotation_matrix(angles: np.ndarray) -> np.ndarray:
    """(..., 3, 3) of (..., 3) yaw, pitch, roll: first the head turns, then it nods, then it tilts."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in np.moveaxis(np.asarray(angles), -1, 0))
    zero, one = np.zeros_like(cy), np.ones_like(cy)
    stack = lambda rows: np.stack([np.stack(row, -1) for row in rows], -2)  # noqa: E731
    yaw = stack([(cy, zero, -sy), (zero, one, zero), (sy, zero, cy)])
    pitch = stack([(one, zero, zero), (zero, cp, -sp), (zero, sp, cp)])
    roll = stack([(cr, -sr, zero), (sr, cr, zero), (zero, zero, one)])
    return roll @ pitch @ yaw


def fit_head(face: np.ndarray) -> HeadPose:
    """Pose of face points (T, 68, 2) in pixels, by least squares over those that expression leaves alone."""
    model = FACE_68[RIGID]
    middle = model.mean(0)
    inverse = np.linalg.pinv(model - middle)  # (3, R)
    points = face[:, RIGID]
    means = points.mean(1)
    affine = np.einsum("ir,trj->tji", inverse, points - means[:, None])  # (T, 2, 3): scale times two rows of R
    norms = np.linalg.norm(affine, axis=2)
    scale = norms.mean(1)
    x, y = affine[:, 0] / norms[:, :1], affine[:, 1] / norms[:, 1:]
    # R = roll pitch yaw: its third row follows from the first two, and the angles from all.
    z = np.asarray(np.cross(x, y))
    pitch = np.arcsin(np.clip(z[:, 1], -1, 1))
    yaw = np.arctan2(z[:, 0], z[:, 2])
    roll = np.arctan2(-x[:, 1], y[:, 1])
    rotation = np.stack([yaw, pitch, roll], 1)
    centre = means - scale[:, None] * np.einsum("tij,j->ti", rotation_matrix(rotation), middle)[:, :2]
    return HeadPose(rotation.astype(np.float32), scale.astype(np.float32), centre.astype(np.float32))


def measure(points: np.ndarray, *, reference: np.ndarray | None = None) -> PersonMotion:
    """The state of keypoints (T, 133, 2) in pixels; lengths are counted in face heights of `reference` (133, 2).

    reference: of the same person and camera; the first frame by default. Gaze is not among the keypoints: 0.
    """
    first = points[0] if reference is None else reference
    unit = float(fit_head(first[None, FACE]).scale[0])
    face = points[:, FACE]
    pose = fit_head(face)
    size = pose.scale[:, None]
    thickness = (_length(face, 51, 62) + _length(face, 57, 66)) / pose.scale
    angles = [_angle(points[:, hand][:, 9] - points[:, hand][:, 0]) for hand in (LEFT_HAND, RIGHT_HAND)]
    return PersonMotion(
        head_shift=(pose.pivot / unit).astype(np.float32),
        head_rotation=pose.rotation,
        mouth_open=_length(face, 62, 66) / pose.scale,
        mouth_wide=_length(face, 48, 54) / pose.scale,
        lip_press=(-thickness / PRESS_THICKNESS).astype(np.float32),
        lids=np.stack([_closed(face[:, eye]) for eye in _EYES.values()], 1),
        brows=np.stack([_lift(face, pose, side) for side in _EYES], 1) / size,
        gaze=np.zeros((len(points), 2), np.float32),
        parts=(points[:, PARTS] / unit).astype(np.float32),
        hand_rotation=np.stack(angles, 1).astype(np.float32),
    )


def move_points(reference: np.ndarray, motion: PersonMotion) -> np.ndarray:
    """Keypoints (T, 133, 2) in pixels of `reference` (133, 2) after relative motion, as decoded latents have it.

    Fingers keep their shape: a hand follows its wrist and turns with it. Legs and feet stay.
    """
    pose = fit_head(reference[None, FACE])
    unit = float(pose.scale[0])
    moved = np.repeat(reference[None].astype(np.float32), len(motion), 0)
    moved[:, PARTS] += unit * motion.parts
    for side, (hand, wrist) in enumerate(((LEFT_HAND, LEFT_WRIST), (RIGHT_HAND, RIGHT_WRIST))):
        turned = _rotate(reference[hand] - reference[wrist], motion.hand_rotation[:, side])
        moved[:, hand] = moved[:, wrist, None] + turned
    moved[:, FACE] = move_face(reference[FACE], pose, motion)
    head = move_rigidly(np.concatenate([reference[:5], np.zeros((5, 1))], 1), pose, motion)
    moved[:, :5] = head
    return moved


def move_face(face: np.ndarray, pose: HeadPose, motion: PersonMotion) -> np.ndarray:
    """The 68 face points (T, 68, 2) after relative motion: expression in the face's plane, then the head's own move."""
    unit = float(pose.scale[0])
    across, down = (rotation_matrix(pose.rotation)[0, :2, axis] for axis in (0, 1))
    shape = np.repeat(face[None].astype(np.float64), len(motion), 0)
    opening = unit * motion.mouth_open[:, None, None]
    press = 0.5 * unit * PRESS_THICKNESS * motion.lip_press[:, None, None]
    wide = 0.5 * unit * motion.mouth_wide[:, None, None]
    middle = face[48:68].mean(0)
    half = max(float(np.linalg.norm(face[54] - face[48])) / 2, 1e-6)
    side = ((face - middle) @ across / half)[None, :, None]
    lower, outer, lips = np.zeros(68), np.zeros(68), np.zeros(68)
    lower[[55, 56, 57, 58, 59, 65, 66, 67]] = (0.6, 0.95, 1, 0.95, 0.6, 0.85, 1, 0.85)
    lower[[5, 6, 7, 8, 9, 10, 11]] = (0.4, 0.7, 0.9, 0.95, 0.9, 0.7, 0.4)
    outer[[50, 51, 52]], outer[[56, 57, 58]] = 1, -1
    shape += opening * lower[None, :, None] * down + press * outer[None, :, None] * down
    lips[48:68] = 1
    shape += wide * lips[None, :, None] * np.clip(side, -1, 1) * across
    for index, (eye, brow) in enumerate(zip(_EYES.values(), _BROWS.values(), strict=True)):
        points = face[eye]
        width = float(np.linalg.norm(points[3] - points[0]))
        close = LID_APERTURE * width * motion.lids[:, index]
        shape[:, eye][:, [1, 2]] += close[:, None, None] * down
        shape[:, brow] -= unit * motion.brows[:, index, None, None] * down
    depth = FACE_68 @ rotation_matrix(pose.rotation)[0].T[:, 2:] * unit
    solid = np.concatenate([shape, np.repeat(depth[None], len(motion), 0)], 2)
    return move_rigidly(solid, pose, motion)


def move_rigidly(solid: np.ndarray, pose: HeadPose, motion: PersonMotion) -> np.ndarray:
    """Points of the head (N, 3) or (T, N, 3), pixels and depth from the face's middle, after its move: (T, N, 2)."""
    unit = float(pose.scale[0])
    pivot = np.append(pose.pivot[0], unit * (rotation_matrix(pose.rotation)[0] @ PIVOT)[2])
    turned = np.einsum(
        "tij,tnj->tni",
        rotation_matrix(motion.head_rotation),
        np.broadcast_to(solid, (len(motion), *solid.shape[-2:])) - pivot,
    )
    return (turned + pivot)[..., :2] + unit * motion.head_shift[:, None]


def _length(points: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.linalg.norm(points[:, a] - points[:, b], axis=-1).astype(np.float32)


def _closed(eye: np.ndarray) -> np.ndarray:
    """(T,) of six points (T, 6, 2) of an eye."""
    height = (_length(eye, 1, 5) + _length(eye, 2, 4)) / 2
    return 1 - height / np.maximum(_length(eye, 0, 3), 1e-6) / LID_APERTURE


def _lift(face: np.ndarray, pose: HeadPose, side: str) -> np.ndarray:
    """(T,) pixels from the middle of an eye's corners up to its brow, along the face's own vertical."""
    corners = face[:, _EYES[side]][:, [0, 3]].mean(1)
    down = rotation_matrix(pose.rotation)[:, :2, 1]
    return ((corners - face[:, _BROWS[side]].mean(1)) * down).sum(1).astype(np.float32)


def _angle(vectors: np.ndarray) -> np.ndarray:
    """(T,) radians, without jumps from frame to frame."""
    return np.unwrap(np.arctan2(vectors[:, 1], vectors[:, 0]))


def _rotate(points: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """(T, N, 2): points (N, 2) turned clockwise in the image by angles (T,)."""
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return np.stack([c * points[:, 0] - s * points[:, 1], s * points[:, 0] + c * points[:, 1]], -1)
