"""Classifier guidance (section 4.2, Algorithm 1): Sequential and Differential Guidance, for `sampler.sample`.

Notation: z_t latents (B, T, C, H, W), t (B, T) timesteps, sigma_t the noise level of each frame, f the solver step.
The gradient of D is that of the loss -log s with respect to z_t, summed over the batch (design row 12): minus it raises
the score. A frame whose timestep is lower than its clip's (a given first frame) is never changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from paha.sampling.sampler import Guidance, SolverStep
from paha.sampling.schedule import Schedule, broadcast_like

Gradient: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(z_t (B, T, C, H, W), t (B, T)) -> grad of the sum over the batch of -log s(z_t, a, t), of z_t's shape."""
DiffForm = Literal["compensate", "literal", "normalised", "printed_convex"]
DIFF_FORMS: tuple[DiffForm, ...] = get_args(DiffForm)


@dataclass(frozen=True)
class GuidedRegion:
    """A classifier's gradient and where and how strongly it acts.

    mask: (B, 1, 1, H, W), 1 inside. scale: lambda; 0 means that the gradient is never computed.
    """

    gradient: Gradient
    mask: Tensor
    scale: float


@dataclass(frozen=True)
class GuidedLatents:
    """The three latents of one guided step; z_non_face and z_face are z_t itself where nothing acts, and z_star is the
    other one then."""

    z_non_face: Tensor
    z_face: Tensor
    z_star: Tensor


@dataclass(frozen=True)
class GuidanceStats:
    """One guided step. *_ratio: norm of that region's update over the norm of the latents inside its mask."""

    t: int
    non_face_ratio: float
    face_ratio: float


Observe: TypeAlias = Callable[[GuidanceStats], None]


def guided_latents(
    z_t: Tensor, t: Tensor, *, non_face: GuidedRegion, face: GuidedRegion, schedule: Schedule
) -> GuidedLatents:
    """Eq. 8-10: the non-face classifier's update, then the face classifier's, seen from the first one's result."""
    # Eq. 8
    non_face_update = _update(non_face, z_t, t, schedule)
    z_non_face = z_t if non_face_update is None else z_t - non_face_update
    # Eq. 9
    face_update = _update(face, z_non_face, t, schedule)
    z_face = z_t if face_update is None else z_t - face_update
    # Eq. 10, z_face + z_non_face - z_t, without its rounding: nothing changes outside the masks, to the bit.
    if face_update is None or non_face_update is None:
        z_star = z_non_face if face_update is None else z_face
    else:
        z_star = z_non_face - face_update
    return GuidedLatents(z_non_face, z_face, z_star)


def sequential_guidance(
    *,
    non_face: GuidedRegion,
    face: GuidedRegion,
    schedule: Schedule,
    skip_first: bool = False,
    observe: Observe | None = None,
) -> Guidance:
    """Sequential Guidance (SG, Eq. 8-11) for the sampler.

    skip_first: leave the step from pure noise alone (line 3 of Algorithm 1). observe: called at every guided step.
    """

    def guidance(z_t: Tensor, t: Tensor, solver_step: SolverStep) -> Tensor:
        if skip_first and schedule.is_first(t):
            return solver_step(z_t)
        guided = guided_latents(z_t, t, non_face=non_face, face=face, schedule=schedule)
        _tell(observe, z_t, t, guided, non_face, face)
        # Eq. 11
        return solver_step(guided.z_star)

    return guidance


def differential_guidance(
    *,
    non_face: GuidedRegion,
    face: GuidedRegion,
    schedule: Schedule,
    diff_scale: float = 0.25,
    form: DiffForm = "compensate",
    batched: bool = True,
    share_deep: bool = False,
    reuse: int = 1,
    skip_first: bool = False,
    observe: Observe | None = None,
) -> Guidance:
    """Differential Guidance (DG, Eq. 12 read as in design row 14) for the sampler.

    diff_scale: lambda_diff; 0 is Sequential Guidance. form: see `differential_step`. batched: the three solver steps in
    one call. share_deep: in one call too, and what lies below the network's highest resolution is computed for f(z*)
    alone and taken for the other two (approximate). reuse: compute the two extra solver steps only every so many guided
    steps and add the last difference in between (approximate). Make a new one for every segment: `reuse` keeps a state.
    """
    if form not in DIFF_FORMS:
        raise ValueError(f"unknown form '{form}' of differential guidance; known: {', '.join(DIFF_FORMS)}")
    memory: list[Tensor] = []
    calls = 0

    def guidance(z_t: Tensor, t: Tensor, solver_step: SolverStep) -> Tensor:
        nonlocal calls
        if skip_first and schedule.is_first(t):
            return solver_step(z_t)
        guided = guided_latents(z_t, t, non_face=non_face, face=face, schedule=schedule)
        _tell(observe, z_t, t, guided, non_face, face)
        calls += 1
        if diff_scale == 0 or guided.z_star is z_t:  # neither classifier acts
            return solver_step(guided.z_star)
        if memory and (calls - 1) % reuse:
            return solver_step(guided.z_star) + memory[0]
        f_star, f_non_face, f_face = _three_steps(guided, solver_step, batched=batched, share_deep=share_deep)
        result = differential_step(
            f_star,
            f_non_face,
            f_face,
            face_mask=face.mask,
            non_face_mask=non_face.mask,
            diff_scale=diff_scale,
            form=form,
        )
        memory[:] = [result - f_star] if reuse > 1 else []
        return result

    return guidance


