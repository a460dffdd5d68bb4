"""Face, hands, body and background one by one: where they are, what they look like, how far they are from a real video.

Legend: T frames, H W pixels, R regions, S sampled frames, F width of a description.

A region's *description* needs no weights: mean colour and edge energy by orientation over a 4 x 4 grid of the region.
The Frechet distance of descriptions (`frd_face` and so on) compares colours and edges, so that blur and noise raise
it; it is not FID.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from paha.evaluation.metrics.keypoints import MIN_SCORE
from paha.types import FACE, LEFT_HAND, RIGHT_HAND, Keypoints

REGIONS = ("face", "hands", "body", "background")
FRAME = "frame"
"""The name of the whole picture among the regions' errors."""
MIN_DEVIATION = 100 / 255
"""Least standard deviation by which a number of a description is divided: one grey level, of values times 100."""
SIDE = 48
GRID = 4
ORIENTATIONS = 4
DESCRIPTION_DIM = GRID * GRID * (ORIENTATIONS + 3)
FACE_GROW, HAND_GROW, HEAD_GROW = 1.2, 1.4, 1.8
MIN_HAND_POINTS = 11
"""Of 21: a hand of which fewer are seen is not there."""
TRUNK = slice(5, 13)
"""Shoulders, elbows, wrists, hips: the paper's body rectangle (Fig. 3)."""
SSIM_SIGMA, SSIM_C1, SSIM_C2 = 1.5, (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW = cv2.getGaussianKernel(11, SSIM_SIGMA, cv2.CV_32F)
MAX_PSNR = 100.0
"""Of equal pictures, whose PSNR is infinite."""


@dataclass(frozen=True)
class Boxes:
    """Rectangles x0 y0 x1 y1 in pixels of each frame; NaN where the part is not seen.

    face, head, body: (T, 4). hands: (T, 2, 4), left and right.
    """

    face: np.ndarray
    head: np.ndarray
    hands: np.ndarray
    body: np.ndarray


def region_boxes(keypoints: Keypoints, face_box: np.ndarray, *, height: int) -> Boxes:
    """Boxes of each frame. face_box: (T, 4) px, brow to chin; the head is taken to be 1.8 times as large. The body
    reaches down to the frame's edge, as its lower half is below it or in clothes.
    """
    body = _extent(keypoints, TRUNK, at_least=2)
    body[:, 3] = np.where(np.isfinite(body[:, 3]), height, np.nan)
    hands = np.stack([_extent(keypoints, part, at_least=MIN_HAND_POINTS) for part in (LEFT_HAND, RIGHT_HAND)], 1)
    seen = np.asarray((keypoints.scores[:, FACE] >= MIN_SCORE).any(1))[:, None]
    face = np.where(seen, face_box, np.nan)
    return Boxes(grow(face, FACE_GROW), grow(face, HEAD_GROW), grow(hands, HAND_GROW), body)


def _extent(keypoints: Keypoints, part: slice, *, at_least: int) -> np.ndarray:
    seen = (keypoints.scores[:, part] >= MIN_SCORE)[..., None]
    points = keypoints.points[:, part]
    low = np.where(seen, points, np.inf).min(1)
    high = np.where(seen, points, -np.inf).max(1)
    enough = seen[..., 0].sum(1) >= at_least
    return np.where(enough[:, None], np.concatenate([low, high], 1), np.nan)


def grow(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes (..., 4) about their own centres."""
    centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2 * factor
    return np.concatenate([centre - half, centre + half], -1)


def region_masks(boxes: Boxes, frame: int, *, height: int, width: int) -> dict[str, np.ndarray]:
    """Which pixels (H, W) bool belong to each region of one frame; every pixel to exactly one.

    Hands come before the face, the face before the body. The head beside the face counts to the body.
    """
    hands = _inside(boxes.hands[frame, 0], height, width) | _inside(boxes.hands[frame, 1], height, width)
    face = _inside(boxes.face[frame], height, width) & ~hands
    person = _inside(boxes.body[frame], height, width) | _inside(boxes.head[frame], height, width)
    body = person & ~face & ~hands
    return {"face": face, "hands": hands, "body": body, "background": ~(face | hands | body)}


def _inside(box: np.ndarray, height: int, width: int) -> np.ndarray:
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    return (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])  # all False for NaN


def describe(frame: np.ndarray, boxes: Boxes, index: int) -> dict[str, np.ndarray]:
    """Descriptions (F,) of the regions seen in a frame (H, W, 3) uint8; `index` is its place in `boxes`.

    Of two hands the better seen one would be a choice; each is a description of its own: hands are (1 or 2, F).
    """
    height, width = frame.shape[:2]
    masks = region_masks(boxes, index, height=height, width=width)
    picture = frame.astype(np.float32) / 255
    hands = [box for box in boxes.hands[index] if np.isfinite(box).all()]
    wanted = {
        "face": [(boxes.face[index], None)] if masks["face"].any() else [],
        "hands": [(box, None) for box in hands],
        "body": [(boxes.body[index], masks["body"])] if masks["body"].any() else [],
        "background": [(np.array([0, 0, width, height]), masks["background"])] if masks["background"].any() else [],
    }
    return {
        name: np.stack([_description(picture, box, mask) for box, mask in found])
        for name, found in wanted.items()
        if found and np.isfinite(found[0][0]).all()
    }


def _description(picture: np.ndarray, box: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Grid means of colour and of edge energy by orientation, of the pixels under the mask, times 100."""
    crop = cut(picture, box, side=SIDE)
    weight = np.ones((SIDE, SIDE), np.float32)
    if mask is not None:
        weight = cut(mask.astype(np.float32)[..., None], box, side=SIDE)[..., 0]
    luma = crop @ np.array([0.299, 0.587, 0.114], np.float32)
    colours = [luma, crop[..., 2] - luma, crop[..., 0] - luma]
    dx, dy = np.zeros_like(luma), np.zeros_like(luma)
    dx[:, 1:-1] = luma[:, 2:] - luma[:, :-2]
    dy[1:-1] = luma[2:] - luma[:-2]
    angle, energy = np.arctan2(dy, dx) % np.float32(np.pi), np.hypot(dx, dy)
    bins = np.minimum((angle / np.float32(np.pi) * ORIENTATIONS).astype(int), ORIENTATIONS - 1)
    edges = [energy * (bins == i) for i in range(ORIENTATIONS)]
    maps = np.stack([*colours, *edges]) * weight
    cells, covered = (_cell_means(part) for part in (maps, weight))
    return (100 * cells / np.maximum(covered, 1e-3)).ravel().astype(np.float64)


def _cell_means(maps: np.ndarray) -> np.ndarray:
    """Means (..., GRID, GRID) of the cells of maps (..., SIDE, SIDE)."""
    size = SIDE // GRID
    return maps.reshape(*maps.shape[:-2], GRID, size, GRID, size).mean((-3, -1))


def cut(picture: np.ndarray, box: np.ndarray, *, side: int) -> np.ndarray:
    """A box (4,) px cut out of a picture (H, W, C) float32 and resampled to (side, side, C), bilinear; zeros outside
    the picture. Pixel centres are at +0.5."""
    at = (np.arange(side, dtype=np.float32) + 0.5) / side
    (left, top), (right, bottom) = box[:2], box[2:]
    rows = _between(picture, top + at * (bottom - top) - 0.5)
    return _between(rows.swapaxes(0, 1), left + at * (right - left) - 0.5).swapaxes(0, 1)


def _between(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows (n, ...) at places (side,) between them, linear; zeros before the first and behind the last."""
    low = np.floor(at).astype(int)
    share = (at - low).astype(np.float32)
    found = np.zeros((len(at), *rows.shape[1:]), np.float32)
    for row, weight in ((low, 1 - share), (low + 1, share)):
        inside = (row >= 0) & (row < len(rows))
        found[inside] += rows[row[inside]] * weight[inside, None, None]
    return found


def region_errors(real: np.ndarray, fake: np.ndarray, masks: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Mean squared error (of values 0 to 255) and mean SSIM of two frames (H, W, 3) uint8 in the whole frame and in
    each region that is not empty."""
    square = np.square(real.astype(np.float32) - fake.astype(np.float32)).mean(-1)
    similarity = ssim_map(real, fake)
    found = {FRAME: (float(square.mean()), float(similarity.mean()))}
    return found | {
        name: (float(square[mask].mean()), float(similarity[mask].mean())) for name, mask in masks.items() if mask.any()
    }


def psnr_db(mean_square: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error of values 0 to 255, at most 100."""
    return MAX_PSNR if mean_square <= 0 else float(min(MAX_PSNR, 10 * np.log10(255**2 / mean_square)))


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity (H, W) of the lumas of two frames (Wang et al. 2004; Gaussian of sigma 1.5, 11 px)."""
    x, y = (frame.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) for frame in (a, b))

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(values, -1, _WINDOW, _WINDOW, borderType=cv2.BORDER_REFLECT)

    mx, my = mean(x), mean(y)
    vx, vy, covariance = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    over = (2 * mx * my + SSIM_C1) * (2 * covariance + SSIM_C2)
    return over / ((mx**2 + my**2 + SSIM_C1) * (vx + vy + SSIM_C2))
