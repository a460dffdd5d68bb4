"""Embeddings of time, of SVD's added ids, of frame positions, and of the audio window A(f).

Letters: B batch, T frames, L layers of an audio feature, D width, A audio tokens of a frame, W = 2m+1 frames of a
window.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from paha.config import DiffusionConfig

TIME_ID_DIM = 256
"""Width of the sinusoids of each of SVD's added ids."""
_BETA_0 = DiffusionConfig().beta_start
SMALLEST_TIME = 0.125 * math.log(_BETA_0 / (1 - _BETA_0))
"""ln(sigma/alpha)/4 at the default schedule's timestep 0, about -0.884: the time of clean frames."""


def sinusoids(x_N: Tensor, dim: int) -> Tensor:
    """(N,) numbers to (N, dim) float32: cosines, then sines, at dim/2 frequencies from 1 down towards 1/10000."""
    half = dim // 2
    frequencies = torch.exp(-math.log(10_000) / half * torch.arange(half, dtype=torch.float32, device=x_N.device))
    angles = x_N.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimestepEmbedding(nn.Module):
    """Linear, SiLU, linear."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int | None = None) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_dim, hidden_dim)
        self.act = nn.SiLU()
        self.linear_2 = nn.Linear(hidden_dim, out_dim or hidden_dim)

    def forward(self, x_ND: Tensor) -> Tensor:
        """(N, in_dim) to (N, out_dim). The input is cast to the weights' type (sinusoids are float32)."""
        return self.linear_2(self.act(self.linear_1(x_ND.to(self.linear_1.weight.dtype))))


class AudioProjection(nn.Module):
    """The window A(f) of raw audio features, flattened, to the audio tokens of its frame.

    in_dim: W * L * D. hidden_dim: width between the two linear layers. num_tokens: A. token_dim: width of a token.
    """

    def __init__(self, in_dim: int, *, hidden_dim: int, num_tokens: int, token_dim: int) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.linear_1 = nn.Linear(in_dim, hidden_dim)
        self.act = nn.SiLU()
        self.linear_2 = nn.Linear(hidden_dim, num_tokens * token_dim)
        self.norm = nn.LayerNorm(token_dim)

    def forward(self, audio_BTWLD: Tensor) -> Tensor:
        """(B, T, W, L, D) to tokens (B, T, A, token_dim), each of zero mean and unit variance at the start."""
        hidden = self.act(self.linear_1(audio_BTWLD.flatten(2)))
        return self.norm(self.linear_2(hidden).unflatten(-1, (self.num_tokens, -1)))
