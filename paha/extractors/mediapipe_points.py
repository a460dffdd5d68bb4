"""MediaPipe's points in the order of COCO-WholeBody's 133, and what is worked out from them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from paha.types import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND

BODY_OF_POSE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""MediaPipe's pose point of each COCO body point."""
FEET_OF_POSE = (31, 31, 29, 32, 32, 30)
"""The same for big toe, small toe, heel, left and right; small toes take the big toe's place, with score 0."""
FACE_OF_MESH = (
    *(127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356),  # jaw, from their right ear
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
"""Points of the face mesh that lie where the 68 face points of COCO-WholeBody (iBUG's) do."""
SMALL_TOES = (18, 21)
"""Keypoints that MediaPipe does not have."""
SHOULDERS = (11, 12)
"""Of MediaPipe's pose, the left one first; as the wrists."""
WRISTS = (15, 16)
_LIPS = (62, 66, 60, 64)  # of the 68: inner upper, inner lower, corners
_WRONG_LABEL = 0.5  # in shoulder widths: what it costs to overrule MediaPipe's left or right


BODY_POINTS, HAND_POINTS = np.r_[BODY, FEET], np.r_[LEFT_HAND, RIGHT_HAND]


def paced(num_frames: int, *, every: int) -> np.ndarray:
    """Frames 0, every, 2 every ... and the last one."""
    return np.unique([*range(0, num_frames, every), num_frames - 1])


def draw_between(points: np.ndarray, scores: np.ndarray, own: np.ndarray, read: np.ndarray) -> None:
    """Fill the points `own` of frames that were not read: linear in time between the frames that were, in place.

    points: (T, 133, 2), scores: (T, 133). read: frames in ascending order, the first and the last one among them. Where
    a point was found in one of the two neighbours alone, a frame takes the nearer one.
    """
    for a, b in pairwise(read):
        both = (scores[a, own] > 0) & (scores[b, own] > 0)
        for t in range(a + 1, b):
            share = (t - a) / (b - a)
            nearer = a if share < 0.5 else b
            mixed = (1 - share) * points[a, own] + share * points[b, own]
            points[t, own] = np.where(both[:, None], mixed, points[nearer, own])
            mean = (1 - share) * scores[a, own] + share * scores[b, own]
            scores[t, own] = np.where(both, mean, scores[nearer, own])


def assign_sides(
    hands: list[np.ndarray], labels: list[tuple[bool, float]], pose: np.ndarray | None
) -> list[tuple[np.ndarray, bool, float]]:
    """Hands (21, 2) px as (hand, whether it is the person's left one, score), at most one a side.

    labels: MediaPipe's (left?, score) of each. pose: (33, 2) px; each hand goes to the nearer wrist, unless the label
    says otherwise and the distances differ little. Without a pose the labels decide.
    """
    kept = [(hand, left, score) for hand, (left, score) in zip(hands, labels, strict=True)]
    kept.sort(key=lambda item: -item[2])
    costs = np.array([[_side_cost(hand, left, side, pose) for side in (True, False)] for hand, left, _ in kept])
    if len(kept) >= 2:
        straight = bool(costs[0, 0] + costs[1, 1] <= costs[0, 1] + costs[1, 0])
        return [(kept[0][0], straight, kept[0][2]), (kept[1][0], not straight, kept[1][2])]
    return [(hand, bool(cost[0] <= cost[1]), score) for (hand, _, score), cost in zip(kept, costs, strict=True)]


def _side_cost(hand: np.ndarray, left: bool, side: bool, pose: np.ndarray | None) -> float:
    disagrees = _WRONG_LABEL if left != side else 0.0
    if pose is None:
        return disagrees
    shoulders = max(1.0, float(np.linalg.norm(pose[SHOULDERS[0]] - pose[SHOULDERS[1]])))
    return disagrees + float(np.linalg.norm(hand[0] - pose[WRISTS[0 if side else 1]])) / shoulders


def face_boxes(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(T, 4) float32 x0 y0 x1 y1 px around the 68 face points of (T, 133, 2); zeros where no face was found."""
    face = points[:, FACE]
    boxes = np.concatenate([face.min(1), face.max(1)], axis=1)
    return np.where((scores[:, FACE] > 0).any(1, keepdims=True), boxes, 0).astype(np.float32)


def mouth_gap(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(T,) float32 in [0, 1]: gap of the inner lips over the mouth's width; 0 where no face was found."""
    upper, lower, right, left = (points[:, FACE.start + k] for k in _LIPS)
    width = np.linalg.norm(left - right, axis=-1)
    gap = np.linalg.norm(lower - upper, axis=-1) / np.maximum(width, 1e-3)
    return np.where((scores[:, FACE] > 0).any(1), np.clip(gap, 0, 1), 0).astype(np.float32)


def square_about(frame: np.ndarray, points: np.ndarray, *, grow: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of a frame in the grown square around points (N, 2), and its corner (2,) px; the frame if too little."""
    height, width = frame.shape[:2]
    low, high = points.min(0), points.max(0)
    centre, half = (low + high) / 2, max(16.0, float((high - low).max()) * grow / 2)
    x0, y0 = (max(0, int(c - half)) for c in centre)
    x1, y1 = min(width, int(centre[0] + half) + 1), min(height, int(centre[1] + half) + 1)
    if x1 - x0 < 16 or y1 - y0 < 16:
        return frame, np.zeros(2, np.float32)
    return frame[y0:y1, x0:x1], np.array([x0, y0], np.float32)


def overlap_of(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    total = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared
    return shared / total if total > 0 else 0.0
