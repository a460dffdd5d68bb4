"""Drawing tools: smooth curves, sub-pixel polygons, soft layers for textures and fast compositing for frames.

Images in a frame are uint8 RGBA with premultiplied colour; the background has alpha 0, so that alpha is the coverage by
the presenter. Textures are built once per character in float32 by `Layer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

Colour = tuple[float, float, float]
"""Red, green, blue in [0, 255]."""
SHIFT = 4
"""Binary digits of sub-pixel position in OpenCV's polygon coordinates."""


@lru_cache(maxsize=256)
def spline_basis(num_points: int, samples: int, closed: bool) -> np.ndarray:
    """(M, num_points) matrix that turns control points into samples of their centripetal-free Catmull-Rom spline."""
    spans = num_points if closed else num_points - 1
    t = np.arange(samples) / samples
    weights = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1) / 2
    basis = np.zeros((spans * samples + (not closed), num_points), dtype=np.float32)
    for span in range(spans):
        rows = slice(span * samples, (span + 1) * samples)
        for offset in range(4):
            index = span + offset - 1
            index = index % num_points if closed else min(max(index, 0), num_points - 1)
            basis[rows, index] += weights[:, offset]
    if not closed:
        basis[-1, -1] = 1
    return basis


def smooth(points: np.ndarray | Sequence, *, samples: int = 6, closed: bool = True) -> np.ndarray:
    """Samples (M, 2) of a smooth curve through the control points (N, 2)."""
    points = np.asarray(points, dtype=np.float32)
    return spline_basis(len(points), samples, closed) @ points


def mirrored(half: Sequence[tuple[float, float]]) -> np.ndarray:
    """A closed outline from its right half (top to bottom, the first and last point on the axis x = 0)."""
    right = np.asarray(half, dtype=np.float32)
    left = right[-2:0:-1] * (-1, 1)
    return np.concatenate([right, left])


def fixed_point(points_px: np.ndarray) -> np.ndarray:
    """Continuous pixel coordinates (pixel i covers [i, i + 1]) to OpenCV's fixed-point ones (pixel i has centre i)."""
    return np.rint((points_px - 0.5) * (1 << SHIFT)).astype(np.int32)


def fill(image: np.ndarray, points_px: np.ndarray, colour: Sequence[float]) -> None:
    """Fill a polygon (N, 2), anti-aliased, in place."""
    cv2.fillPoly(image, [fixed_point(points_px)], colour, cv2.LINE_AA, SHIFT)


def fill_convex(image: np.ndarray, fixed: np.ndarray, colour: Sequence[float]) -> None:
    """Fill a convex polygon given in fixed-point coordinates, anti-aliased, in place."""
    cv2.fillConvexPoly(image, fixed, colour, cv2.LINE_AA, SHIFT)


def stroke(image: np.ndarray, points_px: np.ndarray, colour: Sequence[float], *, thickness: int = 1) -> None:
    """Draw an open polyline, anti-aliased, in place."""
    cv2.polylines(image, [fixed_point(points_px)], False, colour, max(1, thickness), cv2.LINE_AA, SHIFT)


def ribbon(centre: np.ndarray, half_width: np.ndarray) -> np.ndarray:
    """Outline (2N, 2) of a stroke of varying half width (N,) along a centre line (N, 2)."""
    tangent = np.gradient(centre, axis=0)
    normal = tangent[:, ::-1] * (-1, 1) / (np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9)
    offset = normal * half_width[:, None]
    return np.concatenate([centre + offset, (centre - offset)[::-1]])


def ellipse(centre: Sequence[float], radii: Sequence[float], *, angle: float = 0.0, samples: int = 24) -> np.ndarray:
    """Polygon (samples, 2) of an ellipse, turned by `angle` radians (clockwise in the image)."""
    t = np.linspace(0, 2 * np.pi, samples, endpoint=False)
    x, y = radii[0] * np.cos(t), radii[1] * np.sin(t)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos], 1)


