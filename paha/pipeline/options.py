"""How a video is sampled: one object from the command line down to the sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

import torch

from paha.config import MAX_CFG_SCALE, SampleConfig
from paha.errors import PahaError
from paha.sampling.sampler import Guidance
from paha.univdm.conditioning import Conditioning

MAX_STEPS = 1000
GuidanceFactory: TypeAlias = Callable[[Conditioning], Guidance]
"""A segment's conditioning -> the guidance that the sampler calls in that segment."""


@dataclass(frozen=True)
class SampleOptions:
    """How a video is sampled.

    steps: solver steps of a segment; None for the preset's. seed: of the noise. cfg_scale: classifier-free guidance on
    the audio, prediction without it + scale * (with - without); 1 is off and costs nothing, else every step costs two
    evaluations; None for the preset's. guidance: makes the classifier guidance of a segment, which acts on the first
    guidance_rate of the steps (`paha.guidance.choice.guide`). guidance_settings: plain values that stand for it where a
    resumed run compares settings.
    """

    steps: int | None = None
    seed: int = 0
    cfg_scale: float | None = None
    guidance: GuidanceFactory | None = None
    guidance_rate: float = 0.5
    guidance_settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            raise PahaError(f"steps is {self.steps}; give 1 to {MAX_STEPS}")
        if self.cfg_scale is not None and not 0 <= self.cfg_scale <= MAX_CFG_SCALE:
            raise PahaError(f"cfg_scale is {self.cfg_scale}; give 0 to {MAX_CFG_SCALE:g}, 1 for none")
        if not 0 <= self.guidance_rate <= 1:
            raise PahaError(f"guidance_rate is {self.guidance_rate}; give 0 to 1")

    def of_preset(self, preset: SampleConfig) -> Self:
        """The same with the preset's values where none were given."""
        steps = preset.steps if self.steps is None else self.steps
        return replace(self, steps=steps, cfg_scale=preset.cfg_scale if self.cfg_scale is None else self.cfg_scale)

    def settings(self) -> dict[str, object]:
        """Plain values of everything that the video depends on."""
        return {
            "steps": self.steps,
            "seed": self.seed,
            "cfg_scale": self.cfg_scale,
            "guidance": dict(self.guidance_settings),
            "guidance_rate": self.guidance_rate,
        }


def choose_seed(seed: int | None, generator: torch.Generator | None) -> int:
    """The seed given, or one drawn of the generator, or a random one."""
    if seed is not None:
        return seed
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))
