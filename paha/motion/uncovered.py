"""What a picture would show without the person, or without an arm: made up where moving may uncover it.

Letters: H W the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from paha.motion.arm_cut import ArmCut
from paha.motion.matting import disk, filled

_TORSO = 0.97
"""Share of a pixel that must be the person to lend its colour to what an arm hides of the person."""


def without_person(image: np.ndarray, alpha: np.ndarray, *, unit: float) -> np.ndarray:
    """(H, W, 3) uint8: the background. Untouched where alpha (H, W) is nothing. unit: pixels of a face height."""
    hole = cv2.dilate((alpha > 0.02).astype(np.uint8), disk(2))
    scale = min(1.0, 96 / unit)
    height, width = hole.shape
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small_hole = cv2.resize(cv2.dilate(hole, disk(round(0.5 / scale))), size, interpolation=cv2.INTER_NEAREST)
    coarse = cv2.resize(cv2.inpaint(small, small_hole, 4, cv2.INPAINT_TELEA), (width, height))
    return patched(image, coarse.astype(np.float32), hole=hole > 0)


def without_arm(
    image: np.ndarray, alpha: np.ndarray, background: np.ndarray, cut: ArmCut, gone: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The picture (H, W, 3) uint8 and the person's alpha (H, W) without an arm.

    gone: (h, w) float32 in the cut's box, how much of the arm goes. Behind it the body's outline is continued; the
    body's own colours fill it on one side, the background the other.
    """
    rows, columns = cut.rows, cut.columns
    hole = gone > 0
    near = cv2.dilate(hole.astype(np.uint8), disk(2)) > 0
    window, person, behind = image[rows, columns], alpha[rows, columns], background[rows, columns].astype(np.float32)
    outline = filled(person, known=~near)
    outline = np.clip((outline - 0.5) / 0.3 + 0.5, 0, 1)
    body = filled(window, known=(person > _TORSO) & ~near)
    guess = outline[..., None] * body + (1 - outline[..., None]) * behind
    clean = patched(window, guess, hole=hole).astype(np.float32)
    picture, mask = image.copy(), alpha.copy()
    picture[rows, columns] = np.rint(window + gone[..., None] * (clean - window)).astype(np.uint8)
    mask[rows, columns] = person + gone * (outline - person)
    return picture, mask


def patched(image: np.ndarray, guess: np.ndarray, *, hole: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the image, and in the hole (H, W) bool the guess (H, W, 3), lightened or darkened smoothly so
    that there is no seam."""
    if not hole.any() or hole.all():
        return image if not hole.any() else np.clip(np.rint(guess), 0, 255).astype(np.uint8)
    ring = cv2.dilate(hole.astype(np.uint8), disk(3)) > 0
    error = filled(image - guess, known=ring & ~hole)
    return np.where(hole[..., None], np.clip(np.rint(guess + error), 0, 255), image).astype(np.uint8)


def with_held(alpha: np.ndarray, hands: Sequence[np.ndarray], *, radius: float) -> np.ndarray:
    """The person's alpha (H, W) with all about hands (21, 2) out to `radius` pixels: what they hold moves along."""
    drawn = np.zeros(alpha.shape, np.uint8)
    for hand in hands:
        cv2.fillConvexPoly(drawn, cv2.convexHull(np.rint(hand).astype(np.int32)), 1)
    if not drawn.any():
        return alpha
    away = cv2.distanceTransform(1 - drawn, cv2.DIST_L2, 3)
    return np.maximum(alpha, np.clip(2 - 2 * away / radius, 0, 1).astype(np.float32))
