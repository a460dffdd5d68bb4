"""Contact sheets for people to look at; made on the spot, never committed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from paha.media.image_io import contact_sheet

TILE_PX = 192


def fit(frame: np.ndarray, *, side: int = TILE_PX) -> np.ndarray:
    """(side, side, 3): a frame (H, W, 3) uint8 whole, in the middle of a white square."""
    height, width = frame.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    tile = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def sheet(tiles: Sequence[np.ndarray], *, columns: int) -> np.ndarray:
    """Tiles of one size in rows."""
    return contact_sheet(list(tiles), columns=columns)


def three_moments(opening: np.ndarray) -> list[int]:
    """Frames at which a mouth is most closed, half open and most open, in order of time."""
    order = np.argsort(opening, kind="stable")
    return sorted({int(order[0]), int(order[len(order) // 2]), int(order[-1])})
