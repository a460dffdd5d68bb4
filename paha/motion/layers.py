"""A photograph in layers: a still background, the body over it, and each forearm with its hand over the body.

A layer is kept premultiplied, as what it adds to what lies under it: P = I - (1 - a) U, with I the picture with the layer
and U the one without. Put back without motion it gives the picture to the rounding, whatever the mask a is worth; with
motion, errors of the mask show only in what moves past it.
Letters: H W the picture, h w the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from paha.motion.fields import smoothstep
from paha.motion.person import PersonMotion
from paha.motion.photograph import Photograph, guided_filter
from paha.types import LEFT_HAND, RIGHT_HAND

ARM_SCORE = 0.7
"""Elbow and wrist must be seen as clearly for an arm to move, and the hand's points on average."""
CLEAR = 0.35
"""Face heights that a hand must keep from the other hand and from the face: what touches stays."""
MAX_REACH = 0.5
"""Face heights that a wrist moves at most."""
_ARMS = ((5, 7, 9, LEFT_HAND), (6, 8, 10, RIGHT_HAND))


@dataclass(frozen=True)
class Layer:
    """premultiplied: (H, W, 4) float32, P in 0 to 255 and a in [0, 1]."""

    premultiplied: np.ndarray

    @classmethod
    def of(cls, picture: np.ndarray, alpha: np.ndarray, under: np.ndarray) -> Layer:
        """picture: (H, W, 3) with the layer. alpha: (H, W). under: (H, W, 3) without it."""
        over = picture.astype(np.float32) - (1 - alpha[..., None]) * under.astype(np.float32)
        return cls(np.ascontiguousarray(np.concatenate([over, alpha[..., None]], 2, dtype=np.float32)))


@dataclass(frozen=True)
class Arm:
    """A forearm with its hand. side: 0 left, 1 right. mask: (H, W) float32. along: (h, w) 0 at the elbow, 1 at the wrist
    and beyond. turning: (h, w) how much turns with the hand. bend: (h, w) how much of the body goes with the elbow.
    shoulder, elbow, wrist: (2,) pixels."""

    side: int
    mask: np.ndarray
    along: np.ndarray
    turning: np.ndarray
    bend: np.ndarray
    elbow: np.ndarray
    wrist: np.ndarray

    def displacement(self, photo: Photograph, motion: PersonMotion, t: int, body: np.ndarray) -> np.ndarray:
        """(h, w, 2) of the arm's layer. body: the body's displacement (h, w, 2), which the elbow's end shares."""
        wrist = limited(motion.parts[t, 4 + self.side], MAX_REACH) * photo.unit
        elbow = body_at(photo, body, self.elbow)
        angle = float(np.clip(motion.hand_rotation[t, self.side], -0.5, 0.5))
        c, s = np.cos(angle) - 1, np.sin(angle)
        spoke = photo.grid - self.wrist
        turn = np.stack([c * spoke[..., 0] - s * spoke[..., 1], s * spoke[..., 0] + c * spoke[..., 1]], -1)
        along = self.along[..., None]
        return ((1 - along) * elbow + along * wrist + self.turning[..., None] * turn).astype(np.float32)

    def body_displacement(self, photo: Photograph, motion: PersonMotion, t: int) -> np.ndarray:
        """(h, w, 2) that the elbow adds to the body."""
        elbow = limited(motion.parts[t, 2 + self.side], 0.6 * MAX_REACH) * photo.unit
        return self.bend[..., None] * elbow.astype(np.float32)


