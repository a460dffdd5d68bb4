"""Probes of a UniVDM while it trains: how much the mouth's error depends on the audio, and a picture of samples.

Letters: B clips, T frames, C latent channels, h w latent size.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from paha.config import DiffusionConfig, PahaConfig
from paha.sampling.schedule import Schedule
from paha.sampling.target import from_target, to_target
from paha.types import FACE, ClipBatch
from paha.univdm.conditioning import Conditioning, predict

MOUTH = slice(FACE.start + 48, FACE.start + 68)
"""Lips among the 68 face points."""
PROBE_TIMESTEPS = (300, 600, 900)
PROBE_SEED = 1
GRID_FRAMES = 5
GRID_STEPS = 10


def mouth_mask(points: Tensor, *, height: int, width: int, margin: float = 0.3) -> Tensor:
    """How much of each latent cell lies in the mouth's rectangle, grown by `margin` of its size: (B, T, 1, h, w) in
    [0, 1].

    points: (B, T, 133, 2) in [0, 1].
    """
    lips = points[:, :, MOUTH]
    low, high = lips.amin(dim=2), lips.amax(dim=2)  # B T 2
    grow = margin * (high - low) / 2
    covered = []
    for axis, cells in enumerate((width, height)):
        edges = torch.arange(cells + 1, device=points.device) / cells
        start, stop = (low - grow)[..., axis, None], (high + grow)[..., axis, None]
        overlap = torch.minimum(edges[1:], stop) - torch.maximum(edges[:-1], start)
        covered.append(overlap.clamp(min=0) * cells)
    return (covered[1][..., :, None] * covered[0][..., None, :])[:, :, None]


@torch.no_grad()
def audio_probe(
    model: nn.Module,
    batches: list[ClipBatch],
    *,
    config: PahaConfig,
    schedule: Schedule,
    channel_scale: float = 1.0,
) -> dict[str, float]:
    """Error in the mouth region with the right and with another clip's audio, at the timesteps of PROBE_TIMESTEPS.

    The two differ before lips are seen to move (docs/log.md): gap is wrong / right - 1. Other audio is that of the
    next clip of the batch. The noise is the same in every call.
    """
    sums = {(kind, t): torch.zeros(()) for kind in ("right", "wrong") for t in PROBE_TIMESTEPS}
    for number, batch in enumerate(batches):
        generator = torch.Generator().manual_seed(PROBE_SEED + number)
        eps = torch.randn(batch.latents.shape, generator=generator).to(batch.latents)
        for kind, t in sums:
            audio = batch.audio if kind == "right" else batch.audio.roll(1, dims=0)
            conditioning = Conditioning.of_batch(batch, channel_scale=channel_scale, audio=audio)
            sums[kind, t] += _mouth_error(model, batch, eps, t, conditioning, config.diffusion, schedule).cpu()
    scalars = {f"probe/{kind}_{t}": float(total) / len(batches) for (kind, t), total in sums.items()}
    gaps = {f"probe/gap_{t}": scalars[f"probe/wrong_{t}"] / scalars[f"probe/right_{t}"] - 1 for t in PROBE_TIMESTEPS}
    return scalars | gaps


def _mouth_error(
    model: nn.Module,
    batch: ClipBatch,
    eps: Tensor,
    t: int,
    conditioning: Conditioning,
    config: DiffusionConfig,
    schedule: Schedule,
) -> Tensor:
    t_BT = torch.full(batch.latents.shape[:2], t, device=batch.latents.device)
    z_0 = to_target(batch.latents, batch.ref_latent, config)
    z_t = schedule.add_noise(z_0, eps, t_BT)
    prediction = predict(model, z_t, t_BT, conditioning=conditioning, schedule=schedule)
    error = (prediction - schedule.target(z_0, eps, t_BT, config.prediction_type)) ** 2
    mask = mouth_mask(batch.points, height=error.shape[3], width=error.shape[4])
    return (error * mask).sum() / (mask.sum() * error.shape[2]).clamp_min(1e-6)


@torch.no_grad()
def generate(
    model: nn.Module,
    batch: ClipBatch,
    *,
    config: PahaConfig,
    schedule: Schedule,
    channel_scale: float,
    steps: int,
    seed: int = PROBE_SEED,
) -> Tensor:
    """Scaled codec latents (B, T, C, H, W) sampled for a batch's reference and audio by DDIM, from fixed noise."""
    from paha.sampling.sampler import sample

    generator = torch.Generator().manual_seed(seed)
    z_T = torch.randn(batch.latents.shape, generator=generator).to(batch.latents)
    conditioning = Conditioning.of_batch(batch, channel_scale=channel_scale)
    step = partial(predict, model, conditioning=conditioning, schedule=schedule)
    kind = config.diffusion.prediction_type
    z_0 = sample(step, z_T, steps=steps, schedule=schedule, prediction_type=kind)
    return from_target(z_0, batch.ref_latent, config.diffusion)


@torch.no_grad()
def save_grid(path: Path, *, codec: Any, batch: ClipBatch, generated: Tensor) -> None:
    """Picture with two rows a clip: reference and true frames, reference and generated ones, evenly spaced in time."""
    from paha.media.video_io import contact_sheet, save_png

    shown = torch.linspace(0, batch.latents.shape[1] - 1, GRID_FRAMES).round().long()
    pictures = []
    for latents, made, reference in zip(batch.latents, generated, batch.ref_latent, strict=True):
        for row in (latents, made):
            pixels = codec.decode(torch.cat([reference[None], row[shown.to(row.device)]])).float()
            pictures += [*pixels.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()]
    save_png(path, contact_sheet(pictures, columns=GRID_FRAMES + 1))
