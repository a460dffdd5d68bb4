"""Arms that move on their own: each hand, with its forearm where that is bare, in a layer over the body.

A layer and the body under it move alike where one goes over into the other, at the elbow or at the cuff, and part only
where the hand is. Hands that touch the face stay; hands that touch one another, hold or lean on something go a little
way with all that is about them, without a layer.
Letters: H W the picture, h w the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from paha.motion.arm_cut import ARMS, ArmCut, ArmPoints, filled_hull
from paha.motion.fields import smoothstep
from paha.motion.matting import disk
from paha.motion.person import PersonMotion
from paha.motion.photograph import Photograph
from paha.motion.uncovered import without_arm

FACE_CLEAR = 0.3
"""Face heights that a hand must keep from the face to move at all."""
HANDS_CLEAR = 0.2
"""Face heights between hands from which each moves on its own."""
REACH_BARE, REACH_SLEEVE, REACH_CARRIED = 0.38, 0.24, 0.06
"""Face heights that a wrist moves at most: with a bare forearm; in a sleeve, which the body's own warp must carry; in a
hand that touches or holds something."""
ELBOW_REACH = 0.2
SLOPE = 0.4
"""Displacement per length that a forearm is stretched by at most."""
_FLESH = 0.13
"""Face heights that a hand is wider than its points on every side; it does not bend there. (The tip of a thumb reaches
0.12 past its last point, often towards the elbow.)"""
_LEANING = 0.72
"""Share of a hand's surroundings that is the person: so much, and the hand lies on the body."""


