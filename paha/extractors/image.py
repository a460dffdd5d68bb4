"""Reference image to tokens for the cross-attention: pooled reference latents (no weights) or CLIP ViT-H/14."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from paha.config import ImageConfig
from paha.errors import PahaError
from paha.extractors.pretrained import load_pretrained

IMAGE_ENCODER_FOLDER = "image_encoder"
"""Stable Video Diffusion's name for the folder of its CLIP weights."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class ImageEncoder(Protocol):
    """Reference image to tokens."""

    def encode(self, ref_latent: Tensor, image: Tensor | None = None) -> Tensor:
        """ref_latent (B, C, h, w) scaled latent, image (B, 3, H, W) in [-1, 1]; tokens (B, S, D) float32."""
        ...

    def to(self, device: torch.device | str) -> ImageEncoder:
        """Itself, its weights moved."""
        ...


class PooledLatentEncoder:
    """The reference latent averaged to pool x pool cells: S = pool^2 tokens of width D = C, row by row."""

    def __init__(self, *, pool: int = 4) -> None:
        self.pool = pool

    def encode(self, ref_latent: Tensor, image: Tensor | None = None) -> Tensor:
        """(B, C, h, w) to (B, pool^2, C); the image is not used."""
        return F.adaptive_avg_pool2d(ref_latent.float(), self.pool).flatten(2).transpose(1, 2)

    def to(self, device: torch.device | str) -> PooledLatentEncoder:
        """Itself: it has no weights."""
        return self


class ClipImageEncoder:
    """The projected CLIP embedding of the image, one token, as Stable Video Diffusion conditions on it."""

    def __init__(self, name: str | Path) -> None:
        """Load from `name`/image_encoder, a local directory or hub name. Raises PahaError that names it otherwise."""
        self.model = load_pretrained(
            "CLIPVisionModelWithProjection",
            name,
            subfolder=IMAGE_ENCODER_FOLDER,
            remedy="set image.name to a directory with Stable Video Diffusion's image_encoder folder",
        )

    @torch.no_grad()
    def encode(self, ref_latent: Tensor, image: Tensor | None = None) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] to (B, 1, D), D = 1024 for ViT-H/14; the latent is not used."""
        if image is None:
            raise PahaError("the CLIP image encoder needs the reference image; give it, or set image.kind to pooled")
        pixels = clip_pixels(image, size=self.model.config.image_size)
        return self.model(pixels.to(self.model.device, self.model.dtype)).image_embeds[:, None].float()

    def to(self, device: torch.device | str) -> ClipImageEncoder:
        """Itself, its weights moved."""
        self.model.to(device)
        return self


def clip_pixels(image: Tensor, *, size: int) -> Tensor:
    """(B, 3, H, W) in [-1, 1] to CLIP's normalised (B, 3, size, size); as in SVD the aspect is not kept."""
    small = F.interpolate(image.float(), size=(size, size), mode="bicubic", antialias=True, align_corners=False)
    mean, std = (torch.tensor(v, device=image.device)[:, None, None] for v in (CLIP_MEAN, CLIP_STD))
    return ((small + 1) / 2 - mean) / std


def load_image_encoder(config: ImageConfig, model_dir: Path | str | None = None) -> ImageEncoder:
    """The encoder of a configuration; CLIP from `model_dir`/image_encoder if there, else from `config.name`."""
    if config.kind == "pooled":
        return PooledLatentEncoder(pool=config.pool)
    inside = model_dir is not None and (Path(model_dir) / IMAGE_ENCODER_FOLDER).is_dir()
    return ClipImageEncoder(model_dir if inside and model_dir is not None else config.name)
