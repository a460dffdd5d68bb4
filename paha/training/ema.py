"""An exponential moving average of a model's weights, kept in fp32, on the model's device or off it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from paha.training.sharding import local, shard


class Ema:
    """The averaged copy of a model: fp32, in eval mode, without gradients, updated in place.

    After step n (counted from 1) every weight becomes d w_ema + (1 - d) w with d = min(decay, (1 + n) / (10 + n)), so
    that short runs forget their initial weights. Buffers are copied. device: where it is kept, by default with the
    model; on the CPU it costs the device no memory, and a copy of the weights to there every step.
    """

    def __init__(self, model: nn.Module, decay: float, *, device: torch.device | None = None) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).float().eval().requires_grad_(False)
        if device is not None:
            self.model.to(device)

    def shard(self, mesh: DeviceMesh) -> None:
        """Spread it over the processes, as the model is; it is kept on the mesh's device then."""
        self.model = shard(self.model.to(mesh.device_type), mesh)

    def decay_at(self, step: int) -> float:
        """d of step n, in [0, decay]."""
        return min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards `model` after its step number `step` (from 1)."""
        averages: list[Tensor] = [local(average) for average in self.model.parameters()]
        device = averages[0].device
        weights = [local(weight).to(device).float() for weight in model.parameters()]
        torch._foreach_lerp_(averages, weights, 1 - self.decay_at(step))
        for average, value in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(value)

    @contextmanager
    def on(self, device: torch.device) -> Iterator[nn.Module]:
        """The averaged model on `device` for as long as it is looked at."""
        kept = next(self.model.parameters()).device
        if kept == device:
            yield self.model
            return
        try:
            yield self.model.to(device)
        finally:
            self.model.to(kept)