@dataclass(frozen=True)
class Arm:
    """A forearm with its hand, and how it takes the body along.

    points: keypoints in the picture. cut: its layer, or None. reach: face heights that the wrist moves at most.
    with_hand: (h, w) 0 up to the elbow to 1 on the hand: how much moves as the hand does. bend: (h, w) how much of the
    body goes with the elbow. follow: (h, w) how much of the body goes with the hand. sides: the wrists whose mean moves
    it.
    """

    side: int
    points: ArmPoints
    cut: ArmCut | None
    reach: float
    with_hand: np.ndarray
    bend: np.ndarray
    follow: np.ndarray
    sides: tuple[int, ...]

    @classmethod
    def of(cls, photo: Photograph, side: int, *, cut: ArmCut | None, sides: tuple[int, ...]) -> Arm:
        """cut: None for an arm without a layer. sides: (0, 1) for hands that touch one another."""
        points, grid, unit = ArmPoints.of(photo.landmarks, side, photo.unit), photo.grid, photo.unit
        to_hand = _hand_distance(points, grid)
        share = _along(points, grid, to_hand)
        upper = points.shoulder - points.elbow
        t = np.clip(((grid - points.elbow) @ upper) / max(float(upper @ upper), 1.0), 0, 1)
        to_upper = np.linalg.norm(grid - (points.elbow + t[..., None] * upper), axis=-1)
        bend = (1 - t) * (1 - smoothstep(0.12, 0.5, to_upper / unit))
        bone = points.wrist - points.elbow
        s = np.clip(((grid - points.elbow) @ bone) / max(float(bone @ bone), 1.0), 0, 1)
        to_arm = np.minimum(to_hand, np.linalg.norm(grid - (points.elbow + s[..., None] * bone), axis=-1)) / unit
        with_hand = smoothstep(0.1, 1.0, share)
        if cut is None:
            reach, follow = REACH_CARRIED, with_hand * (1 - smoothstep(0.2, 0.7, to_arm))
        else:
            reach = REACH_BARE + cut.sleeve * (REACH_SLEEVE - REACH_BARE)
            follow = cut.sleeve * with_hand * (1 - smoothstep(0.1, 0.55, to_arm))
        return cls(side, points, cut, reach, with_hand, bend.astype(np.float32), follow.astype(np.float32), sides)

    @cached_property
    def length(self) -> float:
        """Pixels from the elbow to the hand, over which the forearm gives way."""
        to_hand = float(_hand_distance(self.points, self.points.elbow[None])[0])
        return max(to_hand, 0.2 * self.points.unit)

    def moves(self, motion: PersonMotion, t: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Displacement of elbow and wrist (2,), pixels, and the hand's turn, radians: what the signals ask for, within
        reach, and without tearing the forearm, for which the elbow comes along."""
        sides, unit = list(self.sides), self.points.unit
        wrist = limited(motion.parts[t, 4:6][sides].mean(0), self.reach) * unit
        elbow = limited(motion.parts[t, 2 + self.side], min(ELBOW_REACH, self.reach)) * unit
        angle = float(motion.hand_rotation[t, self.side])
        most = SLOPE * self.length
        elbow = wrist - limited(wrist - elbow, most)
        elbow = limited(elbow / unit, ELBOW_REACH) * unit
        wrist = elbow + limited(wrist - elbow, most)
        share = min(1.0, self.reach / REACH_SLEEVE)
        return elbow, wrist, share * 0.4 * float(np.tanh(angle / 0.4))

    def carry(self, body: np.ndarray, grid: np.ndarray, motion: PersonMotion, t: int) -> np.ndarray:
        """The body's displacement (h, w, 2) with what elbow and hand take along."""
        elbow, wrist, angle = self.moves(motion, t)
        bent = body + self.bend[..., None] * (elbow.astype(np.float32) - body)
        return bent + self.follow[..., None] * (self._hand(grid, wrist, angle) - bent)

    def displacement(self, body: np.ndarray, grid: np.ndarray, motion: PersonMotion, t: int) -> np.ndarray:
        """(h, w, 2) of the arm's layer. body: what `carry` gave, with the head's."""
        elbow, wrist, angle = self.moves(motion, t)
        from_elbow = smoothstep(0.0, 0.3, self.with_hand)[..., None]
        base = body + from_elbow * (elbow.astype(np.float32) - body)
        return base + self.with_hand[..., None] * (self._hand(grid, wrist, angle) - base)

    def _hand(self, grid: np.ndarray, wrist: np.ndarray, angle: float) -> np.ndarray:
        """(h, w, 2): the hand's move continued everywhere."""
        c, s = np.float32(np.cos(angle) - 1), np.float32(np.sin(angle))
        spoke = grid - self.points.wrist.astype(np.float32)
        turn = np.stack([c * spoke[..., 0] - s * spoke[..., 1], s * spoke[..., 0] + c * spoke[..., 1]], -1)
        return wrist.astype(np.float32) + turn

    def along(self, places: np.ndarray) -> np.ndarray:
        """0 up to the elbow to 1 on the hand, at positions (..., 2)."""
        return _along(self.points, places, _hand_distance(self.points, places))


def _hand_distance(points: ArmPoints, places: np.ndarray) -> np.ndarray:
    """Pixels from the hand, flesh about its points included; 0 on it."""
    return np.maximum(outside_distance(places, points.hull) - _FLESH * points.unit, 0)


def _along(points: ArmPoints, places: np.ndarray, to_hand: np.ndarray) -> np.ndarray:
    to_elbow = np.linalg.norm(places - points.elbow, axis=-1)
    axis = points.hand.mean(0) - points.elbow
    ahead = ((places - points.elbow) @ axis) / max(float(np.hypot(*axis)), 1e-6) / points.unit
    share = to_elbow / np.maximum(to_elbow + to_hand, 1e-6)
    return np.where(to_hand <= 0, 1, share * smoothstep(-0.1, 0.1, ahead)).astype(np.float32)


def limited(move: np.ndarray, most: float) -> np.ndarray:
    """A displacement (2,) drawn in softly to at most `most`."""
    length = float(np.hypot(*move))
    return move * (most * np.tanh(length / most) / max(length, 1e-6))


def outside_distance(places: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Distance of positions (..., 2) from a convex polygon (N, 2); 0 within."""
    ends = np.roll(polygon, -1, axis=0)
    nearest = np.full(places.shape[:-1], np.inf)
    left, right = np.zeros(places.shape[:-1], bool), np.zeros(places.shape[:-1], bool)
    for a, b in zip(polygon, ends, strict=True):
        edge, spoke = b - a, places - a
        t = np.clip((spoke @ edge) / max(float(edge @ edge), 1e-9), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(spoke - t[..., None] * edge, axis=-1))
        cross = edge[0] * spoke[..., 1] - edge[1] * spoke[..., 0]
        left, right = left | (cross > 0), right | (cross < 0)
    return np.where(left & right, nearest, 0)


def find_arms(photo: Photograph) -> list[Arm]:
    """The arms that can move, those with a layer and those without."""
    open_ = [side for side in photo.arm_cuts if _clear_of_face(photo, side)]
    if not _apart(photo):
        both = all(_clear_of_face(photo, side) for side in (0, 1))
        return [Arm.of(photo, side, cut=None, sides=tuple(open_)) for side in open_ if both]
    return [Arm.of(photo, side, cut=photo.arm_cuts[side], sides=(side,)) for side in open_ if not _leans(photo, side)]


@dataclass(frozen=True)
class ArmLayer:
    """arm: with a cut. picture, under: (H, W, 3) uint8 with and without it. alpha: (H, W) float32."""

    arm: Arm
    picture: np.ndarray
    under: np.ndarray
    alpha: np.ndarray


def take_apart(photo: Photograph, arms: list[Arm]) -> tuple[np.ndarray, np.ndarray, list[ArmLayer]]:
    """The picture (H, W, 3) uint8 without its moving arms, the person's alpha (H, W) in it, and the arms' layers, the
    last one the lowest."""
    picture, alpha, layers = photo.image, photo.alpha, []
    for arm in arms:
        if arm.cut is None:
            continue
        rows, columns = arm.cut.rows, arm.cut.columns
        x, y = np.arange(columns.start, columns.stop) + 0.5, np.arange(rows.start, rows.stop) + 0.5
        along = arm.along(np.stack(np.meshgrid(x, y), -1).astype(np.float32))
        if arm.cut.alpha.max() < 0.5:
            continue
        mask = np.zeros(alpha.shape, np.float32)
        bare = 1 - arm.cut.sleeve
        mask[rows, columns] = np.rint(arm.cut.alpha * (1 - bare * (1 - smoothstep(0.05, 0.2, along))) * 255) / 255
        # Near a bare elbow the layer only covers what the body keeps, and moves with it. What little of the arm lies
        # past the mask's edge goes too, and is added where the arm moves to.
        gone = cv2.dilate((mask[rows, columns] > 0).astype(np.float32), disk(round(0.012 * photo.unit)))
        gone = cv2.blur(gone, (3, 3)) * (1 - bare * (1 - smoothstep(0.2, 0.4, along)))
        under, alpha = without_arm(picture, alpha, photo.background, arm.cut, gone)
        layers.append(ArmLayer(arm, picture, under, mask))
        picture = under
    return picture, alpha, layers


def _clear_of_face(photo: Photograph, side: int) -> bool:
    hand = photo.landmarks.points[ARMS[side][3]]
    face = photo.landmarks.face[:468, :2]
    low, high = face.min(0), face.max(0)
    away = np.maximum(np.maximum(low - hand, hand - high), 0)
    return bool(np.hypot(*away.T).min() > FACE_CLEAR * photo.unit)


def _apart(photo: Photograph) -> bool:
    left, right = (photo.landmarks.points[hand] for *_, hand in ARMS)
    if min(photo.landmarks.scores[hand].mean() for *_, hand in ARMS) < 0.3:
        return True
    return bool(np.linalg.norm(left[:, None] - right[None], axis=-1).min() > HANDS_CLEAR * photo.unit)


def _leans(photo: Photograph, side: int) -> bool:
    """Whether a hand lies on the person's own body, as far as its surroundings tell."""
    cut, points = photo.arm_cuts[side], ArmPoints.of(photo.landmarks, side, photo.unit)
    hand = filled_hull(photo.image.shape, points.hand)[cut.rows, cut.columns]
    near, far = (cv2.dilate(hand, disk(round(r * photo.unit))) > 0 for r in (0.06, 0.16))
    about = far & ~near & ~cut.inside
    person = photo.landmarks.mask[cut.rows, cut.columns]
    return not about.any() or float((person[about] > 0.5).mean()) > _LEANING
