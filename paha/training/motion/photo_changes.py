"""What happens to photographs on their way: light, colour, blur, noise, compression, things in front of a face.

Pictures are (H, W, 3) uint8; all randomness comes from the numpy generator given.
"""

from __future__ import annotations

import cv2
import numpy as np


def change_photo(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light, colour, blur, noise and compression, each in a share of pictures."""
    image = _light(image, rng)
    if rng.random() < 0.12:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    if rng.random() < 0.25:
        image = _soften(image, rng)
    if rng.random() < 0.3:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(2, 16)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return image


def _light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gamma, contrast, brightness and white balance by one table a channel; now and then light from one side."""
    x = np.linspace(0, 1, 256, dtype=np.float32)
    gamma, gain, offset = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.2)), rng.normal(0, 0.06)
    tint = np.exp(rng.normal(0, 0.07, 3)) * gain
    table = np.clip(((x[:, None] ** gamma - 0.5) * tint + 0.5 + offset) * 255, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[None])
    if rng.random() < 0.2:
        height, width = image.shape[:2]
        angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.7)
        ramp = np.cos(angle) * np.linspace(-1, 1, width)[None] + np.sin(angle) * np.linspace(-1, 1, height)[:, None]
        shade = (1 - depth / (1 + np.exp(-3 * ramp))).astype(np.float32)
        image = (image * shade[..., None]).astype(np.uint8)
    return image


def _soften(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, or enlarged from a smaller picture."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 2.0)))
    height, width = image.shape[:2]
    factor = rng.uniform(0.25, 0.7)
    small = cv2.resize(image, (max(8, int(width * factor)), max(8, int(height * factor))), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def cover_part(image: np.ndarray, rng: np.random.Generator, *, other: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """A patch of another picture, or one colour, before a place: returns the picture with it and writes nothing else.

    The second result is its soft mask (H, W) float32: 1 where the picture is covered.
    """
    height, width = image.shape[:2]
    half = rng.uniform(0.06, 0.24, 2) * width
    mask = np.zeros((height, width), np.float32)
    at, angle = [int(v) for v in centre + rng.normal(0, 0.05 * width, 2)], float(rng.uniform(0, 180))
    if rng.random() < 0.5:
        cv2.ellipse(mask, at, [int(v) + 1 for v in half], angle, 0, 360, 1.0, -1)
    else:
        corners = cv2.boxPoints(((float(at[0]), float(at[1])), (float(2 * half[0]), float(2 * half[1])), angle))
        cv2.fillConvexPoly(mask, corners.astype(np.int32), 1.0)
    if rng.random() < 0.4:
        cover = np.broadcast_to(rng.integers(0, 256, 3), image.shape)
    else:
        cover = cv2.resize(other, (width, height), interpolation=cv2.INTER_LINEAR)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.8)
    return np.dstack([image * (1 - mask[..., None]) + cover * mask[..., None], 255 * mask]).astype(np.uint8)
