"""DDIM (Song et al., 2021) with eta 0, trailing spacing and no clipping: the ODE solver f_theta of Algorithm 1."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from paha.errors import PahaError
from paha.sampling.schedule import Schedule, broadcast_like


def ddim_timesteps(steps: int, num_train: int = 1000) -> list[int]:
    """The timesteps visited, falling, the last training timestep first ("trailing" of Lin et al., 2024, Table 2).

    Raises PahaError where steps is not in 1 .. num_train.
    """
    if not 1 <= steps <= num_train:
        raise PahaError(f"{steps} sampling steps do not work; give 1 to {num_train}")
    return [int(t) - 1 for t in np.round(np.arange(num_train, 0, -num_train / steps))][:steps]


def ddim_pairs(steps: int, num_train: int = 1000) -> list[tuple[int, int]]:
    """(t, t_prev) of every solver step; the last t_prev is -1, the clean end.

    diffusers' DDIMScheduler steps by the whole number num_train // steps, which falls short of the next t visited
    unless steps divides num_train. Where it falls short by at most 1 % (30 steps of 1000) we do as it does, so that
    the samples are equal; elsewhere its error leaves visible noise in the sample, and t_prev is the next t visited.
    """
    timesteps = ddim_timesteps(steps, num_train)
    stride = num_train // steps
    if stride * steps >= 0.99 * num_train:
        return [(t, t - stride) for t in timesteps[:-1]] + [(timesteps[-1], -1)]
    return list(zip(timesteps, [*timesteps[1:], -1], strict=True))


def ddim_step(
    z_t: Tensor,
    prediction: Tensor,
    t: int | Tensor,
    t_prev: int | Tensor,
    schedule: Schedule,
    prediction_type: str = "v_prediction",
) -> Tensor:
    """One deterministic step from t to t_prev: the (z_0, eps) that the prediction says, at t_prev's noise level.

    z_t and prediction (..., ) of one shape; t and t_prev as in `Schedule`; t_prev < 0 gives the predicted z_0 itself.
    """
    z_0, eps = schedule.to_z0_eps(z_t, prediction, t, prediction_type)
    # Eq. 12 of the DDIM paper, at its sigma = 0.
    return broadcast_like(schedule.alpha(t_prev), z_t) * z_0 + broadcast_like(schedule.sigma(t_prev), z_t) * eps


def estimated_z_0(z_t: Tensor, z_prev: Tensor, t: Tensor, t_prev: Tensor, schedule: Schedule) -> Tensor:
    """The clean latents that a DDIM step from z_t to z_prev (..., C, H, W) went by; costs no evaluation.

    Both hold one z_0 and one noise, at two noise levels: two equations. t and t_prev as in `Schedule`, t > t_prev.
    """
    alpha, sigma = (broadcast_like(value(t), z_t) for value in (schedule.alpha, schedule.sigma))
    alpha_prev, sigma_prev = (broadcast_like(value(t_prev), z_t) for value in (schedule.alpha, schedule.sigma))
    return (sigma_prev * z_t - sigma * z_prev) / (sigma_prev * alpha - sigma * alpha_prev)
