"""`paha train codec`: the presenter codec on frames of a corpus."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from paha.config import PahaConfig, TrainConfig
from paha.dataset.splits import SplitName
from paha.extractors.pixel_codec import PixelCodec
from paha.media.video_io import contact_sheet, save_png
from paha.training.job import Job, StepContext
from paha.training.motion.augment import colour_jitter, pixel_shifts, uniform, warp, warp_points
from paha.training.motion.frames import FrameSet, load_frames, to_images, to_pixels
from paha.types import FACE, LEFT_HAND, RIGHT_HAND

CODEC_TRAIN = TrainConfig(
    batch_size=16,
    steps=3000,
    learning_rate=2e-3,
    weight_decay=0.0,
    warmup_steps=100,
    cosine_decay=True,
    ema_decay=0.995,
    checkpoint_every=500,
    sample_every=500,
)

MOUTH = slice(FACE.start + 48, FACE.stop)
EYES = slice(FACE.start + 36, FACE.start + 48)
PARTS = {
    "face": ((FACE,), 3.0),
    "eyes": ((EYES,), 8.0),
    "mouth": ((MOUTH,), 20.0),
    "hands": ((LEFT_HAND, RIGHT_HAND), 8.0),
}
"""Keypoints of each part, one rectangle a slice, and the weight of its pixels; all else has weight 1. The mouth is 1
% of a frame.
"""
PART_MARGIN = 0.02
"""Added on all sides of a part's rectangle, in sides of the frame."""
VISIBLE_SCORE = 0.1
LATENT_NOISE = 0.2
"""Largest standard deviation of the noise on unit-variance latents in training."""
SQUARE_WEIGHT = 4.0
"""Of the squared error, beside the absolute one."""
BASIS_FRAMES = 6000
"""Frames whose patches the basis is fitted to."""
SHEET_FRAMES = 8
PROBE_FRAMES = 64


def codec_job(config: PahaConfig, data_dir: Path, *, every: int = 3, split: SplitName = "train") -> Job:
    """The job that trains the preset's codec on every n-th frame of a split of a corpus folder.

    Raises PahaError for a folder without clips.
    """
    frames = load_frames(data_dir, every=every, size=config.height, split=split)
    return codec_job_on(PixelCodec.from_codec_config(config.codec), frames, batch_size=config.train.batch_size)


def codec_job_on(model: PixelCodec, frames: FrameSet, *, batch_size: int) -> Job:
    """The same on frames in memory. The basis is fitted here and stays; the steps train the refiner."""
    seen = frames.spread(BASIS_FRAMES)
    x = to_pixels(seen.images)
    points, scores = torch.from_numpy(seen.points), torch.from_numpy(seen.scores)
    model.fit_basis(x, part_weight(points, scores, height=x.shape[2], width=x.shape[3]))
    return Job(
        name="codec",
        model=model,
        loss=partial(codec_loss, codec=model, frames=frames, batch_size=batch_size),
        save=save_codec,
        sample=partial(sample_codec, frames=frames),
        probe=partial(probe_codec, frames=frames),
        fingerprint={"model": dict(model.config), "frames": len(frames)},
    )


def codec_loss(
    model: nn.Module, context: StepContext, *, codec: PixelCodec, frames: FrameSet, batch_size: int
) -> tuple[Tensor, dict[str, float | Tensor]]:
    """Part-weighted absolute and squared errors of pixels decoded from noisy latents.

    model: the codec as the loop wraps it, called on latents. codec: the same one, for its encoder.
    """
    draw = context.generator("batch")
    batch = frames.draw(batch_size, generator=draw)
    x, points = augment(batch, generator=draw)
    x = x.to(context.device)
    weight = part_weight(points, torch.from_numpy(batch.scores), height=x.shape[2], width=x.shape[3]).to(x)
    with torch.no_grad():
        z = codec.encode(x).float()
    noise = draw_latent_noise(z.shape, generator=context.generator("noise")).to(z)
    error = model(z + noise).float() - x
    pixel, square = weighted_mean(error.abs(), weight), weighted_mean(error.square(), weight)
    return pixel + SQUARE_WEIGHT * square, {"pixel": pixel.detach(), "square": square.detach()}


