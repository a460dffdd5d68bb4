"""The blocks of SVD's U-Net, with its parameter names, plus the audio attention.

Features travel as (B, T, H, W, C) contiguous, i.e. channels-last: a 2D convolution sees (B*T, C, H, W), a temporal one
(B, C, T, H*W), attention and linear layers (B, T, H*W, C), all of them views of the same memory.
Letters: B batch, T frames (with the reference slot), C channels, H W latent size, P = H*W, D width, S image tokens,
A audio tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.univdm.attention import Attention, ConditioningCache, CrossAttention, FeedForward, cached_or_new
from paha.univdm.embeddings import TimestepEmbedding, sinusoids


@dataclass(frozen=True)
class Context:
    """What every block is given beside the features.

    time: (B, T, D), SiLU of the time embedding of each frame. image: (B, S, D), tokens of the clip.
    audio: (B, T, A, D), tokens of each frame; None stands for tokens of zero. positions: (T,), 0 .. T-1 in time, and -1
    for the reference slot. cache: what was made of image, audio and positions before, None to make it anew.
    """

    time: Tensor
    image: Tensor
    audio: Tensor | None
    positions: Tensor
    cache: ConditioningCache | None = None

    def first(self, clips: int) -> Context:
        """That of the first clips."""
        audio = None if self.audio is None else self.audio[:clips]
        return replace(self, time=self.time[:clips], image=self.image[:clips], audio=audio)


class Checkpointed(nn.Module):
    """Runs its blocks under gradient checkpointing once `enable_gradient_checkpointing` has switched it on."""

    def __init__(self) -> None:
        super().__init__()
        self.checkpoint: Callable | None = None

    def run(self, block: nn.Module, *args: object) -> Tensor:
        """block(*args), its inner activations recomputed in the backward pass when checkpointing is on."""
        if self.checkpoint is not None and torch.is_grad_enabled():
            return self.checkpoint(block, *args)
        return block(*args)


def per_frame(layer: nn.Module, x_BTHWC: Tensor) -> Tensor:
    """A 2D convolution or GroupNorm on each frame."""
    y_NCHW = layer(x_BTHWC.flatten(0, 1).permute(0, 3, 1, 2))
    return y_NCHW.permute(0, 2, 3, 1).unflatten(0, x_BTHWC.shape[:2])


def per_clip(norm: nn.GroupNorm, x_BTHWC: Tensor) -> Tensor:
    """GroupNorm with statistics over all frames of a clip."""
    return norm(x_BTHWC.flatten(1, 2).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).reshape(x_BTHWC.shape)


def over_time(conv: nn.Conv3d, x_BTHWC: Tensor) -> Tensor:
    """A 3 x 1 x 1 convolution over the frames, as a 2D one of (T, H*W): channels-last, which Conv3d is not."""
    x_BCTP = x_BTHWC.flatten(2, 3).permute(0, 3, 1, 2)
    y_BCTP = F.conv2d(x_BCTP, conv.weight[..., 0], conv.bias, padding=(1, 0))
    return y_BCTP.permute(0, 2, 3, 1).unflatten(2, x_BTHWC.shape[2:4])


class TimeMixer(nn.Module):
    """Learned blend of the spatial and the temporal branch: alpha * spatial + (1 - alpha) * temporal."""

    def __init__(self) -> None:
        super().__init__()
        self.mix_factor = nn.Parameter(torch.tensor([0.5]))

    def forward(self, spatial: Tensor, temporal: Tensor) -> Tensor:
        """Two tensors of one shape to their blend, alpha = sigmoid(mix_factor)."""
        return torch.lerp(temporal, spatial, self.mix_factor.sigmoid().to(spatial.dtype))


class SpatialResBlock(nn.Module):
    """Norm, SiLU, 3x3 convolution, twice, on each frame; the frame's time embedding is added in between."""

    def __init__(self, in_channels: int, out_channels: int, *, time_dim: int, eps: float, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, eps=eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(time_dim, out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x_BTHWC: Tensor, time_BTD: Tensor) -> Tensor:
        """(B, T, H, W, in) to (B, T, H, W, out)."""
        h = per_frame(self.conv1, F.silu(per_frame(self.norm1, x_BTHWC)))
        h = h + self.time_emb_proj(time_BTD)[:, :, None, None]
        h = per_frame(self.conv2, F.silu(per_frame(self.norm2, h)))
        return h + (x_BTHWC if self.conv_shortcut is None else per_frame(self.conv_shortcut, x_BTHWC))


class TemporalResBlock(nn.Module):
    """The same over the frames: 3x1x1 convolutions, norms over the whole clip."""

    def __init__(self, channels: int, *, time_dim: int, eps: float, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps=eps)
        self.conv1 = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
        self.time_emb_proj = nn.Linear(time_dim, channels)
        self.norm2 = nn.GroupNorm(groups, channels, eps=eps)
        self.conv2 = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x_BTHWC: Tensor, time_BTD: Tensor) -> Tensor:
        """(B, T, H, W, C) to the same."""
        h = over_time(self.conv1, F.silu(per_clip(self.norm1, x_BTHWC)))
        h = h + self.time_emb_proj(time_BTD)[:, :, None, None]
        return x_BTHWC + over_time(self.conv2, F.silu(per_clip(self.norm2, h)))


