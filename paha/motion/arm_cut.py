"""Where a picture shows a forearm and its hand: cut out by colour about the keypoints.

What is found is what differs from its surroundings: a bare forearm with its hand, or, in a sleeve like the shirt behind
it, the hand alone; `sleeve` says which, and the sleeve then stays with the body.
Letters: H W the picture, h w a box of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from paha.motion.landmarks import Landmarks
from paha.motion.matting import disk, graph_cut, unmixed
from paha.types import LEFT_HAND, RIGHT_HAND

FINGERS = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (0, 9, 10, 11, 12), (0, 13, 14, 15, 16), (0, 17, 18, 19, 20))
PALM = (0, 1, 5, 9, 13, 17)
ARMS = ((5, 7, 9, LEFT_HAND), (6, 8, 10, RIGHT_HAND))
"""Keypoints of shoulder, elbow, wrist and hand; the person's left first."""
MARGIN = 0.45
"""Face heights of surroundings that an arm is told from."""
STRETCHED = 0.95
"""Share of a finger's length that its ends are apart. Of the training stills' half-bodies 50 empty hands were all above
0.98; 10 hands that hold something all below 0.9."""
_CUT_UNIT = 160
"""Pixels of a face height at which edges are looked for; a larger picture is made smaller."""
_EDGE = 0.022
"""Face heights on either side of an edge in which pixels may be mixtures."""


@dataclass(frozen=True)
class ArmCut:
    """side: 0 left, 1 right. rows, columns: the box looked at. inside: (h, w) bool. alpha: (h, w) float32 in [0, 1].
    sleeve: share of the forearm that was not found, 0 to 1."""

    side: int
    rows: slice
    columns: slice
    inside: np.ndarray
    alpha: np.ndarray
    sleeve: float


@dataclass(frozen=True)
class ArmPoints:
    """An arm's keypoints, pixels, in a box at some scale. shoulder, elbow, wrist: (2,). hand: (21, 2). unit: pixels of
    a face height."""

    shoulder: np.ndarray
    elbow: np.ndarray
    wrist: np.ndarray
    hand: np.ndarray
    unit: float

    @classmethod
    def of(cls, landmarks: Landmarks, side: int, unit: float) -> ArmPoints:
        """In the picture."""
        shoulder, elbow, wrist, hand = ARMS[side]
        points = landmarks.points
        return cls(points[shoulder], points[elbow], points[wrist], points[hand], unit)

    def within(self, corner: np.ndarray, scale: float) -> ArmPoints:
        """In a box of the picture that begins at corner (2,), scaled."""
        shoulder, elbow, wrist, hand = (
            (p - corner) * scale for p in (self.shoulder, self.elbow, self.wrist, self.hand)
        )
        return ArmPoints(shoulder, elbow, wrist, hand, self.unit * scale)

    @property
    def hull(self) -> np.ndarray:
        """(N, 2): the convex hull of the hand's points."""
        return cv2.convexHull(self.hand.astype(np.float32))[:, 0]

    @property
    def open(self) -> bool:
        """Whether the fingers are stretched: such a hand holds nothing."""
        fingers = [self.hand[list(chain[1:])] for chain in FINGERS[1:]]
        lengths = [np.linalg.norm(np.diff(finger, axis=0), axis=1).sum() for finger in fingers]
        spans = [np.linalg.norm(finger[-1] - finger[0]) for finger in fingers]
        return bool(np.mean(np.array(spans) / np.maximum(lengths, 1e-6)) > STRETCHED)

    @property
    def forearm(self) -> Iterator[tuple[float, np.ndarray]]:
        """Places from elbow (0) to wrist (1)."""
        return ((t, self.elbow + t * (self.wrist - self.elbow)) for t in np.linspace(0, 1, 24).tolist())


def cut_arm(image: np.ndarray, landmarks: Landmarks, side: int, unit: float) -> ArmCut:
    """image: (H, W, 3) uint8. unit: pixels of a face height."""
    points = ArmPoints.of(landmarks, side, unit)
    about = np.concatenate([points.hand, points.wrist[None], points.elbow[None]])
    size = np.array(image.shape[1::-1])
    low = np.clip(np.floor(about.min(0) - MARGIN * unit).astype(int), 0, size - 2)
    high = np.clip(np.ceil(about.max(0) + MARGIN * unit).astype(int), low + 2, size)
    rows, columns = slice(low[1], high[1]), slice(low[0], high[0])
    scale = min(1.0, _CUT_UNIT / unit)
    shape = tuple(np.maximum(np.rint((high - low) * scale).astype(int), 2).tolist())
    picture = cv2.resize(image[rows, columns], shape, interpolation=cv2.INTER_AREA)
    person = cv2.resize(landmarks.mask[rows, columns], shape, interpolation=cv2.INTER_AREA)
    found = _cut(picture, person, points.within(low, scale))
    inside = cv2.resize(found.astype(np.float32), tuple(high - low), interpolation=cv2.INTER_LINEAR) > 0.5
    alpha = unmixed(image[rows, columns], inside, border=max(2, round(_EDGE * unit)))
    return ArmCut(side, rows, columns, inside, alpha, _missing(inside, points.within(low, 1.0)))


