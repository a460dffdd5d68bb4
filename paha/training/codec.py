"""`paha train codec`: the presenter codec on frames of a corpus."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from paha.config import PahaConfig, TrainConfig
from paha.data.video_io import contact_sheet, save_png
from paha.models.codec import PresenterCodec
from paha.training.augment import colour_jitter, pixel_shifts, uniform, warp, warp_points
from paha.training.frames import FrameSet, load_frames, to_images, to_pixels
from paha.training.loop import Job, StepContext
from paha.types import FACE, LEFT_HAND, RIGHT_HAND

CODEC_TRAIN = TrainConfig(
    batch_size=16,
    steps=2500,
    learning_rate=2e-3,
    weight_decay=0.0,
    warmup_steps=100,
    cosine_decay=True,
    grad_clip=3.0,
    ema_decay=0.995,
    mixed_precision="bf16",
    checkpoint_every=500,
    sample_every=500,
)
"""About 12 minutes on two CPU cores at 128 px."""

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
LATENT_NOISE = 0.4
"""Largest standard deviation of the noise on unit-variance latents in training."""
SQUARE_WEIGHT = 4.0
"""Of the squared error: absolute errors alone stay on the plateau of a grey picture (their best constant) for many
steps.
"""
EDGE_WEIGHT = 1.0
EDGE_RAMP_STEPS = 500
"""The weight of edges rises over these steps: from the start it would reward flat pictures."""
MEASURE_FRAMES = 2048
SHEET_FRAMES = 8
PROBE_FRAMES = 64


def codec_job(config: PahaConfig, data_dir: Path, *, every: int = 3) -> Job:
    """The job that trains the preset's codec on every n-th frame of a corpus folder.

    The latent statistics are measured on the data whenever the model is saved. Raises PahaError for a folder without
    clips.
    """
    frames = load_frames(data_dir, every=every, size=config.height)
    return codec_job_on(PresenterCodec.from_codec_config(config.codec), frames, batch_size=config.train.batch_size)


def codec_job_on(model: PresenterCodec, frames: FrameSet, *, batch_size: int) -> Job:
    """The same on frames in memory."""
    return Job(
        name="codec",
        model=model,
        loss=partial(codec_loss, frames=frames, batch_size=batch_size),
        save=partial(save_codec, frames=frames),
        sample=partial(sample_codec, frames=frames),
        probe=partial(probe_codec, frames=frames),
        fingerprint={"model": dict(model.config), "frames": len(frames)},
    )


def codec_loss(
    model: nn.Module, context: StepContext, *, frames: FrameSet, batch_size: int
) -> tuple[Tensor, dict[str, float | Tensor]]:
    """Part-weighted absolute and squared errors of pixels, and absolute ones of their differences to the right and
    below,
    through noisy latents."""
    draw = context.generator("batch")
    batch = frames.draw(batch_size, generator=draw)
    x, points = augment(batch, generator=draw)
    x = x.to(context.device)
    weight = part_weight(points, torch.from_numpy(batch.scores), height=x.shape[2], width=x.shape[3]).to(x)
    noise = draw_latent_noise(latent_shape(model, x), generator=context.generator("noise")).to(x)
    y, _ = model(x, noise)
    error = y.float() - x
    pixel, edge = reconstruction_errors(error, weight)
    edge_weight = EDGE_WEIGHT * min(1.0, context.step / EDGE_RAMP_STEPS)
    loss = pixel + SQUARE_WEIGHT * weighted_mean(error.square(), weight) + edge_weight * edge
    return loss, {"pixel": pixel.detach(), "edge": edge.detach()}


def augment(batch: FrameSet, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pixels and points, mirrored, moved by whole pixels, coloured."""
    x, points = to_pixels(batch.images), torch.from_numpy(batch.points)
    pixels = max(1, x.shape[-1] // 16)
    theta = pixel_shifts(len(x), pixels=pixels, size=x.shape[-1], flip=True, generator=generator)
    return colour_jitter(warp(x, theta), amount=0.08, generator=generator), warp_points(points, theta)


def latent_shape(model: nn.Module, x: Tensor) -> tuple[int, int, int, int]:
    """Shape of the latents of pixels x, for a codec that may be wrapped for several processes."""
    codec = cast(PresenterCodec, getattr(model, "module", model))
    return len(x), codec.latent_channels, x.shape[2] // codec.downsample, x.shape[3] // codec.downsample


def draw_latent_noise(shape: tuple[int, int, int, int], *, generator: torch.Generator) -> Tensor:
    """Gaussian noise whose standard deviation is uniform in [0, LATENT_NOISE) per frame."""
    std = uniform((shape[0], 1, 1, 1), 0, LATENT_NOISE, generator=generator)
    return torch.randn(shape, generator=generator) * std


def reconstruction_errors(error: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean absolute error (N, 3, H, W) of pixels, and of pixel differences; weight is (N, 1, H, W)."""
    right, below = error.diff(dim=3).abs(), error.diff(dim=2).abs()
    edge = weighted_mean(right, weight[..., 1:]) + weighted_mean(below, weight[:, :, 1:])
    return weighted_mean(error.abs(), weight), edge


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


def save_codec(model: nn.Module, folder: Path, *, frames: FrameSet) -> None:
    """Measure the latents' mean and deviation over the data, then write the codec as fp16 safetensors."""
    codec = measured(cast(PresenterCodec, model), frames)
    codec.half().save_pretrained(folder)


def measured(model: PresenterCodec, frames: FrameSet) -> PresenterCodec:
    """A copy whose latents have zero mean and unit variance per channel over the data."""
    codec = copy.deepcopy(model).eval()
    codec.measure_latents(_pixels(codec, frames.spread(MEASURE_FRAMES)))
    return codec


def _pixels(model: PresenterCodec, frames: FrameSet) -> Iterator[Tensor]:
    return frames.pixel_batches(32, device=model.device)


@torch.no_grad()
def round_trip(model: PresenterCodec, frames: FrameSet) -> Tensor:
    """Frames coded and decoded, (N, 3, H, W) on the CPU."""
    return torch.cat([model.decode(model.encode(x)).cpu() for x in _pixels(model, frames)])


def sample_codec(model: nn.Module, step: int, path: Path, *, frames: FrameSet) -> None:
    """Originals over their round trips."""
    shown = frames.spread(SHEET_FRAMES)
    codec = measured(cast(PresenterCodec, model), shown)
    pictures = torch.cat([to_pixels(shown.images), round_trip(codec, shown)])
    save_png(path, contact_sheet(to_images(pictures), columns=len(shown)))


def probe_codec(model: nn.Module, step: int, *, frames: FrameSet) -> dict[str, float | Tensor]:
    """PSNR in dB of round trips: whole frames, mouths, hands."""
    seen = frames.spread(PROBE_FRAMES)
    return dict(evaluate_codec(measured(cast(PresenterCodec, model), seen), seen))


def evaluate_codec(codec: PresenterCodec, frames: FrameSet) -> dict[str, float]:
    """PSNR in dB of round trips over whole frames and within each part's rectangles."""
    square = (round_trip(codec, frames) - to_pixels(frames.images)).square().mean(1, keepdim=True)
    points, scores = torch.from_numpy(frames.points), torch.from_numpy(frames.scores)
    size = {"height": square.shape[2], "width": square.shape[3]}
    masks = {f"psnr_{part}": part_mask(points, scores, part, **size) for part in PARTS}
    errors = {"psnr": square.mean()} | {name: square[mask].mean() for name, mask in masks.items() if mask.any()}
    return {name: float(10 * torch.log10(4 / error)) for name, error in errors.items()}