def shifted(points: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Points (N, 2) moved by (dx, dy)."""
    return points + np.array([dx, dy], dtype=points.dtype)


def mix(a: Colour, b: Colour, amount: float) -> Colour:
    """Colour between a (0) and b (1)."""
    return tuple((1 - amount) * x + amount * y for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def scaled(colour: Colour, factor: float) -> Colour:
    """Colour times a factor, clamped."""
    return tuple(min(255.0, x * factor) for x in colour)  # type: ignore[return-value]


def lit(colour: Colour, factor: float, plus: float) -> Colour:
    """Colour where light falls on it: times a factor and a little whiter, clamped."""
    return tuple(min(255.0, x * factor + plus) for x in colour)  # type: ignore[return-value]


def opaque(colour: Colour) -> tuple[float, float, float, float]:
    """RGBA of an opaque colour."""
    return (*colour, 255.0)


class Layer:
    """A float32 premultiplied RGBA picture (values in [0, 1]) with its own coordinate system, for building textures.

    `scale` pixels make one unit; `origin` is the unit coordinate of the picture's top left corner.
    """

    def __init__(self, *, low: tuple[float, float], high: tuple[float, float], scale: float) -> None:
        self.scale = scale
        self.origin = np.asarray(low, dtype=np.float32)
        width, height = np.ceil((np.asarray(high) - low) * scale).astype(int)
        self.rgba = np.zeros((height, width, 4), dtype=np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgba.shape[0], self.rgba.shape[1]

    def to_pixels(self, points: np.ndarray | Sequence) -> np.ndarray:
        """Unit coordinates to continuous pixel coordinates."""
        return (np.asarray(points, dtype=np.float32) - self.origin) * self.scale

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """x (1, W) and y (H, 1) unit coordinates of the pixel centres."""
        height, width = self.shape
        x = (np.arange(width, dtype=np.float32) + 0.5) / self.scale + self.origin[0]
        y = (np.arange(height, dtype=np.float32) + 0.5) / self.scale + self.origin[1]
        return x[None, :], y[:, None]

    def mask(self, *polygons: np.ndarray, blur: float = 0.0) -> np.ndarray:
        """Coverage (H, W) in [0, 1] of the union of polygons, optionally softened by a Gaussian of sigma `blur`."""
        image = np.zeros(self.shape, dtype=np.uint8)
        for polygon in polygons:
            fill(image, self.to_pixels(polygon), (255,))
        return self.soften(image.astype(np.float32) / 255, blur)

    def strokes(self, lines: Sequence[np.ndarray], values: Sequence[float], *, width: float, blur: float = 0.0):
        """Map (H, W) of lines with signed values in [-1, 1] on 0, later lines over earlier ones."""
        image = np.full(self.shape, 128, dtype=np.uint8)
        thickness = max(1, round(width * self.scale))
        for line, value in zip(lines, values, strict=True):
            stroke(image, self.to_pixels(line), (float(np.clip(128 + 127 * value, 0, 255)),), thickness=thickness)
        return self.soften((image.astype(np.float32) - 128) / 127, blur)

    def soften(self, values: np.ndarray, blur: float) -> np.ndarray:
        """Gaussian blur with sigma in units; at least a pixel's tenth, else unchanged."""
        sigma = blur * self.scale
        if sigma <= 0.1:
            return values
        box = bounds(values != 0, margin=int(3 * sigma) + 2)
        region = values[box[0] : box[1], box[2] : box[3]]
        softened = np.zeros_like(values)
        softened[box[0] : box[1], box[2] : box[3]] = _gaussian(np.ascontiguousarray(region), sigma)
        return softened

    def paint(self, mask: np.ndarray, colour: Colour, alpha: float = 1.0) -> None:
        """Lay a colour over the picture where the mask is."""
        rgba, cover = self._region(mask, alpha)
        rgba *= 1 - cover
        rgba += cover * np.asarray([*(c / 255 for c in colour), 1.0], dtype=np.float32)

    def tint(self, mask: np.ndarray, colour: Colour, alpha: float = 1.0) -> None:
        """Lay a colour over what is there already, never beyond its edge."""
        rgba, cover = self._region(mask, alpha)
        target = np.asarray([c / 255 for c in colour], dtype=np.float32) * rgba[..., 3:]
        rgba[..., :3] += cover * (target - rgba[..., :3])

    def _region(self, mask: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        """View of the picture where the mask is not empty, and the mask times alpha there, (h, w, 1)."""
        y0, y1, x0, x1 = bounds(mask != 0, margin=0)
        return self.rgba[y0:y1, x0:x1], (mask[y0:y1, x0:x1] * np.float32(alpha))[..., None].astype(np.float32)

    def shade(self, factor: np.ndarray) -> None:
        """Multiply the colour by a factor (H, W), alpha unchanged."""
        y0, y1, x0, x1 = bounds(factor != 1, margin=0)
        region = self.rgba[y0:y1, x0:x1]
        rgb = region[..., :3]
        np.minimum(rgb * factor[y0:y1, x0:x1, None], region[..., 3:], out=rgb)

    def clip(self, mask: np.ndarray) -> None:
        """Keep only what lies in the mask."""
        self.rgba *= mask[..., None]

    def over(self, other: Layer) -> None:
        """Lay another layer of the same size over this one."""
        self.rgba = other.rgba + self.rgba * (1 - other.rgba[..., 3:])

    def to_uint8(self) -> np.ndarray:
        """(H, W, 4) uint8 premultiplied picture."""
        return np.rint(np.clip(self.rgba, 0, 1) * 255).astype(np.uint8)


def _gaussian(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; wide ones are done on a smaller picture, which they hardly differ on."""
    shrink = int(sigma // 2.5)
    height, width = values.shape[:2]
    if shrink < 2 or min(height, width) < 4 * shrink:
        return cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    size = (max(1, width // shrink), max(1, height // shrink))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def bounds(alpha: np.ndarray, *, margin: int = 2) -> tuple[int, int, int, int]:
    """Rows and columns (y0, y1, x0, x1) that hold all non-zero pixels; all of it when there are none."""
    used = alpha.astype(bool, copy=False)
    if used.ndim == 3:
        used = np.any(used, axis=2)
    rows, columns = np.flatnonzero(np.any(used, axis=1)), np.flatnonzero(np.any(used, axis=0))
    if not len(rows):
        return 0, 1, 0, 1
    height, width = alpha.shape[:2]
    return (
        max(rows[0] - margin, 0),
        min(rows[-1] + 1 + margin, height),
        max(columns[0] - margin, 0),
        min(columns[-1] + 1 + margin, width),
    )


def blend(frame: np.ndarray, picture: np.ndarray) -> None:
    """Lay a premultiplied uint8 RGBA picture over a frame region of the same size, in place."""
    keep = cv2.bitwise_not(cv2.extractChannel(picture, 3))
    below = cv2.multiply(frame, cv2.merge([keep, keep, keep, keep]), scale=1 / 255)
    cv2.add(below, picture, dst=below)
    frame[:] = below


def warp_over(frame: np.ndarray, picture: np.ndarray, matrix: np.ndarray) -> None:
    """Lay a picture over the frame, moved by a 2x3 affine matrix between continuous pixel coordinates."""
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    x0, y0 = np.maximum(np.floor(moved.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(moved.max(0)).astype(int), (frame.shape[1], frame.shape[0]))
    if x1 <= x0 or y1 <= y0:
        return
    local = matrix.astype(np.float64).copy()
    # OpenCV puts pixel centres at whole numbers.
    local[:, 2] += local[:, :2] @ (0.5, 0.5) - 0.5 - (x0, y0)
    warped = cv2.warpAffine(picture, local, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR)
    blend(frame[y0:y1, x0:x1], warped)