def augment(batch: FrameSet, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pixels and points, mirrored, moved by whole pixels, coloured."""
    x, points = to_pixels(batch.images), torch.from_numpy(batch.points)
    pixels = max(1, x.shape[-1] // 16)
    theta = pixel_shifts(len(x), pixels=pixels, size=x.shape[-1], flip=True, generator=generator)
    return colour_jitter(warp(x, theta), amount=0.08, generator=generator), warp_points(points, theta)


def draw_latent_noise(shape: torch.Size, *, generator: torch.Generator) -> Tensor:
    """Gaussian noise whose standard deviation is uniform in [0, LATENT_NOISE) per frame."""
    std = uniform((shape[0], 1, 1, 1), 0, LATENT_NOISE, generator=generator)
    return torch.randn(shape, generator=generator) * std


def weighted_mean(error: Tensor, weight: Tensor) -> Tensor:
    """Sum of weight times error over the sum of weights, per batch."""
    return (error * weight).sum() / (weight.sum() * error.shape[1]).clamp(min=1e-6)


def part_weight(points: Tensor, scores: Tensor, *, height: int, width: int) -> Tensor:
    """Weight (N, 1, H, W) of every pixel: the largest of the parts whose rectangle holds it, else 1."""
    weight = torch.ones(len(points), 1, height, width)
    for name, (_, part) in PARTS.items():
        mask = part_mask(points, scores, name, height=height, width=width)
        weight = torch.where(mask, weight.clamp(min=part), weight)
    return weight


def part_mask(points: Tensor, scores: Tensor, part: str, *, height: int, width: int) -> Tensor:
    """Pixels (N, 1, H, W) in the rectangle about a part's visible points. points: (N, 133, 2) in [0, 1]."""
    x = (torch.arange(width) + 0.5) / width
    y = (torch.arange(height) + 0.5)[:, None] / height
    mask = torch.zeros(len(points), 1, height, width, dtype=torch.bool)
    for region in PARTS[part][0]:
        seen = (scores[:, region] > VISIBLE_SCORE)[..., None]
        low = torch.where(seen, points[:, region], torch.inf).amin(1) - PART_MARGIN
        high = torch.where(seen, points[:, region], -torch.inf).amax(1) + PART_MARGIN
        (x0, y0), (x1, y1) = low[:, :, None, None, None].unbind(1), high[:, :, None, None, None].unbind(1)
        mask |= (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return mask


def save_codec(model: nn.Module, folder: Path) -> None:
    """Write the codec as fp16 safetensors."""
    copy.deepcopy(cast(PixelCodec, model)).half().save_pretrained(folder)


@torch.no_grad()
def round_trip(model: PixelCodec, frames: FrameSet) -> Tensor:
    """Frames coded and decoded, (N, 3, H, W) on the CPU."""
    return torch.cat([model.decode(model.encode(x)).cpu() for x in frames.pixel_batches(32, device=model.device)])


def sample_codec(model: nn.Module, step: int, path: Path, *, frames: FrameSet) -> None:
    """Originals over their round trips."""
    shown = frames.spread(SHEET_FRAMES)
    pictures = torch.cat([to_pixels(shown.images), round_trip(cast(PixelCodec, model), shown)])
    save_png(path, contact_sheet(to_images(pictures), columns=len(shown)))


def probe_codec(model: nn.Module, step: int, *, frames: FrameSet) -> dict[str, float | Tensor]:
    """PSNR in dB of round trips: whole frames, mouths, hands."""
    seen = frames.spread(PROBE_FRAMES)
    return dict(evaluate_codec(cast(PixelCodec, model), seen))


def evaluate_codec(codec: PixelCodec, frames: FrameSet) -> dict[str, float]:
    """PSNR in dB of round trips over whole frames and within each part's rectangles."""
    square = (round_trip(codec, frames) - to_pixels(frames.images)).square().mean(1, keepdim=True)
    points, scores = torch.from_numpy(frames.points), torch.from_numpy(frames.scores)
    size = {"height": square.shape[2], "width": square.shape[3]}
    masks = {f"psnr_{part}": part_mask(points, scores, part, **size) for part in PARTS}
    errors = {"psnr": square.mean()} | {name: square[mask].mean() for name, mask in masks.items() if mask.any()}
    return {name: float(10 * torch.log10(4 / error)) for name, error in errors.items()}
