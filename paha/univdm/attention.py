"""Attention and feed-forward layers with the parameter names of Stable Video Diffusion's state dict.

Letters: B batch, T frames, P positions of a frame (H x W), D width, S tokens of a context, N independent groups,
h heads, d width of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Value = TypeVar("Value")

SHORT_KEYS = 33
"""Up to this many keys, plain softmax attention beats the fused kernel on a CPU (1.2 to 3 times, at 8 to 33 keys)."""
MAX_HEADS = 65_535
"""Most heads that the fused kernels of a GPU are launched for."""


class ConditioningCache:
    """What evaluations of one network on one conditioning have in common, made once: keys, values, embeddings.

    Valid for one conditioning, batch size and clip length, without gradients, for as long as the weights stay.
    """

    def __init__(self) -> None:
        self._values: dict[object, object] = {}

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """The value of that key, made now if it is the first time."""
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]  # type: ignore[return-value]


def cached_or_new(cache: ConditioningCache | None, key: object, make: Callable[[], Value]) -> Value:
    """`cache.get`, or made anew without a cache."""
    return make() if cache is None else cache.get(key, make)


def by_products(k_NhKd: Tensor) -> bool:
    """Whether attention to these keys is computed by plain products."""
    return k_NhKd.device.type == "cpu" and k_NhKd.shape[-2] <= SHORT_KEYS


def positions_as_heads(x_BPhTd: Tensor) -> bool:
    """Whether attention over the frames takes positions as more heads, which is a view, or as more clips, a copy."""
    return x_BPhTd.device.type == "cuda" and x_BPhTd.shape[1] * x_BPhTd.shape[2] <= MAX_HEADS


def scaled_dot_product(q_NhSd: Tensor, k_NhKd: Tensor, v_NhKd: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v: (N, h, S, d). The fused kernel, save for short keys on a CPU."""
    if not by_products(k_NhKd):
        return F.scaled_dot_product_attention(q_NhSd, k_NhKd, v_NhKd)
    # Flattened before the transposition: a transposed view costs nothing in bmm, a transposed copy does.
    q, k, v = (x.reshape(-1, *x.shape[-2:]) for x in (q_NhSd, k_NhKd, v_NhKd))
    # Softmax over the rows: over a short last axis it is not vectorised, and takes 25 times as long at 4 keys.
    weights_NKS = torch.bmm(k * q.shape[-1] ** -0.5, q.transpose(1, 2)).softmax(1)
    return torch.bmm(weights_NKS.transpose(1, 2), v).view(q_NhSd.shape)


class Attention(nn.Module):
    """Multi-head attention over one axis of (B, T, P, D): the positions of each frame, or the frames of each position.

    dim: width D. num_heads divides it. context_dim: width of the context of a cross-attention; None for self-attention.
    over_frames: attend over T instead of P.
    """

    def __init__(self, dim: int, *, num_heads: int, context_dim: int | None = None, over_frames: bool = False) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.over_frames = over_frames
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(context_dim or dim, dim, bias=False)
        self.to_v = nn.Linear(context_dim or dim, dim, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])

    def forward(
        self, x_BTPD: Tensor, context_BTSD: Tensor | None = None, cache: ConditioningCache | None = None
    ) -> Tensor:
        """Attend to `context_BTSD` (B, T, S, D'), frame by frame, or to `x_BTPD` itself. Returns (B, T, P, D).

        cache: where the context's keys and values are kept.
        """
        q = self._split_heads(self.to_q(x_BTPD))
        if context_BTSD is None:
            k, v = self._keys_values(x_BTPD)
        else:
            k, v = cached_or_new(cache, self, lambda: self._keys_values(context_BTSD))
        return self.to_out[0](self._merge_heads(scaled_dot_product(q, k, v), x_BTPD.shape))

    def _keys_values(self, source_BTSD: Tensor) -> tuple[Tensor, Tensor]:
        return self._split_heads(self.to_k(source_BTSD)), self._split_heads(self.to_v(source_BTSD))

    def _split_heads(self, x_BTPD: Tensor) -> Tensor:
        x = x_BTPD.unflatten(-1, (self.num_heads, -1))  # B T P h d
        if self.over_frames:
            x = x.permute(0, 2, 3, 1, 4)  # B P h T d
            return x.flatten(1, 2) if positions_as_heads(x) else x.flatten(0, 1)  # B (P h) T d, or (B P) h T d
        return x.permute(0, 1, 3, 2, 4).flatten(0, 1)  # (B T) h P d

    def _merge_heads(self, x_NhSd: Tensor, shape: torch.Size) -> Tensor:
        if self.over_frames:
            x = x_NhSd.reshape(shape[0], shape[2], self.num_heads, shape[1], -1)  # B P h T d
            return x.permute(0, 3, 1, 2, 4).reshape(shape)
        x = x_NhSd.unflatten(0, (shape[0], -1))  # B T h P d
        return x.permute(0, 1, 3, 2, 4).reshape(shape)


class CrossAttention(Attention):
    """Cross-attention of all frames to one context of the clip: (B, S, D'), the reference (image) attention of SVD."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x_BTPD: Tensor, context_BSD: Tensor, cache: ConditioningCache | None = None
    ) -> Tensor:
        """Attend to `context_BSD` (B, S, D'). Returns (B, T, P, D)."""
        if context_BSD.shape[1] == 1 and not (torch.is_grad_enabled() and self.to_q.weight.requires_grad):
            # The softmax over one key is 1. In training the queries still run: their parameters need (zero) gradients.
            out_BSD = cached_or_new(cache, self, lambda: self.to_out[0](self.to_v(context_BSD)))
            return out_BSD[:, None].expand(x_BTPD.shape)
        # Keys and values once a clip instead of once a frame: the frames become more positions.
        x_B1QD = x_BTPD.flatten(1, 2)[:, None]
        return super().forward(x_B1QD, context_BSD[:, None], cache).view(x_BTPD.shape)


class GEGLU(nn.Module):
    """x W * gelu(x V): the gated layer of the feed-forward."""

    def __init__(self, dim: int, dim_out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., dim_out)."""
        # Each half in one piece: on a CPU rows with gaps between them take gelu five times as long.
        value, gate = map(F.linear, (x, x), self.proj.weight.chunk(2), self.proj.bias.chunk(2))
        return F.gelu(gate).mul_(value)


class FeedForward(nn.Module):
    """GEGLU of four times the width, then back. Index 1 of `net` is SVD's dropout place and has no parameters."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.ModuleList([GEGLU(dim, 4 * dim), nn.Identity(), nn.Linear(4 * dim, dim)])

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        return self.net[2](self.net[0](x))
