"""DDIM against diffusers' scheduler, with a timestep for each frame."""

import itertools
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from paha.config import DiffusionConfig
from paha.errors import PahaError
from paha.sampling.ddim import ddim_pairs, ddim_step, ddim_timesteps
from paha.sampling.sampler import sample
from paha.sampling.schedule import Schedule

SHAPE = (2, 3, 4, 5, 6)


def reference(prediction_type: Any, steps: int) -> Any:
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        timestep_spacing="trailing",
        prediction_type=prediction_type,
    )
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("steps", [1, 4, 30, 50, 1000])
def test_timesteps_equal_diffusers(steps):
    assert ddim_timesteps(steps, 1000) == reference("epsilon", steps).timesteps.tolist()


@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon"])
@pytest.mark.parametrize("steps", [1, 4, 30, 50])
def test_every_step_equals_diffusers(prediction_type, steps):
    schedule, theirs = Schedule(DiffusionConfig()), reference(prediction_type, steps)
    generator = torch.Generator().manual_seed(steps)
    for t, t_prev in ddim_pairs(steps):
        z, output = torch.randn(SHAPE, generator=generator), torch.randn(SHAPE, generator=generator)
        expected = theirs.step(output, t, z, eta=0.0).prev_sample
        torch.testing.assert_close(
            ddim_step(z, output, t, t_prev, schedule, prediction_type), expected, rtol=2e-6, atol=2e-6
        )


@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon"])
def test_the_whole_loop_of_30_steps_equals_diffusers(prediction_type):
    theirs = reference(prediction_type, 30)
    generator = torch.Generator().manual_seed(0)
    z_T = torch.randn(SHAPE, generator=generator)
    outputs = {int(t): torch.randn(SHAPE, generator=generator) for t in theirs.timesteps}
    expected = z_T
    for t in theirs.timesteps:
        expected = theirs.step(outputs[int(t)] + 0.3 * expected, int(t), expected, eta=0.0).prev_sample
    found = sample(
        lambda z, t: outputs[int(t[0, 0])] + 0.3 * z,
        z_T,
        steps=30,
        schedule=Schedule(DiffusionConfig()),
        prediction_type=prediction_type,
    )
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("steps", [*range(1, 70), 150, 501, 700, 999, 1000])
def test_steps_fall_and_end_clean(steps):
    pairs = ddim_pairs(steps)
    assert len(pairs) == steps
    assert pairs[0][0] == 999
    assert pairs[-1][1] == -1
    assert all(t > t_prev for t, t_prev in pairs)
    # Each step lands where the next one starts, to within one timestep.
    assert all(0 <= landed - t <= 1 for (_, landed), (t, _) in itertools.pairwise(pairs))


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_step_counts_that_do_not_fit_are_refused(steps):
    with pytest.raises(PahaError, match=str(steps)):
        ddim_timesteps(steps, 1000)


def test_a_perfect_prediction_is_exact_at_any_step():
    schedule = Schedule(DiffusionConfig())
    z_0, eps = torch.randn(SHAPE), torch.randn(SHAPE)
    v = schedule.v_target(z_0, eps, 700)
    z_700 = schedule.add_noise(z_0, eps, 700)
    expected = schedule.add_noise(z_0, eps, 300)
    torch.testing.assert_close(ddim_step(z_700, v, 700, 300, schedule), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ddim_step(z_700, v, 700, -1, schedule), z_0, atol=1e-5, rtol=1e-5)


def test_per_frame_timesteps_step_each_frame_alone():
    schedule = Schedule(DiffusionConfig())
    z, output = torch.randn(SHAPE), torch.randn(SHAPE)
    t, t_prev = torch.randint(500, 1000, SHAPE[:2]), torch.randint(-1, 500, SHAPE[:2])
    found = ddim_step(z, output, t, t_prev, schedule)
    expected = ddim_step(z[1, 2], output[1, 2], int(t[1, 2]), int(t_prev[1, 2]), schedule)
    torch.testing.assert_close(found[1, 2], expected)
