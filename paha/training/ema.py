"""An exponential moving average of a model's weights, kept in fp32."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """The averaged copy of a model: fp32, in eval mode, without gradients, updated in place.

    After step n (counted from 1) every weight becomes d w_ema + (1 - d) w with d = min(decay, (1 + n) / (10 + n)), so
    that short runs forget their initial weights. Buffers are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).float().eval().requires_grad_(False)

    def decay_at(self, step: int) -> float:
        """d of step n, in [0, decay]."""
        return min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards `model` after its step number `step` (from 1)."""
        averages: list[Tensor] = list(self.model.parameters())
        weights = [weight.float() for weight in model.parameters()]
        torch._foreach_lerp_(averages, weights, 1 - self.decay_at(step))
        for average, value in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(value)
