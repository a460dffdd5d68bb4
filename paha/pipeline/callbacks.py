"""diffusers' callback at the end of a step, for the sampler's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from paha.sampling.sampler import StepCallback

if TYPE_CHECKING:
    from paha.pipeline.pipeline import PahaPipeline

StepEnd: TypeAlias = "Callable[[PahaPipeline, int, int, dict[str, Tensor]], dict[str, Tensor] | None]"
"""(pipeline, step, timestep, {"latents": z}) -> None, or {"latents": z} to go on with; steps count through a video."""


class RunInterruptedError(Exception):
    """The pipeline's `_interrupt` was set."""


def step_callback(pipeline: PahaPipeline, callback: StepEnd | None, first_step: int) -> StepCallback | None:
    """The sampler's callback of a segment whose first step is number `first_step` of the video.

    Raises RunInterruptedError where the callback asks for the end.
    """
    if callback is None:
        return None

    def on_step(step: int, t: int, z: Tensor) -> Tensor | None:
        changed = callback(pipeline, first_step + step, t, {"latents": z})
        if pipeline._interrupt:
            raise RunInterruptedError
        return None if not changed else changed.get("latents")

    return on_step
