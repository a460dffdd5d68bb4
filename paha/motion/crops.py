"""Square crops of pictures, which may reach beyond them, and boxes of faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from paha.extractors.faces import tiles

_SAME_FACE = 0.5
_LARGE_FACE = 0.25
"""Height over the picture's longer side of a face beside which others are half as high at least, or do not matter."""


@dataclass(frozen=True)
class Square:
    """A square of a picture's plane. corner: (2,) float32, x and y of its upper left in pixels. side: pixels."""

    corner: np.ndarray
    side: float

    @classmethod
    def at(cls, centre: np.ndarray, side: float) -> Square:
        """About a centre (2,) px."""
        return cls((np.asarray(centre, np.float32) - side / 2).astype(np.float32), float(side))

    @classmethod
    def around_all(cls, size: tuple[int, ...]) -> Square:
        """About a whole picture of (height, width)."""
        return cls.at(np.array([size[1], size[0]], np.float32) / 2, float(max(size[:2])))

    def cut(self, image: np.ndarray, *, max_side: int | None = None, side: int | None = None) -> np.ndarray:
        """This part of a picture (H, W, 3) uint8, (S, S, 3) uint8, black beyond the picture. S is the square's own side
        in pixels, at most max_side, or `side`; smaller ones are averages of pixels."""
        size = side or max(1, min(round(self.side), max_side or round(self.side)))
        factor = size / self.side
        if factor < 0.7:
            # Shrink the picture's part first: a warp alone would skip pixels.
            return self._shrunk(image, size)
        matrix = self.matrix(size)
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

    def matrix(self, size: int) -> np.ndarray:
        """(2, 3) float64 from OpenCV's pixel indices of the picture to those of the crop of that size."""
        factor = size / self.side
        # OpenCV's indices are at pixel centres: index = coordinate - 0.5.
        move = factor * (0.5 - self.corner.astype(np.float64)) - 0.5
        return np.array([[factor, 0, move[0]], [0, factor, move[1]]])

    def _shrunk(self, image: np.ndarray, size: int) -> np.ndarray:
        height, width = image.shape[:2]
        low = np.floor(np.maximum(self.corner, 0)).astype(int)
        high = np.ceil(np.minimum(self.corner + self.side, [width, height])).astype(int)
        if (high <= low).any():
            return np.zeros((size, size, 3), np.uint8)
        factor = size / self.side
        part = image[low[1] : high[1], low[0] : high[0]]
        shape = np.maximum(1, np.round((high - low) * factor)).astype(int)
        small = cv2.resize(part, (int(shape[0]), int(shape[1])), interpolation=cv2.INTER_AREA)
        # From the small picture's coordinates to the crop's, then to OpenCV's indices at pixel centres.
        gain = factor * (high - low) / shape
        move = factor * (low - self.corner) + 0.5 * gain - 0.5
        matrix = np.array([[gain[0], 0, move[0]], [0, gain[1], move[1]]])
        return cv2.warpAffine(small, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def paste(mask: np.ndarray, square: Square, size: tuple[int, ...]) -> np.ndarray:
    """A mask (S, S) of a square, at its place in a picture of (height, width): (H, W) float32, 0 elsewhere."""
    matrix = cv2.invertAffineTransform(square.matrix(mask.shape[0]))
    return cv2.warpAffine(mask.astype(np.float32), matrix, (size[1], size[0]), flags=cv2.INTER_LINEAR)


def searched_tiles(
    image: np.ndarray, found: Sequence[np.ndarray], *, smallest: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Parts of a picture (H, W, 3) to look for faces in, x and y of their corner first: the whole, then halves unless
    `found`, boxes (5,) that the caller adds to meanwhile, has a large face, then quarters if it has none at all.
    smallest: pixels of the smallest part."""
    longer = max(image.shape[:2])
    for side in (longer, longer // 2, longer // 4):
        largest = max((float(box[3] - box[1]) for box in found), default=0.0)
        if largest > _LARGE_FACE * longer or (found and side < longer // 2) or side < smallest:
            return
        yield from [(0, 0, image)] if side == longer else tiles(image, side)


def unique_boxes(boxes: list[np.ndarray]) -> np.ndarray:
    """Boxes (N, 5), largest first, each face once: of boxes whose centres lie within half a width the first stays."""
    kept: list[np.ndarray] = []
    for box in boxes:
        if not any(_is_same(box, other) for other in kept):
            kept.append(box)
    kept.sort(key=lambda box: float(box[1] - box[3]))
    return np.array(kept, np.float32).reshape(-1, 5)


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    distance = float(np.linalg.norm((a[:2] + a[2:4] - b[:2] - b[2:4]) / 2))
    return distance < _SAME_FACE * max(float(a[2] - a[0]), float(b[2] - b[0]))
