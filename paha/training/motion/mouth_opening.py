"""Opens the mouth of a photographed face, crudely: few photographs show open mouths, and they must be read too."""

from __future__ import annotations

import cv2
import numpy as np

INNER_UPPER = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308])
INNER_LOWER = np.array([78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308])
_CORNERS = (61, 291)
_FIXED_POINT_STEPS = 4


def open_mouth(image: np.ndarray, mesh: np.ndarray, *, opening: float, rng: np.random.Generator):
    """A face crop (S, S, 3) uint8 and its mesh (478, 3) px with the lower lip and jaw `opening` face heights lower.

    The mouth's inside is painted dark, with a row of teeth or two in a share of them.
    """
    frame = _Frame(mesh)
    drop = opening * frame.height
    moved = mesh.copy()
    moved[:, :2] += frame.down * (drop * frame.share(mesh[:, :2]))[:, None]
    # The fields of skin above and below the lips differ: each target pixel asks for the source that moves to it.
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32) + 0.5
    target = np.stack([x, y], -1)
    source = target
    for _ in range(_FIXED_POINT_STEPS):
        source = target - frame.down * (drop * frame.share(source))[..., None]
    source = source.astype(np.float32) - 0.5
    warped = cv2.remap(image, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _paint_inside(warped, moved, rng), moved


class _Frame:
    """Axes of a face: how far below the line of the lips places lie, and how much of the jaw's fall they take."""

    def __init__(self, mesh: np.ndarray) -> None:
        points = mesh[:, :2]
        axis = points[152] - points[10]
        self.height = float(np.linalg.norm(axis))
        self.down = axis / self.height
        self.across = np.array([self.down[1], -self.down[0]], np.float32)
        left, right = points[_CORNERS[0]], points[_CORNERS[1]]
        self.middle = (points[13] + points[14]) / 2
        self.half_width = float(np.abs((right - left) @ self.across)) / 2 + 1e-3
        self.tilt = float((right - left) @ self.down) / (2 * self.half_width)
        self.chin = float((points[152] - self.middle) @ self.down)
        # The lips' line sags where corners lie higher or lower than the middle.
        self.sag = float(((left + right) / 2 - self.middle) @ self.down)

    def share(self, places: np.ndarray) -> np.ndarray:
        """Share (...,) of the fall at places (..., 2): a lens at the lips, wider toward the chin, 0 above the lips."""
        offset = places - self.middle
        x = offset @ self.across / self.half_width
        below = offset @ self.down - self.tilt * x * self.half_width - self.sag * np.minimum(x * x, 1)
        lens = np.sqrt(np.clip(1 - x * x, 0, 1))
        wide = np.exp(-0.5 * (x / 1.6) ** 2)
        depth = np.clip(below / (0.6 * self.chin), 0, 1)
        neck = np.clip(2.2 - below / self.chin, 0, 1)
        return np.where(below > 0, (lens * (1 - depth) + wide * depth) * neck, 0.0)


def _paint_inside(image: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ring = np.concatenate([mesh[INNER_UPPER, :2], mesh[INNER_LOWER[-2:0:-1], :2]])
    light = float(image.mean()) / 128
    inside = np.array(rng.uniform((25, 5, 5), (95, 45, 45))) * light
    painted = image.astype(np.float32)
    mask = _filled(image.shape, ring)
    cover = np.broadcast_to(inside, image.shape).astype(np.float32).copy()
    gap = mesh[14, :2] - mesh[13, :2]
    for upper, share in ((True, rng.uniform(0.15, 0.45)), (False, rng.uniform(0.1, 0.3))):
        if rng.random() < (0.7 if upper else 0.35):
            edge = mesh[INNER_UPPER if upper else INNER_LOWER, :2]
            band = np.concatenate([edge, (edge + (gap if upper else -gap) * share)[::-1]])
            teeth = np.array(rng.uniform((150, 140, 120), (235, 230, 220))) * min(1.1, light)
            row = _filled(image.shape, band)[..., None]
            cover = cover * (1 - row) + teeth * row
    painted = painted * (1 - mask[..., None]) + cover * mask[..., None]
    return np.clip(painted, 0, 255).astype(np.uint8)


def _filled(shape: tuple[int, ...], ring: np.ndarray) -> np.ndarray:
    """A soft polygon (H, W) float32; ring (N, 2) px."""
    mask = np.zeros(shape[:2], np.uint8)
    points = np.round((ring - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, lineType=cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / 255
