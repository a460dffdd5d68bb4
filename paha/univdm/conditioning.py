"""What UniVDM is told about a batch, and how it is asked."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from paha.config import PahaConfig
from paha.sampling.schedule import Schedule
from paha.types import ClipBatch, Conditioning


def conditioning_of(
    batch: ClipBatch,
    *,
    config: PahaConfig,
    channel_scale: float,
    keep_reference: Tensor | None = None,
    keep_audio: Tensor | None = None,
    audio: Tensor | None = None,
) -> Conditioning:
    """What the model is told about a batch.

    channel_scale: the channel half holds the *unscaled* latent (`paha.dataset.features.channel_scale`). keep_reference
    (B,): 0 zeroes the reference slot, the channel half and the image tokens together (design row 6). keep_audio (B,):
    0 zeroes the audio tokens. audio: another audio than the batch's own.
    """
    keep = torch.ones(len(batch.latents)) if keep_reference is None else keep_reference
    keep = keep.to(batch.ref_latent)
    ref_latent = batch.ref_latent * keep[:, None, None, None]
    time_ids = torch.tensor(config.model.time_ids, device=keep.device).expand(len(keep), -1)
    return Conditioning(
        ref_latent=ref_latent,
        ref_channels=ref_latent * channel_scale,
        image_tokens=batch.image_tokens * keep[:, None, None],
        audio=batch.audio if audio is None else audio,
        audio_mask=None if keep_audio is None else keep_audio.to(keep),
        time_ids=time_ids if config.model.num_time_ids else None,
    )


def predict(model: nn.Module, z_t: Tensor, t_BT: Tensor, *, conditioning: Conditioning, schedule: Schedule) -> Tensor:
    """The model's output for noisy latents (B, T, C, H, W) at integer timesteps (B, T)."""
    ref_time = float(schedule.time_input(0))
    return model(z_t, schedule.time_input(t_BT), conditioning, ref_time=ref_time)
