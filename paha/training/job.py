"""What is trained (`Job`), and where a loss is computed (`StepContext`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

Scalars = Mapping[str, float | Tensor]


@dataclass(frozen=True)
class StepContext:
    """Where a loss is computed: the counters that all its randomness comes from, and the device to compute on."""

    step: int
    """Completed steps, from 0."""
    micro: int
    """Which part of the step's batch, counted over all processes."""
    seed: int
    rank: int
    world_size: int
    device: torch.device

    def generator(self, name: str) -> torch.Generator:
        """A fresh CPU generator for one named use ("batch", "noise" ...) in this part of this step."""
        return torch.Generator().manual_seed(self.hashed_seed(name))

    def hashed_seed(self, name: str) -> int:
        """A stable 32-bit seed out of (seed, name, step, micro): whichever process computes the part, it is the
        same."""
        text = f"{self.seed}/{name}/{self.step}/{self.micro}/0"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


@dataclass(frozen=True)
class Job:
    """What is trained. `loss` gets the model as accelerate wraps it and must only call it (`model(...)`), not its
    methods."""

    name: str
    model: nn.Module
    loss: Callable[[nn.Module, StepContext], tuple[Tensor, Scalars]]
    """Draws its own batch by `context.generator("batch")`; returns the scalar loss and scalars to log."""
    save: Callable[[nn.Module, Path], None]
    """Writes the EMA model's final files into a folder."""
    sample: Callable[[nn.Module, int, Path], None] | None = None
    """(EMA model, step, png path): draws a picture every `sample_every` steps."""
    probe: Callable[[nn.Module, int], Scalars] | None = None
    """(EMA model, step): scalars that are worth an evaluation every `sample_every` steps."""
    fingerprint: Mapping[str, object] = field(default_factory=dict)
    """Plain data that a resumed run must share (the configuration, the data's key), beside TrainConfig."""
