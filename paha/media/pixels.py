"""Between uint8 pictures and the pixels in [-1, 1] that networks work on, and points between the two."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from paha.media.image_io import fit_image


def image_to_pixels(image: np.ndarray, *, width: int, height: int) -> Tensor:
    """(H, W, 3) uint8 of any size to (1, 3, height, width) float32 in [-1, 1]."""
    fitted = fit_image(image, width=width, height=height)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None].float() / 127.5 - 1


def pixels_to_frames(pixels: Tensor) -> np.ndarray:
    """(T, 3, H, W) in [-1, 1] to (T, H, W, 3) uint8 on the CPU."""
    scaled = ((pixels.float() + 1) * 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def psnr_db(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of pixels in [-1, 1], in decibels."""
    error = (a.float() - b.float()).square().mean().clamp(min=1e-12)
    return float(10 * torch.log10(4 / error))


def frames_to_pixels(frames: np.ndarray, *, batch_size: int) -> Iterator[Tensor]:
    """Batches (N, 3, H, W) float32 in [-1, 1] of frames (T, H, W, 3) uint8."""
    for start in range(0, len(frames), batch_size):
        chunk = torch.from_numpy(frames[start : start + batch_size])
        yield chunk.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def fit_points(
    points: np.ndarray, *, width: int, height: int, aspect: float, at: tuple[float, float] = (0.5, 0.5)
) -> np.ndarray:
    """Pixels (..., 2) of a width x height frame to [0, 1] of its crop to `aspect` (width / height).

    The same crop as `fit_image`; points outside it fall outside [0, 1].
    """
    crop_width, crop_height = min(width, height * aspect), min(height, width / aspect)
    corner = np.array([(width - crop_width) * at[0], (height - crop_height) * at[1]], np.float32)
    return ((points - corner) / np.array([crop_width, crop_height], np.float32)).astype(np.float32)
