"""Autoencoders of pixels behind one interface: Stable Video Diffusion's and the tests' small one.

Both have `encode` (pixels (N, 3, H, W) in [-1, 1] to scaled latents (N, C, h, w)), `encode_unscaled` (what the channel
half of a frame's input holds, design row 1), `decode`, `downsample` and `latent_channels`. The N frames of a `decode`
are one video in order. `PixelReference` is to them what `paha.motion.motion_reference.MotionReference` is to motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from paha.config import CodecConfig
from paha.errors import PahaError
from paha.extractors.pixel_codec import PixelCodec
from paha.media.pixels import pixels_to_frames
from paha.univdm.pretrained import load_part
from paha.univdm.svd_weights import find_network

if TYPE_CHECKING:
    from diffusers import AutoencoderKLTemporalDecoder

SVD_NAME = "stabilityai/stable-video-diffusion-img2vid"


class PixelReference:
    """A reference image as UniVDM is told of it, by a codec of pixels. pixels: (1, 3, H, W) in [-1, 1].

    latent, channels: (1, C, h, w) float32, scaled and unscaled. pooled: what image tokens are pooled from.
    """

    @torch.no_grad()
    def __init__(self, codec: Codec, pixels: Tensor) -> None:
        self.codec, self.pixels = codec, pixels.to(codec.device, codec.dtype)
        self.height, self.width = pixels.shape[-2:]
        self.latent = codec.encode(self.pixels).float()
        self.channels = codec.encode_unscaled(self.pixels).float()
        self.pooled = self.latent

    def prepare(self) -> None:
        """Nothing: all is there."""

    @torch.no_grad()
    def iter_frames(self, latents: Tensor) -> Iterator[np.ndarray]:
        """Frames (H, W, 3) uint8 of scaled latents (T, C, h, w)."""
        return iter(pixels_to_frames(self.codec.decode(latents.to(self.codec.dtype))))


class SVDCodec(nn.Module):
    """SVD's autoencoder. decode_chunk: frames decoded at once; its temporal decoder sees no further than a chunk."""

    def __init__(self, vae: AutoencoderKLTemporalDecoder, *, decode_chunk: int = 14) -> None:
        super().__init__()
        self.vae = vae.eval().requires_grad_(False)
        self.decode_chunk = decode_chunk
        self.downsample = 2 ** (len(vae.config["block_out_channels"]) - 1)
        self.latent_channels = int(vae.config["latent_channels"])

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the weights."""
        return self.vae.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.vae.device

    @property
    def scaling_factor(self) -> float:
        """Scaled latents are the posterior's mode times this."""
        return float(self.vae.config["scaling_factor"])

    def encode(self, x: Tensor) -> Tensor:
        """The posterior's mode times the scaling factor."""
        return self.encode_unscaled(x) * self.scaling_factor

    def encode_unscaled(self, x: Tensor) -> Tensor:
        """The posterior's mode."""
        vae: Any = self.vae
        kept = vae.dtype
        if kept == torch.float16 and vae.config["force_upcast"]:
            vae.float()  # its encoder overflows in half precision
        mode = vae.encode(x.to(vae.dtype), return_dict=False)[0].mode()
        vae.to(kept)
        return mode.to(kept)

    def decode(self, z: Tensor) -> Tensor:
        """Scaled latents of one video to pixels clamped to [-1, 1], a chunk of frames at a time."""
        chunks = (z.to(self.vae.dtype) / self.scaling_factor).split(self.decode_chunk)
        return torch.cat(
            [self.vae.decode(chunk, num_frames=len(chunk), return_dict=False)[0] for chunk in chunks]
        ).clamp(-1, 1)


Codec = PixelCodec | SVDCodec


def load_codec(config: CodecConfig, source: str | Path | None = None) -> Codec:
    """Load a codec's weights, in eval mode, float32, without gradients.

    source: for `pixel` the folder that training wrote; for `svd` a local folder or hub name that holds the VAE
    itself or in its subfolder "vae" (SVD's own name by default). Raises PahaError that names what is missing and the
    remedy.
    """
    if config.kind == "svd":
        return load_svd_codec(SVD_NAME if source is None else source)
    if source is None or not Path(source).is_dir():
        raise PahaError(f"no codec at {source}; train one with `paha train codec` and give its model folder")
    codec = load_part(PixelCodec, Path(source), remedy="train it again with `paha train codec` or copy it again")
    wanted = (config.latent_channels, config.downsample)
    if (codec.latent_channels, codec.downsample) != wanted:
        raise PahaError(
            f"the codec in {source} has {codec.latent_channels} latent channels at 1/{codec.downsample}, the "
            f"configuration wants {wanted[0]} at 1/{wanted[1]}; give the codec that the model was trained on"
        )
    return codec


def load_svd_codec(source: str | Path) -> SVDCodec:
    """Load SVD's VAE from a local folder or the hub."""
    from diffusers import AutoencoderKLTemporalDecoder

    remedy = "give a folder with its config.json and diffusion_pytorch_model.safetensors, or a hub name while online"
    return SVDCodec(load_part(AutoencoderKLTemporalDecoder, find_network(source, "vae"), remedy=remedy))