def body_at(photo: Photograph, u: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(2,) of a field at one point."""
    nodes = photo.to_nodes(point)[None, None]
    return cv2.remap(u, nodes[..., 0], nodes[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0, 0]


def limited(move: np.ndarray, most: float) -> np.ndarray:
    """A displacement (2,) drawn in softly to at most `most`."""
    length = float(np.hypot(*move))
    return move * (most * np.tanh(length / most) / max(length, 1e-6))


def find_arms(photo: Photograph) -> list[Arm]:
    """The arms that can move: seen from elbow to fingers, and touching neither the face nor one another."""
    return [
        arm_of(photo, side) for side in (0, 1) if _seen(photo, side) and _clear_of_face(photo, side) and _apart(photo)
    ]


def _seen(photo: Photograph, side: int) -> bool:
    _, elbow, wrist, hand = _ARMS[side]
    scores = photo.landmarks.scores
    height, width = photo.image.shape[:2]
    inside = (photo.landmarks.points[[elbow, wrist]] < (width, height)).all()
    return bool(min(scores[elbow], scores[wrist], scores[hand].mean()) >= ARM_SCORE and inside)


def _clear_of_face(photo: Photograph, side: int) -> bool:
    hand = photo.landmarks.points[_ARMS[side][3]]
    face = photo.landmarks.face[:468, :2]
    low, high = face.min(0), face.max(0)
    away = np.maximum(np.maximum(low - hand, hand - high), 0)
    return bool(np.hypot(*away.T).min() > CLEAR * photo.unit)


def _apart(photo: Photograph) -> bool:
    left, right = (photo.landmarks.points[hand] for *_, hand in _ARMS)
    if min(photo.landmarks.scores[hand].mean() for *_, hand in _ARMS) < 0.3:
        return True
    return bool(np.linalg.norm(left[:, None] - right[None], axis=-1).min() > CLEAR * photo.unit)


def arm_of(photo: Photograph, side: int) -> Arm:
    """An arm's mask and fields, from its keypoints."""
    shoulder, elbow, wrist, hand = _ARMS[side]
    points, unit = photo.landmarks.points, photo.unit
    a, b, fingers = points[elbow], points[wrist], points[hand]
    top = points[shoulder]
    bone = b - a
    length = max(float(np.hypot(*bone)), 0.05 * unit)
    along = ((photo.grid - a) @ bone) / length**2
    reach = max(1.0, float(np.linalg.norm(fingers - b, axis=1).max()) / length + 1)
    turning = smoothstep(0.75, 0.75 + 0.5 * min(1.0, reach - 0.75), along)
    upper = top - a
    t = np.clip(((photo.grid - a) @ upper) / max(float(upper @ upper), 1.0), 0, 1)
    distance = np.linalg.norm(photo.grid - (a + t[..., None] * upper), axis=-1) / unit
    bend = (1 - t) * (1 - smoothstep(0.12, 0.5, distance))
    return Arm(side, arm_mask(photo, a, b, fingers), np.clip(along, 0, 1).astype(np.float32), turning, bend.astype(np.float32), a, b)  # fmt: skip


def arm_mask(photo: Photograph, elbow: np.ndarray, wrist: np.ndarray, fingers: np.ndarray) -> np.ndarray:
    """(H, W) float32: forearm and hand, following the picture's edges, fading in from the elbow."""
    height, width = photo.image.shape[:2]
    unit = photo.unit
    drawn = np.zeros((height, width), np.uint8)
    for t in np.linspace(0, 1, 24):
        middle = elbow + t * (wrist - elbow)
        radius = unit * (0.21 - 0.09 * t)
        cv2.circle(drawn, np.rint(middle).astype(int).tolist(), max(1, round(radius)), 255, -1)
    cv2.fillConvexPoly(drawn, cv2.convexHull(np.rint(fingers).astype(np.int32)), 255)
    hand = np.zeros_like(drawn)
    cv2.fillConvexPoly(hand, cv2.convexHull(np.rint(np.concatenate([fingers, wrist[None]])).astype(np.int32)), 255)
    radius = max(1, round(0.07 * unit))
    hand = cv2.dilate(hand, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))
    mask = np.maximum(drawn, hand).astype(np.float32) / 255
    mask = np.minimum(mask, np.clip(photo.alpha * 1.2, 0, 1))
    mask = np.clip((guided_filter(photo.image, mask, radius=max(2, round(0.05 * unit))) - 0.1) / 0.8, 0, 1)
    bone = wrist - elbow
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    along = ((x - elbow[0]) * bone[0] + (y - elbow[1]) * bone[1]) / max(float(bone @ bone), 1.0)
    return (mask * smoothstep(-0.05, 0.3, along)).astype(np.float32)
