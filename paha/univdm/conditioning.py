"""What UniVDM is conditioned on, built in one place, and how the network is called with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from paha.sampling.schedule import Schedule
from paha.types import ClipBatch
from paha.univdm.attention import ConditioningCache


@dataclass(frozen=True)
class Conditioning:
    """What UniVDM is conditioned on, beside the noisy latents and their timesteps.

    ref_latent: (B, C, H, W), frame 0 of the merged sequence (design row 1), or None for no reference slot.
    ref_channels: (B, C, H, W) or (B, T, C, H, W), the channel half of every frame's input; zeros where dropped.
    image_tokens: (B, S, D). audio: (B, T, 2m+1, L, D), the window A(f) of raw audio features of each frame.
    audio_mask: (B,) 1 keeps the audio, 0 drops it (its tokens become zero).
    """

    ref_latent: Tensor | None
    ref_channels: Tensor
    image_tokens: Tensor
    audio: Tensor
    audio_mask: Tensor | None = None

    @classmethod
    def build(
        cls,
        ref_latent: Tensor,
        image_tokens: Tensor,
        audio: Tensor,
        *,
        channel_scale: float = 1.0,
        ref_channels: Tensor | None = None,
        keep_reference: Tensor | None = None,
        keep_audio: Tensor | None = None,
    ) -> Self:
        """The conditioning on a reference latent (B, C, H, W), its image tokens and the audio windows A(f).

        The channel half holds the *unscaled* latent (design row 1): ref_channels where it is known, else ref_latent *
        channel_scale (`paha.dataset.features.channel_scale`). keep_reference (B,): 0 zeroes the reference slot, the
        channel half and the image tokens together (design row 6). keep_audio (B,): 0 zeroes the audio tokens.
        """
        channels = ref_latent * channel_scale if ref_channels is None else ref_channels
        audio_mask = None if keep_audio is None else keep_audio.to(ref_latent)
        if keep_reference is not None:
            keep = keep_reference.to(ref_latent)
            ref_latent, channels = (x * keep[:, None, None, None] for x in (ref_latent, channels))
            image_tokens = image_tokens * keep[:, None, None]
        return cls(ref_latent, channels, image_tokens, audio.to(ref_latent.device), audio_mask)

    @classmethod
    def of_batch(
        cls,
        batch: ClipBatch,
        *,
        channel_scale: float,
        keep_reference: Tensor | None = None,
        keep_audio: Tensor | None = None,
        audio: Tensor | None = None,
    ) -> Self:
        """That of a training batch; audio: another audio than its own. Others as in `build`."""
        return cls.build(
            batch.ref_latent,
            batch.image_tokens,
            batch.audio if audio is None else audio,
            channel_scale=channel_scale,
            ref_channels=batch.ref_channels,
            keep_reference=keep_reference,
            keep_audio=keep_audio,
        )

    @classmethod
    def without_reference(cls, z: Tensor, audio: Tensor, *, token_dim: int) -> Self:
        """That of noisy latents z (B, T, C, H, W) whose reference is dropped as in training: no slot, channels zero,
        image tokens null (design row 10).

        One null token is as good as any number: all keys and values are zero.
        """
        B, _, C, H, W = z.shape
        return cls(None, z.new_zeros(B, C, H, W), z.new_zeros(B, 1, token_dim), audio)

    @classmethod
    def cat(cls, several: Sequence[Self]) -> Self:
        """One batch of several conditionings that hold the same parts."""
        values = {f.name: [getattr(each, f.name) for each in several] for f in fields(cls)}
        joined: dict[str, Any] = {name: None if v[0] is None else torch.cat(v) for name, v in values.items()}
        return cls(**joined)

    def without_audio(self) -> Self:
        """The same with every clip's audio dropped."""
        return replace(self, audio_mask=torch.zeros(len(self.audio), device=self.audio.device))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same conditioning on another device or in another floating-point type."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device=device, dtype=dtype) for k, v in values.items() if v is not None})

    def repeat(self, copies: int) -> Self:
        """The conditioning of `copies` copies of the batch, one after the other."""
        return self if copies == 1 else self.cat([self] * copies)


def predict(
    model: nn.Module,
    z_t: Tensor,
    t_BT: Tensor,
    *,
    conditioning: Conditioning,
    schedule: Schedule,
    cache: ConditioningCache | None = None,
) -> Tensor:
    """The model's output for noisy latents (B, T, C, H, W) at integer timesteps (B, T).

    cache: one object for all steps of a sampling with this very conditioning, as in `UniVDM.forward`.
    """
    ref_time = float(schedule.time_input(0))
    return model(z_t, schedule.time_input(t_BT), conditioning, ref_time=ref_time, cache=cache)
