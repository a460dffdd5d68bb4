"""The levels of the U-Net: down, middle and up, with SVD's parameter names. Letters as in `blocks`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from paha.univdm.blocks import Checkpointed, Context, SpatioTemporalResBlock, SpatioTemporalTransformer, per_frame


class Downsample(nn.Module):
    """3x3 convolution of stride 2: half the height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x_BTHWC: Tensor) -> Tensor:
        """(B, T, H, W, C) to (B, T, H/2, W/2, C)."""
        return per_frame(self.conv, x_BTHWC)


class Upsample(nn.Module):
    """Each position repeated 2 x 2, then a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x_BTHWC: Tensor) -> Tensor:
        """(B, T, H, W, C) to (B, T, 2H, 2W, C)."""
        B, T, H, W, C = x_BTHWC.shape
        # Repeated by a broadcast copy: interpolate's channels-last kernels have failed on large batches.
        x = x_BTHWC[:, :, :, None, :, None].expand(B, T, H, 2, W, 2, C).reshape(B, T, 2 * H, 2 * W, C)
        return per_frame(self.conv, x)


class Level(Checkpointed):
    """Resnets, each followed by a transformer where the level has attention.

    channels: (in, out) of each resnet. num_heads: 0 for a level without attention.
    """

    def __init__(
        self,
        channels: list[tuple[int, int]],
        *,
        time_dim: int,
        eps: float,
        num_heads: int,
        image_dim: int,
        audio_dim: int,
        groups: int,
        num_attentions: int | None = None,
    ) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(
            SpatioTemporalResBlock(i, o, time_dim=time_dim, eps=eps, groups=groups) for i, o in channels
        )
        count = len(channels) if num_attentions is None else num_attentions
        self.attentions = nn.ModuleList(
            SpatioTemporalTransformer(o, num_heads=num_heads, image_dim=image_dim, audio_dim=audio_dim, groups=groups)
            for _, o in (channels[:count] if num_heads else [])
        )

    def layer(self, index: int, x_BTHWC: Tensor, context: Context) -> Tensor:
        """Resnet `index` and its transformer, if it has one."""
        x = self.run(self.resnets[index], x_BTHWC, context.time)
        return self.attentions[index](x, context) if index < len(self.attentions) else x


class DownLevel(Level):
    """A level of the way down; `downsample` halves its output's size."""

    def __init__(self, channels: list[tuple[int, int]], *, downsample: bool, **options: int | float) -> None:
        super().__init__(channels, **options)  # type: ignore[arg-type]
        self.downsamplers = nn.ModuleList([Downsample(channels[-1][1])] if downsample else [])

    def forward(self, x_BTHWC: Tensor, context: Context) -> tuple[Tensor, list[Tensor]]:
        """Returns the output and the features that the way up is given, in order."""
        skips = []
        for index in range(len(self.resnets)):
            x_BTHWC = self.layer(index, x_BTHWC, context)
            skips.append(x_BTHWC)
        for downsample in self.downsamplers:
            x_BTHWC = downsample(x_BTHWC)
            skips.append(x_BTHWC)
        return x_BTHWC, skips


class MiddleLevel(Level):
    """Resnet, transformer, resnet."""

    def forward(self, x_BTHWC: Tensor, context: Context) -> Tensor:
        """(B, T, H, W, C) to the same."""
        for index in range(len(self.resnets)):
            x_BTHWC = self.layer(index, x_BTHWC, context)
        return x_BTHWC


class UpLevel(Level):
    """A level of the way up; each resnet is given the output before it and one feature of the way down."""

    def __init__(self, channels: list[tuple[int, int]], *, upsample: bool, **options: int | float) -> None:
        super().__init__(channels, **options)  # type: ignore[arg-type]
        self.upsamplers = nn.ModuleList([Upsample(channels[-1][1])] if upsample else [])

    def forward(self, x_BTHWC: Tensor, skips: list[Tensor], context: Context) -> Tensor:
        """Takes its features off the end of `skips`."""
        for index in range(len(self.resnets)):
            x_BTHWC = self.layer(index, torch.cat([x_BTHWC, skips.pop()], dim=-1), context)
        for upsample in self.upsamplers:
            x_BTHWC = upsample(x_BTHWC)
        return x_BTHWC
