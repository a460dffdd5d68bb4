"""Toy-size real parts that several test files share."""

from __future__ import annotations

import numpy as np
import torch

from paha.config import PahaConfig
from paha.extractors.pixel_codec import PixelCodec
from paha.pipeline.pipeline import PahaPipeline
from paha.presets import preset
from paha.univdm.univdm import UniVDM


def toy_univdm(config: PahaConfig) -> UniVDM:
    """Random weights; those that start at zero too, so that every input has an effect."""
    torch.manual_seed(0)
    univdm = UniVDM.from_model_config(config.model).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for parameter in univdm.parameters():
        if not parameter.any():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return univdm


def toy_codec(config: PahaConfig) -> PixelCodec:
    torch.manual_seed(0)
    return PixelCodec.from_codec_config(config.codec).eval().requires_grad_(False)


def toy_pipeline(config: PahaConfig | None = None) -> PahaPipeline:
    """The debug preset with random weights, and no warning about its random codec."""
    config = config or preset("debug")
    pipeline = PahaPipeline(toy_univdm(config), toy_codec(config), config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def toy_image(seed: int = 0, *, height: int = 40, width: int = 50) -> np.ndarray:
    """(height, width, 3) uint8 noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def toy_audio(seconds: float, seed: int = 0, *, rate_hz: int = 16_000) -> tuple[np.ndarray, int]:
    """Noise with a slow swell: (samples (N, 1), rate)."""
    n = round(seconds * rate_hz)
    noise = 0.1 * np.random.default_rng(seed).normal(size=n)
    return (noise * np.abs(np.sin(np.arange(n) / rate_hz * 9)))[:, None].astype(np.float32), rate_hz
