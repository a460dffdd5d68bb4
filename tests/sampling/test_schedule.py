"""The noise schedule, and noise, v and z_0 converted into one another."""

import math
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

from paha.config import DiffusionConfig
from paha.sampling.schedule import Schedule

SHAPE = (2, 3, 4, 5, 6)


@pytest.fixture
def schedule() -> Schedule:
    return Schedule(DiffusionConfig())


@pytest.fixture
def draws() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    t = torch.randint(0, 1000, SHAPE[:2], generator=generator)
    return torch.randn(SHAPE, generator=generator), torch.randn(SHAPE, generator=generator), t


def test_noise_levels_preserve_variance_and_only_grow(schedule):
    t = torch.arange(1000)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(1000))
    assert (alpha.diff() < 0).all()
    assert (sigma.diff() > 0).all()
    # The betas' ends, in closed form: no zero-terminal-SNR, the last timestep still holds a trace of the signal.
    assert float(schedule.sigma(0)) == pytest.approx(math.sqrt(0.00085), rel=1e-4)
    assert float(schedule.alpha(999)) == pytest.approx(0.0682, abs=1e-3)


def test_negative_timesteps_are_the_clean_end(schedule):
    assert float(schedule.alpha(-1)) == 1
    assert float(schedule.sigma(torch.tensor([-34]))) == 0


def test_noise_and_v_equal_diffusers_frame_by_frame(schedule, draws):
    z_0, eps, t = draws
    theirs = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    flat = (z_0.flatten(0, 1), eps.flatten(0, 1), t.flatten())
    expected_z, expected_v = theirs.add_noise(*flat), theirs.get_velocity(*flat)
    torch.testing.assert_close(schedule.add_noise(z_0, eps, t).flatten(0, 1), expected_z, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(schedule.v_target(z_0, eps, t).flatten(0, 1), expected_v, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_timesteps_broadcast_over_the_leading_axes(schedule, draws, shape):
    z_0, eps, _ = draws
    t = torch.full(shape, 500)
    torch.testing.assert_close(schedule.add_noise(z_0, eps, t), schedule.add_noise(z_0, eps, 500))


def test_each_frame_gets_its_own_noise_level(schedule, draws):
    z_0, eps, t = draws
    z_t = schedule.add_noise(z_0, eps, t)
    for b, f in ((0, 0), (1, 2)):
        torch.testing.assert_close(z_t[b, f], schedule.add_noise(z_0[b, f], eps[b, f], int(t[b, f])))


def test_conversions_round_trip(schedule, draws):
    z_0, eps, t = draws
    z_t, v = schedule.add_noise(z_0, eps, t), schedule.v_target(z_0, eps, t)
    close: dict[str, Any] = {"atol": 2e-4, "rtol": 1e-4}
    torch.testing.assert_close(schedule.v_to_z0(z_t, v, t), z_0, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(schedule.v_to_eps(z_t, v, t), eps, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(schedule.eps_to_z0(z_t, eps, t), z_0, **close)
    torch.testing.assert_close(schedule.eps_to_v(z_t, eps, t), v, **close)
    torch.testing.assert_close(schedule.z0_to_eps(z_t, z_0, t), eps, **close)
    torch.testing.assert_close(schedule.z0_to_v(z_t, z_0, t), v, **close)


@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon"])
def test_the_target_says_z0_and_eps(schedule, draws, prediction_type):
    z_0, eps, t = draws
    z_t = schedule.add_noise(z_0, eps, t)
    target = schedule.target(z_0, eps, t, prediction_type)
    found_z0, found_eps = schedule.to_z0_eps(z_t, target, t, prediction_type)
    torch.testing.assert_close(found_z0, z_0, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(found_eps, eps, atol=1e-5, rtol=1e-5)


def test_epsilon_error_is_alpha_squared_times_v_error(schedule, draws):
    # What `loss_space: epsilon` stands on (design row 5).
    z_0, eps, t = draws
    z_t, v = schedule.add_noise(z_0, eps, t), schedule.v_target(z_0, eps, t)
    wrong = v + 0.1
    error = (schedule.v_to_eps(z_t, wrong, t) - eps) ** 2
    alpha = schedule.alpha(t)[..., None, None, None]
    torch.testing.assert_close(error, alpha**2 * (wrong - v) ** 2, atol=1e-6, rtol=1e-3)


def test_unknown_prediction_type_is_named(schedule, draws):
    with pytest.raises(ValueError, match="sample"):
        schedule.target(*draws, "sample")


def test_edm_is_v_prediction_on_the_variance_preserving_latent(schedule, draws):
    """Design row 5, against diffusers' EulerDiscreteScheduler at Stable Video Diffusion's settings."""
    z_0, eps, _ = draws
    for t in (0, 40, 500, 999):
        sigma = float(schedule.sigma(t) / schedule.alpha(t))
        edm: Any = EulerDiscreteScheduler(
            prediction_type="v_prediction", timestep_type="continuous", use_karras_sigmas=True
        )
        edm.set_timesteps(sigmas=[sigma, sigma / 2])
        assert float(edm.timesteps[0]) == pytest.approx(float(schedule.time_input(t)), rel=1e-4)

        z_edm = z_0 + sigma * eps
        scaled = edm.scale_model_input(z_edm, edm.timesteps[0])
        z_t = schedule.add_noise(z_0, eps, t)
        torch.testing.assert_close(scaled, z_t, atol=1e-4, rtol=1e-4)

        output = torch.randn(SHAPE, generator=torch.Generator().manual_seed(t))
        their_z0 = edm.step(output, edm.timesteps[0], z_edm).pred_original_sample
        torch.testing.assert_close(schedule.v_to_z0(z_t, output, t), their_z0, atol=1e-4, rtol=1e-3)


def test_edm_preconditioning_formulas(schedule, draws):
    # D = c_skip z + c_out F(c_in z, c_noise) with sigma_data 1: F is v where D is z_0.
    z_0, eps, _ = draws
    sigma = schedule.sigma(300) / schedule.alpha(300)
    c_skip, c_out = 1 / (sigma**2 + 1), -sigma / (sigma**2 + 1).sqrt()
    f = (z_0 - c_skip * (z_0 + sigma * eps)) / c_out
    torch.testing.assert_close(f, schedule.v_target(z_0, eps, 300), atol=1e-5, rtol=1e-4)