def _cut(picture: np.ndarray, person: np.ndarray, arm: ArmPoints) -> np.ndarray:
    """(h, w) bool. person: (h, w) coarse mask."""
    unit, shape = arm.unit, picture.shape[:2]
    surely, likely, reach = (np.zeros(shape, np.uint8) for _ in range(3))
    for chain in FINGERS:
        draw_line(surely, arm.hand[list(chain)], 0.012 * unit)
        draw_line(likely, arm.hand[list(chain)], 0.05 * unit)
    palm = filled_hull(shape, arm.hand[list(PALM)])
    cv2.bitwise_or(surely, cv2.erode(palm, disk(round(0.03 * unit))), surely)
    draw_line(surely, np.stack([arm.elbow + 0.3 * (arm.wrist - arm.elbow), arm.wrist]), 0.03 * unit)
    likely |= palm
    cv2.bitwise_or(reach, cv2.dilate(filled_hull(shape, arm.hand), disk(round(0.12 * unit))), reach)
    for t, middle in arm.forearm:
        at = np.rint(middle).astype(int).tolist()
        cv2.circle(likely, at, max(1, round(unit * (0.14 - 0.06 * t))), 255, -1)
        cv2.circle(reach, at, max(1, round(unit * (0.26 - 0.1 * t))), 255, -1)
    outside = cv2.dilate(person, disk(round(0.05 * unit))) < 0.08
    never = ((reach == 0) | outside) & (surely == 0)
    return graph_cut(picture, surely=surely > 0, likely=likely > 0, never=never)


def _missing(inside: np.ndarray, arm: ArmPoints) -> float:
    """Share of the forearm's places, beside the bone and off the hand, that are not inside; 1 where there is none."""
    height, width = inside.shape
    hand = cv2.dilate(filled_hull(inside.shape, arm.hand), disk(round(0.04 * arm.unit)))
    side = np.array([arm.elbow[1] - arm.wrist[1], arm.wrist[0] - arm.elbow[0]])
    side = side / max(float(np.hypot(*side)), 1e-6) * 0.06 * arm.unit
    found = []
    for t, middle in arm.forearm:
        for place in (middle - side, middle + side):
            x, y = np.floor(place).astype(int)
            if 0.3 <= t <= 0.95 and 0 <= x < width and 0 <= y < height and not hand[y, x]:
                found.append(inside[y, x])
    return 1 - float(np.mean(found)) if found else 1.0


def draw_line(canvas: np.ndarray, points: np.ndarray, radius: float) -> None:
    """Draw a line through points (N, 2), pixels, in a radius of at least half a pixel."""
    places = np.rint((points - 0.5) * 16).astype(np.int32)
    cv2.polylines(canvas, [places], False, 255, max(1, round(2 * radius)), cv2.LINE_8, 4)


def filled_hull(shape: tuple[int, ...], points: np.ndarray) -> np.ndarray:
    """(h, w) uint8: 255 in the convex hull of points (N, 2)."""
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.rint(points - 0.5).astype(np.int32)), 255)
    return canvas


def refined_about(alpha: np.ndarray, image: np.ndarray, mask: np.ndarray, cut: ArmCut, *, unit: float) -> np.ndarray:
    """The person's alpha (H, W), told from the background by colour once more in an arm's surroundings.

    mask: (H, W) coarse. unit: pixels of a face height.
    """
    window = (cut.rows, cut.columns)
    before, picture, coarse = alpha[window], image[window], mask[window]
    grown = lambda x, by: cv2.dilate(x.astype(np.uint8), disk(round(by * unit))) > 0  # noqa: E731
    core = cv2.erode((before > 0.95).astype(np.uint8), disk(round(0.08 * unit))) > 0
    never = ~grown((coarse > 0.08) | cut.inside, 0.05)
    inside = graph_cut(picture, surely=core | cut.inside, likely=(before > 0.5) & ~never, never=never)
    found = np.maximum(unmixed(picture, inside, border=max(2, round(_EDGE * unit))), cut.alpha)
    near = cv2.GaussianBlur(grown(cut.inside, 0.22).astype(np.float32), (0, 0), 0.06 * unit)
    refined = alpha.copy()
    refined[window] = before + near * (found - before)
    return refined
