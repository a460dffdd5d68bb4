"""The sampling loop with a given first frame and with guidance."""

import pytest
import torch

from paha.config import DiffusionConfig
from paha.sampling.sampler import sample
from paha.sampling.schedule import Schedule

SHAPE = (2, 4, 3, 5, 6)
SCHEDULE = Schedule(DiffusionConfig())


def noise(seed: int, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Some function of the latents, the time and the neighbouring frames."""
    time = SCHEDULE.time_input(t)[..., None, None, None]
    return torch.tanh(z + time) + 0.1 * z.mean(dim=1, keepdim=True)


def test_a_perfect_network_returns_the_data():
    z_0 = noise(1)
    z = sample(lambda z, t: SCHEDULE.z0_to_v(z, z_0, t), noise(2), steps=5, schedule=SCHEDULE)
    torch.testing.assert_close(z, z_0, atol=1e-5, rtol=1e-5)


def test_noise_mode_gives_every_frame_the_same_timestep():
    seen = []
    sample(lambda z, t: seen.append(t) or predict(z, t), noise(0), steps=3, schedule=SCHEDULE)
    assert [t.unique().tolist() for t in seen] == [[999], [666], [332]]


@pytest.mark.parametrize("timestep", [0, 20])
def test_a_given_first_frame_stays_and_says_its_timestep(timestep):
    first, z_T = noise(5, SHAPE[:1] + SHAPE[2:]), noise(6)
    shown = []

    def spy(z, t):
        shown.append((z, t))
        return predict(z, t)

    z = sample(spy, z_T, steps=4, schedule=SCHEDULE, first_frame=first, first_frame_timestep=timestep)
    assert torch.equal(z[:, 0], first)
    held = first if timestep == 0 else SCHEDULE.add_noise(first, z_T[:, 0], timestep)
    for z_t, t in shown:
        assert torch.equal(z_t[:, 0], held)
        assert (t[:, 0] == timestep).all()
        assert (t[:, 1:] > 100).all()


def test_the_first_frame_reaches_the_other_frames():
    first = noise(5, SHAPE[:1] + SHAPE[2:])
    run = lambda frame: sample(predict, noise(6), steps=3, schedule=SCHEDULE, first_frame=frame)  # noqa: E731
    assert not torch.equal(run(first)[:, 1:], run(-first)[:, 1:])


@pytest.mark.parametrize(("rate", "expected"), [(0, 0), (0.5, 5), (0.55, 6), (1, 10)])
def test_guidance_acts_on_the_leading_steps(rate, expected):
    guided = []

    def guidance(z, t, solver_step):
        guided.append(int(t[0, 0]))
        return solver_step(z)

    arguments = {"steps": 10, "schedule": SCHEDULE}
    z = sample(predict, noise(0), guidance=guidance, guidance_rate=rate, **arguments)
    assert guided == [999, 899, 799, 699, 599, 499, 399, 299, 199, 99][:expected]
    # A guidance that changes nothing equals plain sampling bit for bit.
    assert torch.equal(z, sample(predict, noise(0), **arguments))


def test_guidance_changes_the_frames_but_never_the_given_first_frame():
    first = noise(5, SHAPE[:1] + SHAPE[2:])
    slots = []

    def guidance(z, t, solver_step):
        slots.append(z[:, 0])
        return solver_step(z + 1) + 0.1

    arguments = {"steps": 4, "schedule": SCHEDULE, "first_frame": first}
    z = sample(predict, noise(0), guidance=guidance, guidance_rate=0.5, **arguments)
    assert all(torch.equal(slot, first) for slot in slots)
    assert torch.equal(z[:, 0], first)
    assert not torch.equal(z[:, 1:], sample(predict, noise(0), **arguments)[:, 1:])


def test_callback_sees_every_step_and_may_replace_the_latents():
    steps = []
    sample(predict, noise(0), steps=3, schedule=SCHEDULE, callback=lambda step, t, z: steps.append((step, t, z.shape)))
    assert [s[:2] for s in steps] == [(0, 999), (1, 666), (2, 332)]
    assert {s[2] for s in steps} == {SHAPE}
    z = sample(predict, noise(0), steps=3, schedule=SCHEDULE, callback=lambda step, t, z: z * 0)
    assert (z == 0).all()


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_rates_outside_0_to_1_are_refused(rate):
    with pytest.raises(ValueError, match="guidance_rate"):
        sample(predict, noise(0), steps=2, schedule=SCHEDULE, guidance_rate=rate)


def test_the_noise_given_is_not_changed():
    z_T = noise(0)
    sample(predict, z_T, steps=2, schedule=SCHEDULE, first_frame=z_T[:, 1])
    assert torch.equal(z_T, noise(0))
