"""The sampling loop: noise to latents by DDIM, with an optional clean first frame and an injected guidance.

The loop does not know what guidance is: it hands over the noisy latents and the solver step and takes the next latents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from paha.sampling.ddim import ddim_pairs, ddim_step
from paha.sampling.schedule import Schedule

Predict: TypeAlias = Callable[..., Tensor]
"""(z_t (B, T, C, H, W), t (B, T) int64) -> the network's output (B, T, C, H, W). B may be copies of the batch; those
that guidance asks of with share_deep=True are nearly equal, and what lies deep in the network may be computed for the
first copy and taken for the others (`UniVDM.forward`)."""
SolverStep: TypeAlias = Callable[..., Tensor]
"""z_t -> z_(t_prev): f_theta of Algorithm 1 at the step's own timestep. Takes k copies of the batch, (k B, T, C, H, W),
too, and calls `predict` once for all of them; hands share_deep=True on to it where it is given."""
Guidance: TypeAlias = Callable[[Tensor, Tensor, SolverStep], Tensor]
"""(z_t, t (B, T) int64, solver_step) -> z_(t_prev)."""
StepCallback: TypeAlias = Callable[[int, int, Tensor], Tensor | None]
"""(step 0, 1 .., t, the latents after that step) -> None, or latents to go on with."""


@dataclass(frozen=True)
class FirstFrame:
    """A given first video frame (design rows 2 and 3): what its slot holds, and the timestep that says how noisy.

    latent: (B, C, H, W) clean. timestep: 0 holds it clean, larger ones noise it once, with `noise` (B, C, H, W).
    """

    latent: Tensor
    noise: Tensor
    timestep: int

    def hold(self, z: Tensor, schedule: Schedule) -> Tensor:
        """A copy of z (B, T, C, H, W) with the slot as the network is shown it."""
        held = self.latent
        if self.timestep > 0:
            held = schedule.add_noise(held, self.noise, self.timestep)
        return _with_first(z, held)

    def finish(self, z_0: Tensor) -> Tensor:
        """A copy of z_0 with the clean latent in the slot."""
        return _with_first(z_0, self.latent)


def _with_first(z: Tensor, frame: Tensor) -> Tensor:
    frame = frame.to(z)
    if len(z) != len(frame):  # copies of the batch
        frame = frame.repeat(len(z) // len(frame), 1, 1, 1)
    return torch.cat([frame[:, None], z[:, 1:]], dim=1)


def frame_timesteps(z: Tensor, t: int, first: FirstFrame | None) -> Tensor:
    """(B, T) int64: t for every frame, the given first frame's own timestep in its slot."""
    t_BT = torch.full(z.shape[:2], t, dtype=torch.int64, device=z.device)
    if first is not None:
        t_BT[:, 0] = first.timestep
    return t_BT


def sample(
    predict: Predict,
    z_T: Tensor,
    *,
    steps: int,
    schedule: Schedule,
    prediction_type: str = "v_prediction",
    first_frame: Tensor | None = None,
    first_frame_timestep: int = 0,
    guidance: Guidance | None = None,
    guidance_rate: float = 0.5,
    callback: StepCallback | None = None,
) -> Tensor:
    """Denoise z_T (B, T, C, H, W), standard normal, to z_0 of the same shape in steps solver steps.

    first_frame: (B, C, H, W) clean latent of frame 0, or None (noise mode). Its slot is never changed by the solver or
    the guidance, and comes back clean; z_T's slot, otherwise unused, is the fixed noise of first_frame_timestep > 0.
    guidance: acts on the steps i < guidance_rate * steps (design row 13), rate in [0, 1]; the rest go unguided.
    Raises PahaError where steps does not fit the schedule.
    """
    if not 0 <= guidance_rate <= 1:
        raise ValueError(f"guidance_rate is {guidance_rate}, not in [0, 1]")
    first = None if first_frame is None else FirstFrame(first_frame, z_T[:, 0], first_frame_timestep)
    hold = (lambda z: z) if first is None else (lambda z: first.hold(z, schedule))
    z = hold(z_T)
    for step, (t, t_prev) in enumerate(ddim_pairs(steps, schedule.num_train_timesteps)):
        t_BT = frame_timesteps(z, t, first)

        def solver_step(z_t: Tensor, t: int = t, t_prev: int = t_prev, t_BT: Tensor = t_BT, **share: Any) -> Tensor:
            z_t = hold(z_t)
            t_BT = t_BT if len(z_t) == len(t_BT) else t_BT.repeat(len(z_t) // len(t_BT), 1)
            return hold(ddim_step(z_t, predict(z_t, t_BT, **share), t, t_prev, schedule, prediction_type))

        if guidance is not None and step < guidance_rate * steps:
            z = hold(guidance(z, t_BT, solver_step))
        else:
            z = solver_step(z)
        if callback is not None:
            changed = callback(step, t, z)
            z = z if changed is None else hold(changed)
    return z if first is None else first.finish(z)
