"""PresenterCodec: a small autoencoder between frames and latents, made for two CPU cores.

Legend: N frames, C latent channels, H W pixels, h w latent size (H / downsample). Pixels are in [-1, 1].

Pixel-unshuffle in, pixel-shuffle out: no convolution but a thin last one runs at full resolution. There is no
normalisation layer, so a latent cell depends on its neighbourhood only: moving lips change the cells around the mouth
and nothing else. Latents are standardised per channel, in training by the statistics of the batch (as batch
normalisation does), and noise is added to them: the decoder has to spend its latent range on what the loss asks for,
and neighbouring latents decode to neighbouring pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from paha.config import CodecConfig
from paha.errors import PahaError

STATISTICS_MOMENTUM = 0.05
MIN_STD = 1e-4


class ResidualBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))); `initialise` starts the second convolution at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        return x + self.conv2(self.act(self.conv1(self.act(x))))


class Encoder(nn.Module):
    """(N, 3, H, W) to (N, C, h, w): level i works at 1 / 2^(i+1) of the resolution with widths[i] channels."""

    def __init__(self, *, widths: tuple[int, ...], latent_channels: int, blocks: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(12, widths[0], 3, padding=1)]
        layers += [ResidualBlock(widths[0]) for _ in range(blocks[0])]
        for i, (width_in, width) in enumerate(pairwise(widths), start=1):
            layers += [nn.SiLU(), nn.Conv2d(width_in, width, 3, stride=2, padding=1)]
            layers += [ResidualBlock(width) for _ in range(blocks[i])]
        layers += [nn.SiLU(), nn.Conv2d(widths[-1], latent_channels, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Raw latents, before they are standardised."""
        return self.layers(x)


class Decoder(nn.Module):
    """(N, C, h, w) to (N, 3, H, W), the encoder's mirror with a light refinement at full resolution."""

    def __init__(
        self, *, widths: tuple[int, ...], latent_channels: int, blocks: tuple[int, ...], refine_width: int
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(latent_channels, widths[-1], 3, padding=1)]
        for i in reversed(range(len(widths))):
            layers += [ResidualBlock(widths[i]) for _ in range(blocks[i])]
            if i:
                layers += [nn.SiLU(), nn.Conv2d(widths[i], 4 * widths[i - 1], 1), nn.PixelShuffle(2)]
        layers += [nn.SiLU(), nn.Conv2d(widths[0], 4 * refine_width, 3, padding=1), nn.PixelShuffle(2)]
        layers += [nn.SiLU(), nn.Conv2d(refine_width, 3, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Pixels, not clamped."""
        return self.layers(z)


class PresenterCodec(ModelMixin, ConfigMixin):
    """The presenter presets' autoencoder.

    latent_channels: C. widths: channels of each level, one level a factor of 2, so downsample = 2^len(widths).
    encoder_blocks, decoder_blocks: residual blocks of each level; by default none at half resolution going in and most
    where they are cheapest. scaling_factor: always 1; the buffers latent_mean and latent_std make the latents unit-
    variance instead.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 32,
        widths: tuple[int, ...] = (32, 64, 128, 192),
        encoder_blocks: tuple[int, ...] | None = None,
        decoder_blocks: tuple[int, ...] | None = None,
        refine_width: int = 8,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        widths = tuple(widths)
        encoder_blocks = tuple(encoder_blocks or (0,) + (1,) * (len(widths) - 1))
        decoder_blocks = tuple(decoder_blocks or (1,) + (2,) * (len(widths) - 2) + (1,) * (len(widths) > 1))
        if not len(widths) == len(encoder_blocks) == len(decoder_blocks):
            raise ValueError(f"one entry a level: widths {widths}, blocks {encoder_blocks} and {decoder_blocks}")
        self.downsample = 2 ** len(widths)
        self.latent_channels = latent_channels
        self.encoder = Encoder(widths=widths, latent_channels=latent_channels, blocks=encoder_blocks)
        self.decoder = Decoder(
            widths=widths, latent_channels=latent_channels, blocks=decoder_blocks, refine_width=refine_width
        )
        initialise(self)
        # Begin near grey: loud random texture would first have to be unlearnt.
        self.decoder.layers[-1].weight.data.mul_(0.1)  # pyright: ignore[reportCallIssue]
        self.latent_mean: Tensor
        self.latent_std: Tensor
        self.register_buffer("latent_mean", torch.zeros(latent_channels))
        self.register_buffer("latent_std", torch.ones(latent_channels))

    @classmethod
    def from_codec_config(cls, config: CodecConfig) -> PresenterCodec:
        """Build with random weights. Raises PahaError where `widths` and `downsample` do not fit together."""
        if config.downsample != 2 ** len(config.widths):
            raise PahaError(
                f"codec.downsample is {config.downsample}, but codec.widths {config.widths} has {len(config.widths)} "
                f"levels of a factor 2; give log2(downsample) widths"
            )
        return cls(latent_channels=config.latent_channels, widths=config.widths)

    def encode(self, x: Tensor) -> Tensor:
        """Pixels (N, 3, H, W) in [-1, 1] to latents (N, C, h, w) of unit variance per channel. Deterministic.

        Raises ValueError where H or W is not a multiple of the downsampling.
        """
        if x.shape[-2] % self.downsample or x.shape[-1] % self.downsample:
            raise ValueError(f"frames of {x.shape[-1]} x {x.shape[-2]} are no multiple of {self.downsample} pixels")
        raw = self.encoder(x.contiguous(memory_format=torch.channels_last))
        return standardise(raw, self.latent_mean, self.latent_std).contiguous()

    def encode_unscaled(self, x: Tensor) -> Tensor:
        """The same as `encode`: this codec's latents have one scale (SVD's have two, design row 1)."""
        return self.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Latents (N, C, h, w) to pixels (N, 3, H, W), clamped to [-1, 1]."""
        return self.decoder(z.contiguous(memory_format=torch.channels_last)).clamp(-1, 1).contiguous()

    def forward(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One pass of training: (pixels not clamped, latents without the noise).

        noise: (N, C, h, w), added to the latents before they are decoded. In training mode the latents are
        standardised by this batch's statistics, with gradients through them, and the stored ones follow slowly.
        """
        raw = self.encoder(x.contiguous(memory_format=torch.channels_last)).float()
        mean, std = self.latent_mean, self.latent_std
        if self.training:
            mean, std = raw.mean((0, 2, 3)), raw.std((0, 2, 3)).clamp(min=MIN_STD)
            self.latent_mean.lerp_(mean.detach(), STATISTICS_MOMENTUM)
            self.latent_std.lerp_(std.detach(), STATISTICS_MOMENTUM)
        z = standardise(raw, mean, std)
        return self.decoder(z if noise is None else z + noise), z

    @torch.no_grad()
    def measure_latents(self, batches: Iterable[Tensor]) -> None:
        """Set latent_mean and latent_std from data: an iterable of pixel batches (N, 3, H, W), encoded once."""
        self.latent_mean.zero_()
        self.latent_std.fill_(1)
        raw = torch.cat([self.encode(x) for x in batches])
        self.latent_mean.copy_(raw.mean((0, 2, 3)))
        self.latent_std.copy_(raw.std((0, 2, 3)).clamp(min=MIN_STD))


def initialise(model: nn.Module) -> None:
    """Variance-preserving weights: without normalisation layers the default ones would let the signal die out.

    Residual branches start at zero.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, module.bias))
    for module in model.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.conv2.weight)


def standardise(raw: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(raw - mean) / std per channel; raw is (N, C, h, w), mean and std (C,)."""
    return (raw - mean[:, None, None]) / std[:, None, None]