class SpatioTemporalResBlock(nn.Module):
    """A spatial resnet, a temporal one on its output, and their blend."""

    def __init__(self, in_channels: int, out_channels: int, *, time_dim: int, eps: float, groups: int) -> None:
        super().__init__()
        self.spatial_res_block = SpatialResBlock(in_channels, out_channels, time_dim=time_dim, eps=eps, groups=groups)
        self.temporal_res_block = TemporalResBlock(out_channels, time_dim=time_dim, eps=eps, groups=groups)
        self.time_mixer = TimeMixer()

    def forward(self, x_BTHWC: Tensor, time_BTD: Tensor) -> Tensor:
        """(B, T, H, W, in) to (B, T, H, W, out)."""
        spatial = self.spatial_res_block(x_BTHWC, time_BTD)
        return self.time_mixer(spatial, self.temporal_res_block(spatial, time_BTD))


class SpatialBlock(nn.Module):
    """Self-attention in each frame, reference attention, audio attention (new in PAHA), feed-forward."""

    def __init__(self, dim: int, *, num_heads: int, image_dim: int, audio_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn1 = Attention(dim, num_heads=num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = CrossAttention(dim, num_heads=num_heads, context_dim=image_dim)
        self.audio_norm = nn.LayerNorm(dim)
        self.audio_attn = Attention(dim, num_heads=num_heads, context_dim=audio_dim)
        self.norm3 = nn.LayerNorm(dim)
        self.ff = FeedForward(dim)
        self.init_audio()

    def init_audio(self) -> None:
        """(Re)initialise the audio attention: its output projection is zero, so that it changes nothing at first."""
        for layer in (self.audio_norm, self.audio_attn.to_q, self.audio_attn.to_k, self.audio_attn.to_v):
            layer.reset_parameters()
        for parameter in self.audio_attn.to_out.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, x_BTPD: Tensor, image_BSD: Tensor, audio_BTAD: Tensor | None, cache: ConditioningCache | None = None
    ) -> Tensor:
        """(B, T, P, D) to the same."""
        x = x_BTPD + self.attn1(self.norm1(x_BTPD))
        x = x + self.attn2(self.norm2(x), image_BSD, cache)
        if audio_BTAD is None:  # values of zero, which only the bias is added to
            x = x + self.audio_attn.to_out[0].bias
        else:
            # Section 4.1.1: z_t = CrossAttention(z_t, A(f))
            x = x + self.audio_attn(self.audio_norm(x), audio_BTAD, cache)
        return x + self.ff(self.norm3(x))


class TemporalBlock(nn.Module):
    """Feed-forward, self-attention over the frames of each position, reference attention, feed-forward."""

    def __init__(self, dim: int, *, num_heads: int, image_dim: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(dim)
        self.ff_in = FeedForward(dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attn1 = Attention(dim, num_heads=num_heads, over_frames=True)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = CrossAttention(dim, num_heads=num_heads, context_dim=image_dim)
        self.norm3 = nn.LayerNorm(dim)
        self.ff = FeedForward(dim)

    def forward(self, x_BTPD: Tensor, image_BSD: Tensor, cache: ConditioningCache | None = None) -> Tensor:
        """(B, T, P, D) to the same."""
        x = x_BTPD + self.ff_in(self.norm_in(x_BTPD))
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), image_BSD, cache)
        return x + self.ff(self.norm3(x))


class SpatioTemporalTransformer(Checkpointed):
    """A spatial transformer block, a temporal one on its output plus the frame positions, and their blend."""

    def __init__(self, channels: int, *, num_heads: int, image_dim: int, audio_dim: int, groups: int) -> None:
        super().__init__()
        self.channels = channels
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        spatial = SpatialBlock(channels, num_heads=num_heads, image_dim=image_dim, audio_dim=audio_dim)
        temporal = TemporalBlock(channels, num_heads=num_heads, image_dim=image_dim)
        self.transformer_blocks = nn.ModuleList([spatial])
        self.temporal_transformer_blocks = nn.ModuleList([temporal])
        self.time_pos_embed = TimestepEmbedding(channels, 4 * channels, channels)
        self.time_mixer = TimeMixer()
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x_BTHWC: Tensor, context: Context) -> Tensor:
        """(B, T, H, W, C) to the same."""
        x = self.proj_in(per_frame(self.norm, x_BTHWC).flatten(2, 3))  # B T P D
        cache = context.cache
        spatial = self.run(self.transformer_blocks[0], x, context.image, context.audio, cache)
        position_TD = cached_or_new(
            cache, self, lambda: self.time_pos_embed(sinusoids(context.positions, self.channels))
        )
        temporal = self.run(self.temporal_transformer_blocks[0], spatial + position_TD[:, None], context.image, cache)
        x = self.time_mixer(spatial, temporal)
        return x_BTHWC + self.proj_out(x).view(x_BTHWC.shape)
