"""The square about a face that FaceNet sees: centred, as large as the face, upright where the face's roll is known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

FACE_GROW = 1.4
"""Side of the crop in sizes of the mesh."""
_FOREHEAD, _CHIN = 10, 152
_AREA_FACTOR = 0.6


@dataclass(frozen=True)
class FaceCrop:
    """A turned square of a picture. centre: (2,) px. side: px. angle: the roll of the face, radians clockwise."""

    centre: np.ndarray
    side: float
    angle: float

    @classmethod
    def about(cls, mesh: np.ndarray, *, upright: bool = True) -> FaceCrop:
        """The crop of a mesh (478, 3) px; upright: turned with the face."""
        points = mesh[:, :2]
        down = points[_CHIN] - points[_FOREHEAD]
        angle = float(np.arctan2(-down[0], down[1])) if upright else 0.0
        turn = _rotation(-angle)
        turned = points @ turn.T
        low, high = turned.min(0), turned.max(0)
        return cls(turn.T @ ((low + high) / 2), FACE_GROW * float((high - low).max()), angle)

    @classmethod
    def of_box(cls, box: np.ndarray) -> FaceCrop:
        """The crop of a face box (4,) px."""
        return cls((box[:2] + box[2:4]) / 2, FACE_GROW * float((box[2:4] - box[:2]).max()), 0.0)

    def cut(self, image: np.ndarray, size: int) -> np.ndarray:
        """(size, size, 3) uint8; beyond the picture its border repeats."""
        factor = size / self.side
        if factor < _AREA_FACTOR:
            # A warp alone would skip pixels: shrink the picture first.
            width, height = (max(1, round(length * factor)) for length in image.shape[1::-1])
            scale = np.array([width / image.shape[1], height / image.shape[0]])
            small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            return FaceCrop(self.centre * scale, self.side * float(scale.mean()), self.angle).cut(small, size)
        matrix = self._matrix(size)
        # OpenCV's indices are at pixel centres: index = coordinate - 0.5.
        matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def from_picture(self, points: np.ndarray, size: int) -> np.ndarray:
        """Points (P, 2 or 3) px of the picture in pixels of the crop of that size."""
        matrix = self._matrix(size)
        moved = points.astype(np.float32).copy()
        moved[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        moved[:, 2:] *= size / self.side
        return moved

    def to_picture(self, points: np.ndarray, size: int) -> np.ndarray:
        """The inverse of `from_picture`."""
        matrix = self._matrix(size)
        moved = points.astype(np.float32).copy()
        moved[:, :2] = (points[:, :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        moved[:, 2:] *= self.side / size
        return moved

    def _matrix(self, size: int) -> np.ndarray:
        """(2, 3) from coordinates of the picture to coordinates of the crop."""
        linear = _rotation(-self.angle) * (size / self.side)
        return np.concatenate([linear, (size / 2 - linear @ self.centre)[:, None]], 1)


def _rotation(angle: float) -> np.ndarray:
    """Clockwise in pixels (y down), radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
