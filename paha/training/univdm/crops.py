"""Crops about a face or a hand: batches in which the small parts are large.

A mouth is two of the presenter's 256 latent cells, and the error of moving arms dominates its gradient. The network is
convolutional, so some steps of a small model may see crops instead of frames, as many as cost the same
(docs/log.md). Letters as in `ClipBatch`.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from paha.config import PahaConfig
from paha.types import FACE, LEFT_HAND, RIGHT_HAND, ClipBatch


def crop_config(config: PahaConfig) -> PahaConfig:
    """The configuration at the size of a crop: PAR's radius stays as large in pixels as it is in a whole frame."""
    side = config.train.crop_cells * config.codec.downsample
    par = config.par.model_copy(update={"radius": config.par.radius * min(config.height, config.width) / side})
    return config.model_copy(update={"height": side, "width": side, "par": par})


def crop_batch(batch: ClipBatch, *, cells: int, face_share: float, generator: torch.Generator) -> ClipBatch:
    """The same clips cut to `cells` x `cells` latent cells about a random part, one place a clip.

    face_share: probability of the face; a hand otherwise. Points and face box keep their unit, the side of the picture:
    they leave [0, 1] outside the crop. Image tokens stay those of the whole reference.
    """
    height, width = batch.latents.shape[-2:]
    size = torch.tensor([width, height], device=batch.points.device)
    centre = _part_centres(batch, face_share, generator) * size
    jitter = ((torch.rand(len(centre), 2, generator=generator) - 0.5) * cells / 2).to(centre)
    corner = (centre + jitter - cells / 2).round().long()
    corner = corner.clamp(torch.zeros_like(size), size - cells)
    span = torch.arange(cells, device=size.device)
    clip, rows, columns = torch.arange(len(centre))[:, None, None], *(corner[:, (1, 0), None] + span).unbind(1)

    def cut(latents: Tensor) -> Tensor:
        """(B, ..., H, W) to (B, ..., cells, cells)."""
        return latents.movedim((-2, -1), (1, 2))[clip, rows[:, :, None], columns[:, None]].movedim((1, 2), (-2, -1))

    low = corner[:, None, None]
    points = (batch.points * size - low) / cells
    box = (batch.face_box.unflatten(-1, (2, 2)) * size - corner[:, None]) / cells
    changed = {"points": points, "face_box": box.flatten(-2)}
    cropped = {"latents": cut(batch.latents).contiguous(), "ref_latent": cut(batch.ref_latent).contiguous()}
    return replace(batch, **cropped, **changed)


def _part_centres(batch: ClipBatch, face_share: float, generator: torch.Generator) -> Tensor:
    """(B, 2) in [0, 1]: the middle of the clip's face, or of one of its hands, in a random frame."""
    B, T = batch.points.shape[:2]
    chance, side = torch.rand(2, B, generator=generator).to(batch.points.device)
    frame = torch.randint(T, (B,), generator=generator).to(batch.points.device)
    points = batch.points[torch.arange(B), frame]
    hand = torch.where((side < 0.5)[:, None], points[:, LEFT_HAND].mean(1), points[:, RIGHT_HAND].mean(1))
    return torch.where((chance < face_share)[:, None], points[:, FACE].mean(1), hand).clamp(0, 1)
