"""The small "AI-generated" that can be drawn on a video's picture."""

from __future__ import annotations

import numpy as np

TEXT = "AI-generated"


def label_patch(width: int, height: int) -> np.ndarray:
    """The label as (h, w, 2) float32 in [0, 1]: brightness and opacity of its pixels, white on half-clear black."""
    from PIL import Image, ImageDraw, ImageFont

    size = max(9, min(height // 22, width // 10))
    font = ImageFont.load_default(size)
    x0, y0, x1, y1 = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), TEXT, font=font)
    pad = max(2, size // 4)
    image = Image.new("L", (int(x1 - x0) + 2 * pad, int(y1 - y0) + 2 * pad))
    ImageDraw.Draw(image).text((pad - x0, pad - y0), TEXT, fill=255, font=font)
    text = np.asarray(image, np.float32) / 255
    return np.stack([text, np.maximum(text, 0.5)], axis=-1)[:height, :width]


def stamp(image: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """A copy of an (H, W, 3) uint8 picture with the patch in its lower right corner."""
    h, w = patch.shape[:2]
    gap = max(0, min(4, image.shape[0] - h, image.shape[1] - w))
    rows = slice(image.shape[0] - gap - h, image.shape[0] - gap)
    columns = slice(image.shape[1] - gap - w, image.shape[1] - gap)
    brightness, opacity = patch[..., :1], patch[..., 1:]
    out = image.copy()
    out[rows, columns] = np.rint(image[rows, columns] * (1 - opacity) + 255 * brightness * opacity)
    return out
