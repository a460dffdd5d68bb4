"""What a video of a speaking photograph is worth: small pure functions of curves, frames and points.

Openings of mouths are gaps of the inner lips in face heights, (T,) curves at 25 fps, NaN where no face was found.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from paha.runtime.statistics import Interval, lip_r
from paha.types import FPS

PAUSE_MARGIN_S = 0.12
"""Lips open before a sound and close after it: so much of a pause's ends is no pause."""


def filled(curve: np.ndarray) -> np.ndarray:
    """A curve (T,) without its NaN: straight lines between neighbours; zeros where there is nothing else."""
    known = np.isfinite(curve)
    if not known.any():
        return np.zeros(len(curve))
    at = np.arange(len(curve))
    return np.interp(at, at[known], curve[known])


def correlation(read: np.ndarray, truth: np.ndarray) -> float:
    """Pearson's r of two openings while both last; 0 where one does not move."""
    length = min(len(read), len(truth))
    return lip_r(filled(read[:length]), filled(truth[:length]))


def amplitude(read: np.ndarray, truth: np.ndarray) -> float:
    """Standard deviation of one opening over that of another; NaN where the other does not move."""
    spread = float(np.std(filled(truth)))
    return float(np.std(filled(read))) / spread if spread > 1e-6 else float("nan")


def share_found(read: np.ndarray) -> float:
    """Share of frames in which there is a face."""
    return float(np.isfinite(read).mean())


def pause_frames(pauses: list[tuple[float, float]], num_frames: int) -> np.ndarray:
    """(T,) bool: frames whose middle lies in a pause (start_s, end_s) and PAUSE_MARGIN_S from its ends.

    The sound's own start and end are no ends of a pause.
    """
    at_s, end_s = (np.arange(num_frames) + 0.5) / FPS, num_frames / FPS
    within = np.zeros(num_frames, bool)
    for start, stop in pauses:
        low = start + PAUSE_MARGIN_S if start > 0 else 0.0
        high = stop - PAUSE_MARGIN_S if stop < end_s - 1 / FPS else end_s
        within |= (at_s > low) & (at_s < high)
    return within


def opening_in_pauses(read: np.ndarray, paused: np.ndarray) -> float:
    """Mean opening in pauses over that in speech; NaN without either."""
    curve = filled(read)
    if not paused.any() or paused.all():
        return float("nan")
    return float(curve[paused].mean() / max(curve[~paused].mean(), 1e-6))


def face_sharpness(frame: np.ndarray, outline: np.ndarray) -> float:
    """Variance of the Laplacian of a frame's grey values (H, W, 3) inside a face's outline (N, 2), pixels."""
    hull = cv2.convexHull(outline.astype(np.float32)).reshape(-1, 2)
    height, width = frame.shape[:2]
    x0, y0 = np.maximum(np.floor(hull.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(hull.max(0)).astype(int), [width, height])
    if x1 - x0 < 3 or y1 - y0 < 3:
        return float("nan")
    grey = cv2.cvtColor(np.ascontiguousarray(frame[y0:y1, x0:x1]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    inside = np.zeros(grey.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(hull - [x0, y0]).astype(np.int32), 1)
    return float(cv2.Laplacian(grey, cv2.CV_32F)[inside > 0].var())


def frame_changes(frames: np.ndarray) -> np.ndarray:
    """(T - 1,) mean absolute difference of neighbouring frames (T, H, W, 3) uint8, grey levels."""
    return np.array([float(cv2.absdiff(a, b).mean()) for a, b in pairwise(frames)])


def seam_ratio(changes: np.ndarray, borders: list[int]) -> float:
    """Mean change at segment borders over the mean elsewhere. borders: first frames that a new segment made; change i
    is from frame i to frame i + 1. NaN without borders."""
    at = np.zeros(len(changes), bool)
    at[[border - 1 for border in borders if 0 < border <= len(changes)]] = True
    if not at.any() or at.all():
        return float("nan")
    return float(changes[at].mean() / max(changes[~at].mean(), 1e-6))


def changed_outside(frames: np.ndarray, image: np.ndarray, region: tuple[slice, slice]) -> int:
    """Largest difference in grey levels between frames (T, H, W, 3) and the photograph outside rows and columns."""
    outside = np.ones(image.shape[:2], bool)
    outside[region] = False
    if not outside.any():
        return 0
    return max(int(np.abs(frame[outside].astype(int) - image[outside]).max()) for frame in frames)


def spread(places: np.ndarray) -> float:
    """Standard deviation over time of places (T, Q, 2), root mean square over places and axes."""
    return float(np.sqrt(places.var(0).mean()))


def jerk(places: np.ndarray) -> float:
    """Root mean square of the third difference over time of places (T, Q, 2), a second to the third."""
    return float(np.sqrt(np.square(np.diff(places, 3, axis=0)).mean())) * FPS**3


def ratio_of_means(above: list[float], below: list[float], *, samples: int = 2000, seed: int = 0) -> Interval:
    """Mean over people of one number over that of another, with the bootstrap 95 % interval over people."""
    a, b, rng = np.asarray(above, float), np.asarray(below, float), np.random.default_rng(seed)
    drawn = rng.integers(0, len(a), (samples, len(a)))
    low, high = np.quantile(a[drawn].mean(1) / b[drawn].mean(1), [0.025, 0.975])
    return Interval(float(a.mean() / b.mean()), float(low), float(high), len(a))


def aligned_face(frame: np.ndarray, points: np.ndarray, model: np.ndarray, *, side: int = 128) -> np.ndarray:
    """(side, side, 3) float32: a frame turned and scaled so that points (N, 2) lie on the model's (0 to 1)."""
    matrix = similarity(points, model * side)
    return cv2.warpAffine(frame, matrix, (side, side), flags=cv2.INTER_LINEAR).astype(np.float32)


def similarity(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """(2, 3): the turn, scale and shift that bring points (N, 2) onto others (N, 2) by least squares."""
    a, b = points - points.mean(0), onto - onto.mean(0)
    z, w = a[:, 0] + 1j * a[:, 1], b[:, 0] + 1j * b[:, 1]
    turn = (z.conj() @ w) / max(float((z.conj() @ z).real), 1e-9)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.concatenate([linear, (onto.mean(0) - linear @ points.mean(0))[:, None]], 1)