# Eq. 12
def differential_step(
    f_star: Tensor,
    f_non_face: Tensor,
    f_face: Tensor,
    *,
    face_mask: Tensor,
    non_face_mask: Tensor,
    diff_scale: float,
    form: DiffForm = "compensate",
) -> Tensor:
    """z_(t-1) out of the solver steps from z*, z_non_face and z_face.

    compensate: f(z*) + lambda [(f(z_face) - f(z*)) M_face + (f(z_non_face) - f(z*)) M_non_face]: each region moves
    towards what its own guidance alone would give; at lambda = 1 it gets there. literal: as printed, which adds lambda
    times a whole latent. normalised: that over 1 + lambda. printed_convex: (1 - lambda) f(z*) + lambda times the
    printed bracket.
    """
    if form == "compensate":
        return f_star + diff_scale * ((f_face - f_star) * face_mask + (f_non_face - f_star) * non_face_mask)
    printed = f_non_face * face_mask + f_face * non_face_mask
    if form == "literal":
        return f_star + diff_scale * printed
    if form == "normalised":
        return (f_star + diff_scale * printed) / (1 + diff_scale)
    return (1 - diff_scale) * f_star + diff_scale * printed


def reused_gradient(gradient: Gradient, every: int) -> Gradient:
    """The gradient computed anew every `every` calls, the last one in between (approximate). One for a segment."""
    if every <= 1:
        return gradient
    memory: list[Tensor] = []
    calls = 0

    def reused(z_t: Tensor, t: Tensor) -> Tensor:
        nonlocal calls
        if calls % every == 0:
            memory[:] = [gradient(z_t, t)]
        calls += 1
        return memory[0]

    return reused


def smoothed_gradient(gradient: Gradient, frames: float) -> Gradient:
    """The gradient blurred over time by a Gaussian of sigma `frames` (0: as it is); not in the paper.

    The blur is a symmetric matrix without negative eigenvalues, so minus the result still raises the score. It
    removes the jitter of a classifier's gradient from frame to frame.
    """
    if frames <= 0:
        return gradient

    def smoothed(z_t: Tensor, t: Tensor) -> Tensor:
        found = gradient(z_t, t)
        return torch.einsum("st,btchw->bschw", blur_matrix(found.shape[1], frames).to(found), found)

    return smoothed


def blur_matrix(length: int, sigma: float) -> Tensor:
    """(T, T): a Gaussian blur of T values whose ends are mirrored; symmetric, its rows sum to 1."""
    place = torch.arange(length)
    sigma = min(sigma, 4.0 * length)  # the mean of all values by then
    # Far enough that nothing is left of the Gaussian: the blur is then the circular one of the mirrored sequence.
    reach = math.ceil(6 * sigma / (2 * length)) + 1
    mirrored = torch.stack([place, -1 - place])  # 2, T
    shifts = 2 * length * torch.arange(-reach, reach + 1)
    images = (mirrored[None] + shifts[:, None, None]).flatten(0, 1)  # I, T
    weights = torch.exp(-((place[:, None, None] - images) ** 2) / (2 * sigma**2)).sum(1)
    return weights / weights.sum(1, keepdim=True)


def _update(region: GuidedRegion, z_t: Tensor, t: Tensor, schedule: Schedule) -> Tensor | None:
    """lambda sigma_t grad D(z_t) M, zero on given frames; None where the scale is 0."""
    if region.scale == 0:
        return None
    sigma_BT = schedule.sigma(t) * (t == t.amax(dim=1, keepdim=True))
    return region.scale * broadcast_like(sigma_BT, z_t) * region.gradient(z_t, t) * region.mask


def _three_steps(
    guided: GuidedLatents, solver_step: SolverStep, *, batched: bool, share_deep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """f of z*, z_non_face and z_face; those that are one tensor (a region that is not guided) are computed once."""
    latents = (guided.z_star, guided.z_non_face, guided.z_face)
    distinct = {id(z): z for z in latents}
    if batched or share_deep:
        together = torch.cat(list(distinct.values()))
        results = (solver_step(together, share_deep=True) if share_deep else solver_step(together)).chunk(len(distinct))
    else:
        results = [solver_step(z) for z in distinct.values()]
    by_id = dict(zip(distinct, results, strict=True))
    f_star, f_non_face, f_face = (by_id[id(z)] for z in latents)
    return f_star, f_non_face, f_face


def _tell(
    observe: Observe | None, z_t: Tensor, t: Tensor, guided: GuidedLatents, non_face: GuidedRegion, face: GuidedRegion
) -> None:
    if observe is None:
        return

    def ratio(z: Tensor, mask: Tensor) -> float:
        return float((z - z_t).norm() / (z_t * mask).norm().clamp_min(1e-12))

    stats = GuidanceStats(int(t.max()), ratio(guided.z_non_face, non_face.mask), ratio(guided.z_face, face.mask))
    observe(stats)
