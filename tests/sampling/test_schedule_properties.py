"""What holds for every schedule, timestep and latent: conversions undo each other, and DDIM follows its own path."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paha.config import DiffusionConfig
from paha.errors import PahaError
from paha.sampling.ddim import ddim_pairs, ddim_step, ddim_timesteps
from paha.sampling.schedule import Schedule

PREDICTIONS = ("v_prediction", "epsilon")


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Of any length and steepness, short of one whose last timestep holds no signal in float32."""
    num = draw(st.integers(2, 1000))
    start = draw(st.floats(1e-4, 0.01))
    end = draw(st.floats(start, min(0.9, 12 / num)))
    return Schedule(
        DiffusionConfig(num_train_timesteps=num, beta_start=start, beta_end=end, first_frame_max_timestep=0)
    )


def latents(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """z_0 and eps, (B, T, C, H, W) float64."""
    generator = torch.Generator().manual_seed(seed)
    z_0, eps = torch.randn(2, 2, 3, 2, 2, 2, generator=generator, dtype=torch.float64)
    return z_0, eps


def timesteps(schedule: Schedule, seed: int) -> torch.Tensor:
    """(B, T), each frame its own."""
    return torch.randint(schedule.num_train_timesteps, (2, 3), generator=torch.Generator().manual_seed(seed))


SEEDS = st.integers(0, 2**31)


@given(schedules())
def test_noise_levels_preserve_variance_and_only_grow(schedule):
    t = torch.arange(-1, schedule.num_train_timesteps)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(len(t)), atol=1e-6, rtol=0)
    assert (alpha.diff() < 0).all()
    assert (sigma.diff() > 0).all()
    assert (alpha[0], sigma[0]) == (1, 0)
    assert schedule.time_input(t[1:]).diff().min() > 0


@given(schedules(), SEEDS)
def test_conversions_undo_each_other(schedule, seed):
    """z_0, eps and v: any two that belong to one z_t are had from each other. The levels are float32: at 1/alpha and
    1/sigma times their error."""
    (z_0, eps), t = latents(seed), timesteps(schedule, seed)
    z_t, v = schedule.add_noise(z_0, eps, t), schedule.v_target(z_0, eps, t)
    least = min(float(schedule.alpha(t).min()), float(schedule.sigma(t).min()))
    close = {"atol": 1e-5 / least**2, "rtol": 0}
    found = {
        "v to z_0": (schedule.v_to_z0(z_t, v, t), z_0),
        "v to eps": (schedule.v_to_eps(z_t, v, t), eps),
        "eps to z_0": (schedule.eps_to_z0(z_t, eps, t), z_0),
        "eps to v": (schedule.eps_to_v(z_t, eps, t), v),
        "z_0 to eps": (schedule.z0_to_eps(z_t, z_0, t), eps),
        "z_0 to v": (schedule.z0_to_v(z_t, z_0, t), v),
    }
    for name, (got, expected) in found.items():
        torch.testing.assert_close(got, expected, **close, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
@given(schedule=schedules(), seed=SEEDS, share=st.floats(0, 1))
def test_a_perfect_prediction_is_followed_to_the_exact_noise_level(prediction_type, schedule, seed, share):
    """z_(t_prev) = alpha z_0 + sigma eps, whatever the two timesteps; z_0 itself at the clean end."""
    z_0, eps = latents(seed)
    t = timesteps(schedule, seed)
    z_t, told = schedule.add_noise(z_0, eps, t), schedule.target(z_0, eps, t, prediction_type)
    least = min(float(schedule.alpha(t).min()), float(schedule.sigma(t).min()))
    close = {"atol": 1e-5 / least**2, "rtol": 0}
    t_prev = (share * t).long()
    moved = ddim_step(z_t, told, t, t_prev, schedule, prediction_type)
    torch.testing.assert_close(moved, schedule.add_noise(z_0, eps, t_prev), **close)
    torch.testing.assert_close(ddim_step(z_t, told, t, -1, schedule, prediction_type), z_0, **close)


@given(st.integers(1, 1000), st.data())
def test_the_timesteps_fall_from_the_last_to_the_clean_end(num_train, data):
    num_steps = data.draw(st.integers(1, num_train))
    timesteps, pairs = ddim_timesteps(num_steps, num_train), ddim_pairs(num_steps, num_train)
    assert len(timesteps) == len(pairs) == num_steps
    assert timesteps[0] == num_train - 1
    assert all(0 <= b < a for a, b in itertools.pairwise(timesteps))
    assert [t for t, _ in pairs] == timesteps
    assert all(t_prev < t for t, t_prev in pairs)
    assert pairs[-1][1] == -1
    # Each step lands on the next timestep visited, or short of it by no more than rounding and 1 % of the way.
    assert all(abs(t_prev - t) <= 1 + 0.01 * num_train / num_steps for (_, t_prev), (t, _) in itertools.pairwise(pairs))


@given(st.integers(1, 1000), st.integers())
def test_other_numbers_of_steps_are_refused(num_train, beyond):
    if not 1 <= beyond <= num_train:
        with pytest.raises(PahaError, match=f"give 1 to {num_train}"):
            ddim_timesteps(beyond, num_train)
