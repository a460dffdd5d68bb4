"""PixelCodec: a small autoencoder between frames and latents, made for two CPU cores.

Legend: N frames, C latent channels, H W pixels, h w latent size (H / downsample). Pixels are in [-1, 1].

A latent cell is the whitened coefficients of its patch in a fitted basis (principal components, the parts of a person
counting more): linear, therefore smooth, and there at once. What is learned is the decoder's second half, which mends
the patches' seams and sharpens what the basis leaves out. Learning both ends from nothing took longer (docs/log.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.config import CodecConfig
from paha.errors import PahaError
from paha.runtime.network import Network, register_to_config

MIN_STD = 1e-3


class ResidualBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))), the second convolution starting at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        _zero(self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


class Refiner(nn.Module):
    """Adds what a small network at half and quarter resolution makes of a picture; nothing at first."""

    def __init__(self, widths: tuple[int, int], num_blocks: int) -> None:
        super().__init__()
        half, quarter = widths
        self.conv_in = nn.Conv2d(12, half, 3, padding=1)
        self.down = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(quarter) for _ in range(num_blocks)))
        self.up = nn.Conv2d(quarter, 4 * half, 1)
        self.block_out = ResidualBlock(half)
        self.conv_out = nn.Conv2d(half, 12, 3, padding=1)
        _zero(self.conv_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to the same shape; H and W divisible by 4."""
        near = self.conv_in(F.pixel_unshuffle(x, 2))
        far = self.up(F.silu(self.blocks(self.down(F.silu(near)))))
        h = self.block_out(near + F.pixel_shuffle(far, 2))
        return x + F.pixel_shuffle(self.conv_out(F.silu(h)), 2)


class PixelCodec(Network):
    """The presenter presets' autoencoder.

    latent_channels: C. downsample: side of a patch. widths: channels of the refiner at half and quarter resolution.
    scaling_factor: always 1; the whitened coefficients have unit variance already.
    """

    decoder_only = ("synthesis.", "patch_mean", "refiner.")
    """Prefixes of the weights that latents do not depend on: a better refiner leaves cached features valid."""

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 32,
        downsample: int = 16,
        widths: tuple[int, int] = (32, 64),
        num_blocks: int = 3,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        self.downsample, self.latent_channels = downsample, latent_channels
        self.analysis = nn.Conv2d(3, latent_channels, downsample, stride=downsample)
        self.synthesis = nn.ConvTranspose2d(latent_channels, 3, downsample, stride=downsample, bias=False)
        self.patch_mean = nn.Parameter(torch.zeros(3, downsample, downsample))
        for parameter in (*self.analysis.parameters(), *self.synthesis.parameters(), self.patch_mean):
            parameter.requires_grad_(False)
        self.refiner = Refiner((widths[0], widths[1]), num_blocks)

    @classmethod
    def from_codec_config(cls, config: CodecConfig) -> PixelCodec:
        """Build with a random basis. Raises PahaError where the options do not fit together."""
        if len(config.widths) != 2 or config.downsample % 4:
            raise PahaError(
                f"codec.widths {config.widths} must be two numbers (channels at half and quarter resolution) and "
                f"codec.downsample {config.downsample} a multiple of 4"
            )
        widths = (config.widths[0], config.widths[1])
        return cls(latent_channels=config.latent_channels, downsample=config.downsample, widths=widths)

    @torch.no_grad()
    def fit_basis(self, x: Tensor, weight: Tensor) -> None:
        """Set the basis to the first C weighted principal components of the patches of pixels x (N, 3, H, W).

        weight: (N, 1, H, W), how much a pixel's patch counts. Raises ValueError for fewer than C patches.
        """
        side, count = self.downsample, self.latent_channels
        patches = F.unfold(x, side, stride=side).transpose(1, 2).reshape(-1, 3 * side * side)
        if len(patches) < count:
            raise ValueError(f"{len(patches)} patches cannot give {count} components")
        share = F.avg_pool2d(weight, side).reshape(-1, 1)
        share = share / share.sum()
        mean = (patches * share).sum(0)
        centred = patches - mean
        _, vectors = torch.linalg.eigh((centred * share).T @ centred)
        basis = vectors.flip(1)[:, :count].T  # C x 3PP, the largest first
        std = (centred @ basis.T).std(0).clamp(min=MIN_STD)
        offset = (centred @ basis.T).mean(0)
        shape = (count, 3, side, side)
        self.analysis.weight.copy_((basis / std[:, None]).view(shape))
        self.analysis.bias.copy_(-(basis @ mean + offset) / std)  # pyright: ignore[reportOptionalMemberAccess]
        self.synthesis.weight.copy_((basis * std[:, None]).view(shape))
        self.patch_mean.copy_((mean + offset @ basis).view(3, side, side))

    def encode(self, x: Tensor) -> Tensor:
        """Pixels (N, 3, H, W) in [-1, 1] to latents (N, C, h, w) of unit variance per channel. Deterministic.

        Raises ValueError where H or W is not a multiple of the downsampling.
        """
        if x.shape[-2] % self.downsample or x.shape[-1] % self.downsample:
            raise ValueError(f"frames of {x.shape[-1]} x {x.shape[-2]} are no multiple of {self.downsample} pixels")
        return self.analysis(x)

    def encode_unscaled(self, x: Tensor) -> Tensor:
        """The same as `encode`: this codec's latents have one scale (SVD's have two, design row 1)."""
        return self.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Latents (N, C, h, w) to pixels (N, 3, H, W), clamped to [-1, 1]."""
        return self(z).clamp(-1, 1).contiguous()

    def forward(self, z: Tensor) -> Tensor:
        """The same, not clamped: what training corrects."""
        coarse = self.synthesis(z) + self.patch_mean.repeat(1, z.shape[-2], z.shape[-1])
        return self.refiner(coarse.contiguous(memory_format=torch.channels_last))


def _zero(layer: nn.Conv2d) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
