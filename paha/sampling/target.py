"""What is diffused: latents as they are, or their difference to the reference latent (DiffusionConfig.target)."""

from __future__ import annotations

from torch import Tensor

from paha.config import DiffusionConfig


def to_target(latents: Tensor, ref_latent: Tensor, config: DiffusionConfig) -> Tensor:
    """z_0 (B, T, C, H, W) of scaled codec latents: themselves, or (latents - reference) / residual_std.

    ref_latent (B, C, H, W) is the clip's own reference also where its conditioning is dropped: with and without it the
    network predicts the same z_0.
    """
    if config.target == "absolute":
        return latents
    return (latents - ref_latent[:, None]) / config.residual_std


def from_target(z_0: Tensor, ref_latent: Tensor, config: DiffusionConfig) -> Tensor:
    """Inverse of `to_target`: scaled codec latents (B, T, C, H, W)."""
    if config.target == "absolute":
        return z_0
    return z_0 * config.residual_std + ref_latent[:, None]
