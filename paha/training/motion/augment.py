"""Augmentations of frames: small moves with their points, and the ways in which coded and generated frames are worse.

Pixels are (N, 3, H, W) in [-1, 1]; points are (x, y) in [0, 1] of the sides. All randomness comes from the generator
given (a CPU one); whatever is drawn is moved to the pixels' device.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR_RADIUS = 4
BLOCK = 8


def uniform(shape: tuple[int, ...], low: float, high: float, *, generator: torch.Generator) -> Tensor:
    """Uniform in [low, high)."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def random_affine(
    count: int, *, shift: float, scale: float, degrees: float, flip: bool, generator: torch.Generator
) -> Tensor:
    """Random maps (N, 2, 3) from points of the new frame to points of the old one, both in [-1, 1] about the centre.

    shift: largest, as a share of the side. scale: largest change of size, e.g. 0.1. flip: mirror half of them.
    """
    factor = 1 + uniform((count,), -scale, scale, generator=generator)
    angle = uniform((count,), -degrees, degrees, generator=generator) * (math.pi / 180)
    mirror = torch.randint(0, 2, (count,), generator=generator) * 2 - 1 if flip else torch.ones(count)
    cos, sin = factor * angle.cos(), factor * angle.sin()
    move = 2 * uniform((count, 2), -shift, shift, generator=generator)
    rows = [torch.stack([mirror * cos, -sin, move[:, 0]], 1), torch.stack([mirror * sin, cos, move[:, 1]], 1)]
    return torch.stack(rows, 1)


def pixel_shifts(count: int, *, pixels: int, size: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Like `random_affine` for moves by whole pixels and mirroring: frames keep their sharpness."""
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1 if flip else 1.0
    theta[:, 1, 1] = 1
    theta[:, :, 2] = torch.randint(-pixels, pixels + 1, (count, 2), generator=generator) * (2.0 / size)
    return theta


def warp(x: Tensor, theta: Tensor) -> Tensor:
    """Frames moved by maps (N, 2, 3); the border repeats."""
    grid = F.affine_grid(theta.to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def warp_points(points: Tensor, theta: Tensor) -> Tensor:
    """Where points (N, K, 2) of the old frames lie in the new ones."""
    old = 2 * points - 1 - theta[:, None, :, 2]
    return (old @ torch.linalg.inv(theta[:, :, :2]).mT + 1) / 2


def inside(points: Tensor) -> Tensor:
    """1 where a point (..., 2) lies in the frame, else 0."""
    return ((points >= 0) & (points <= 1)).all(-1).float()


def colour_jitter(x: Tensor, *, amount: float, generator: torch.Generator) -> Tensor:
    """Random gain per channel and brightness per frame, both up to `amount`."""
    gain = 1 + uniform((len(x), 3, 1, 1), -amount, amount, generator=generator)
    offset = uniform((len(x), 1, 1, 1), -amount, amount, generator=generator)
    return (x * gain.to(x) + offset.to(x)).clamp(-1, 1)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, sigma in pixels."""
    at = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.pad(x, (BLUR_RADIUS,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, kernel, groups=x.shape[1]), kernel.mT, groups=x.shape[1])


def dct_matrix(size: int = BLOCK) -> Tensor:
    """The orthonormal DCT-II, (frequency, place)."""
    k, n = torch.arange(size)[:, None], torch.arange(size)[None]
    matrix = torch.cos(math.pi / size * (n + 0.5) * k) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix


def blockify(x: Tensor, step: float) -> Tensor:
    """JPEG-like loss: every 8 x 8 block's DCT rounded to multiples of a step that grows with the frequency.

    step: of the lowest frequency, in pixel units. Sides must be multiples of 8.
    """
    dct = dct_matrix().to(x)
    n, c, height, width = x.shape
    blocks = x.reshape(n, c, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    steps = step * (1 + torch.arange(BLOCK).to(x) + torch.arange(BLOCK).to(x)[:, None])
    coded = ((dct @ blocks @ dct.mT) / steps).round() * steps
    return (dct.mT @ coded @ dct).transpose(3, 4).reshape(n, c, height, width)


def degrade(x: Tensor, *, generator: torch.Generator) -> Tensor:
    """Blur a third of the frames, block a quarter, add noise to a third. One strength of each is drawn a batch."""
    sigma, step, noise = (float(uniform((1,), *r, generator=generator)) for r in ((0.4, 1.6), (0.02, 0.15), (0, 0.15)))
    chance = torch.rand((3, len(x), 1, 1, 1), generator=generator).to(x)
    x = torch.where(chance[0] < 1 / 3, blur(x, sigma), x)
    x = torch.where(chance[1] < 1 / 4, blockify(x, step), x)
    grain = torch.randn(x.shape, generator=generator).to(x) * noise
    return torch.where(chance[2] < 1 / 3, x + grain, x).clamp(-1, 1)
