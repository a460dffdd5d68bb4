"""Identities of Sequential and Differential Guidance (design section 4), on functions that can be worked out."""

from functools import partial
from typing import Any

import pytest
import torch

from paha.config import DiffusionConfig
from paha.guidance.equations import (
    DIFF_FORMS,
    GuidedRegion,
    blur_matrix,
    differential_guidance,
    differential_step,
    guided_latents,
    reused_gradient,
    sequential_guidance,
    smoothed_gradient,
)
from paha.sampling.sampler import sample
from paha.sampling.schedule import Schedule, broadcast_like

SHAPE = (2, 4, 3, 6, 6)
SCHEDULE = Schedule(DiffusionConfig())
FACE = torch.zeros(2, 1, 1, 6, 6)
FACE[..., 1:3, 2:5] = 1
ALL = torch.ones_like(FACE)


def noise(seed: int, shape=SHAPE) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def predict(z, t):
    """A network whose regions talk to each other, as a U-Net's do."""
    time = SCHEDULE.time_input(t)[..., None, None, None]
    return torch.tanh(z + time) + 0.3 * z.mean(dim=(1, 3, 4), keepdim=True)


def region(mask, scale, seed=0):
    """A gradient that depends on the latents it is shown."""
    direction = noise(100 + seed)
    return GuidedRegion(lambda z, t: torch.sin(z) + direction * t[..., None, None, None] / 1000, mask, scale)


def regions(non_face_scale: float = 0.8, face_scale: float = 0.5) -> dict[str, Any]:
    return {"non_face": region(1 - FACE, non_face_scale, 1), "face": region(FACE, face_scale, 2)}


def run(guidance=None, *, rate=0.5, steps=6, **options):
    arguments: dict[str, Any] = {"steps": steps, "schedule": SCHEDULE, "guidance_rate": rate}
    return sample(predict, noise(0), guidance=guidance, **arguments, **options)


MAKERS: dict[str, Any] = {"sg": sequential_guidance} | {
    form: partial(differential_guidance, form=form) for form in DIFF_FORMS
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("batched", [True, False])
def test_scale_0_and_rate_0_equal_plain_ddim_bit_for_bit(kind, batched):
    make = MAKERS[kind]
    options = {} if kind == "sg" else {"batched": batched}
    plain = run()
    assert torch.equal(run(make(**regions(0, 0), schedule=SCHEDULE, **options)), plain)
    assert torch.equal(run(make(**regions(), schedule=SCHEDULE, **options), rate=0), plain)
    assert not torch.equal(run(make(**regions(), schedule=SCHEDULE, **options)), plain)


@pytest.mark.parametrize("form", DIFF_FORMS)
def test_lambda_diff_0_equals_sequential_guidance_bit_for_bit(form):
    sequential = run(sequential_guidance(**regions(), schedule=SCHEDULE))
    differential = run(differential_guidance(**regions(), schedule=SCHEDULE, diff_scale=0, form=form))
    assert torch.equal(differential, sequential)


def test_equation_10_equals_applying_both_updates():
    z_t, t = noise(3), torch.full(SHAPE[:2], 700)
    own = regions()
    guided = guided_latents(z_t, t, **own, schedule=SCHEDULE)
    sigma = broadcast_like(SCHEDULE.sigma(t), z_t)
    non_face = 0.8 * sigma * own["non_face"].gradient(z_t, t) * (1 - FACE)
    face = 0.5 * sigma * own["face"].gradient(z_t - non_face, t) * FACE
    torch.testing.assert_close(guided.z_non_face, z_t - non_face)
    torch.testing.assert_close(guided.z_face, z_t - face)
    torch.testing.assert_close(guided.z_star, z_t - non_face - face)
    torch.testing.assert_close(guided.z_star, guided.z_face + guided.z_non_face - z_t)


def test_each_update_stays_inside_its_mask_to_the_bit():
    z_t, t = noise(3), torch.full(SHAPE[:2], 700)
    guided = guided_latents(z_t, t, **regions(), schedule=SCHEDULE)
    outside_face = (FACE == 0).expand(SHAPE)
    assert torch.equal(guided.z_face[outside_face], z_t[outside_face])
    assert torch.equal(guided.z_non_face[~outside_face], z_t[~outside_face])
    assert torch.equal(guided.z_star[outside_face], guided.z_non_face[outside_face])


def test_a_step_along_minus_the_gradient_raises_the_score():
    target = noise(9)
    loss = lambda z: (z - target).square().sum()  # noqa: E731
    one = GuidedRegion(lambda z, t: 2 * (z - target), ALL, 0.01)
    off = GuidedRegion(one.gradient, ALL, 0.0)
    z_t, t = noise(3), torch.full(SHAPE[:2], 700)
    guided = guided_latents(z_t, t, non_face=off, face=one, schedule=SCHEDULE)
    assert loss(guided.z_star) < loss(z_t)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_given_first_frame_is_never_changed(kind):
    first = noise(5, SHAPE[:1] + SHAPE[2:])
    slots = []
    own = regions()

    def spied(z, t):
        slots.append(z[:, 0])
        return torch.ones_like(z)

    own["face"] = GuidedRegion(spied, FACE, 0.5)
    z = run(MAKERS[kind](**own, schedule=SCHEDULE), first_frame=first)
    assert torch.equal(z[:, 0], first)
    assert all(torch.equal(slot, first) for slot in slots)
    assert len(slots) == 3


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 0), (0.25, 8), (0.5, 15), (0.75, 23), (1.0, 30)])
def test_exactly_the_leading_share_of_30_steps_is_guided(rate, expected):
    seen = []
    own = regions()
    own["face"] = GuidedRegion(lambda z, t: seen.append(int(t.max())) or torch.zeros_like(z), FACE, 1.0)
    run(sequential_guidance(**own, schedule=SCHEDULE), rate=rate, steps=30)
    assert len(seen) == expected
    assert seen == sorted(seen, reverse=True)
    if expected:
        assert seen[0] == 999
    if rate == 0.5:
        assert seen[-1] == 532  # "t = 999 to 530": the lower half is left to the model alone


@pytest.mark.parametrize("kind", MAKERS)
def test_skip_first_leaves_step_0_alone(kind):
    seen = []
    own = regions()
    own["face"] = GuidedRegion(lambda z, t: seen.append(int(t.max())) or torch.zeros_like(z), FACE, 1.0)
    run(MAKERS[kind](**own, schedule=SCHEDULE, skip_first=True), steps=30)
    assert len(seen) == 14
    assert 999 not in seen


def test_solver_steps_are_one_for_sg_and_three_for_dg():
    counts = {}
    for name, guidance in {
        "sg": sequential_guidance(**regions(), schedule=SCHEDULE),
        "dg": differential_guidance(**regions(), schedule=SCHEDULE, batched=False),
        "dg batched": differential_guidance(**regions(), schedule=SCHEDULE),
        "dg, one region": differential_guidance(**regions(face_scale=0), schedule=SCHEDULE, batched=False),
    }.items():
        calls = []
        counted = lambda z, t, calls=calls: calls.append(len(z)) or predict(z, t)  # noqa: E731
        sample(counted, noise(0), steps=4, schedule=SCHEDULE, guidance=guidance, guidance_rate=0.5)
        counts[name] = calls
    assert counts["sg"] == [2] * 4
    assert counts["dg"] == [2] * 3 + [2] * 3 + [2] * 2
    assert counts["dg batched"] == [6, 6, 2, 2]
    assert counts["dg, one region"] == [2] * 2 + [2] * 2 + [2] * 2


@pytest.mark.parametrize("first_frame", [False, True])
def test_batched_solver_steps_equal_separate_ones(first_frame):
    options = {"first_frame": noise(5, SHAPE[:1] + SHAPE[2:]), "first_frame_timestep": 20} if first_frame else {}
    batched = run(differential_guidance(**regions(), schedule=SCHEDULE), **options)
    separate = run(differential_guidance(**regions(), schedule=SCHEDULE, batched=False), **options)
    torch.testing.assert_close(batched, separate, atol=1e-5, rtol=1e-5)


def linear_steps(seed=0):
    """A linear solver that mixes all positions, and z_t with two updates."""
    generator = torch.Generator().manual_seed(seed)
    size = SHAPE[2] * SHAPE[3] * SHAPE[4]
    matrix = (
        torch.eye(size, dtype=torch.float64)
        + 0.3 * torch.randn(size, size, generator=generator, dtype=torch.float64) / size**0.5
    )
    z_t = noise(1).double()
    non_face, face = noise(2).double() * (1 - FACE), noise(3).double() * FACE
    f = lambda z: (z.flatten(2) @ matrix.T).view(SHAPE)  # noqa: E731
    return f, z_t, non_face, face


@pytest.mark.parametrize("diff_scale", [0.0, 0.25, 1.0])
def test_for_a_linear_solver_dg_scales_the_leak_and_keeps_own_effects(diff_scale):
    f, z_t, non_face, face = linear_steps()
    masks = {"face_mask": FACE.double(), "non_face_mask": 1 - FACE.double()}
    step = lambda a, b: differential_step(  # noqa: E731
        f(z_t + a + b), f(z_t + a), f(z_t + b), **masks, diff_scale=diff_scale, form="compensate"
    )
    result = step(non_face, face) - f(z_t)
    own = (f(z_t + face) - f(z_t)) * FACE + (f(z_t + non_face) - f(z_t)) * (1 - FACE)
    leak = (f(z_t + non_face) - f(z_t)) * FACE + (f(z_t + face) - f(z_t)) * (1 - FACE)
    torch.testing.assert_close(result, own + (1 - diff_scale) * leak, atol=1e-10, rtol=1e-10)
    assert leak.norm() > 0.1


def test_the_printed_forms_grow_and_leak_and_compensate_does_not():
    """Growth of a latent and share of the leak over one step of a linear solver: what design row 14 says."""
    f, z_t, non_face, face = linear_steps()
    masks = {"face_mask": FACE.double(), "non_face_mask": 1 - FACE.double()}
    own = (f(z_t + face) - f(z_t)) * FACE + (f(z_t + non_face) - f(z_t)) * (1 - FACE)
    leak = (f(z_t + non_face) - f(z_t)) * FACE + (f(z_t + face) - f(z_t)) * (1 - FACE)
    measured = {}
    for form in DIFF_FORMS:
        result = differential_step(
            f(z_t + non_face + face), f(z_t + non_face), f(z_t + face), **masks, diff_scale=0.25, form=form
        )
        still = differential_step(f(z_t), f(z_t), f(z_t), **masks, diff_scale=0.25, form=form)
        effect = result - still
        basis = torch.stack([own.flatten(), leak.flatten()], 1)
        own_part, leak_part = torch.linalg.lstsq(basis, effect.flatten()[:, None]).solution[:, 0].tolist()
        measured[form] = (float(still.norm() / f(z_t).norm()), own_part, leak_part)
    expected = {
        "compensate": (1.0, 1.0, 0.75),
        "literal": (1.25, 1.0, 1.25),
        "normalised": (1.0, 0.8, 1.0),
        "printed_convex": (1.0, 0.75, 1.0),
    }
    for form, values in expected.items():
        assert measured[form] == pytest.approx(values, abs=1e-9), form


def test_a_blurred_gradient_still_raises_the_score_and_does_not_tremble():
    found = torch.randn(2, 9, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found[..., :2] = 0  # outside the mask
    blurred = smoothed_gradient(lambda z, t: found, 1.5)(found, found)
    assert float((blurred * found).sum()) > 0
    assert (blurred[..., :2] == 0).all()
    torch.testing.assert_close(blurred.mean(1), found.mean(1), atol=1e-5, rtol=1e-4)
    assert blurred.diff(dim=1).square().mean() < 0.05 * found.diff(dim=1).square().mean()
    steady = torch.ones(1, 9, 1, 1, 1)
    torch.testing.assert_close(smoothed_gradient(lambda z, t: steady, 4.0)(steady, steady), steady)
    plain = lambda z, t: found  # noqa: E731
    assert smoothed_gradient(plain, 0.0) is plain


@pytest.mark.parametrize(("length", "sigma"), [(32, 2.0), (4, 30.0), (4, 1e9), (7, 0.5), (1, 1.0)])
def test_the_blur_is_symmetric_positive_and_keeps_the_mean(length, sigma):
    blur = blur_matrix(length, sigma).double()
    torch.testing.assert_close(blur, blur.T, atol=1e-6, rtol=0)
    torch.testing.assert_close(blur.sum(1), torch.ones(length).double(), atol=1e-5, rtol=0)
    assert torch.linalg.eigvalsh(blur).min() > -1e-6


def test_reuse_computes_gradients_and_differences_every_so_many_steps():
    calls = []
    counted = lambda z, t: calls.append(int(t.max())) or torch.sin(z)  # noqa: E731
    gradient = reused_gradient(counted, 3)
    own: dict[str, Any] = {"non_face": region(1 - FACE, 0.5), "face": GuidedRegion(gradient, FACE, 0.5)}
    sizes = []
    spied = lambda z, t: sizes.append(len(z)) or predict(z, t)  # noqa: E731
    guidance = differential_guidance(**own, schedule=SCHEDULE, reuse=3)
    sample(spied, noise(0), steps=6, schedule=SCHEDULE, guidance=guidance, guidance_rate=1.0)
    assert calls == [999, 499]
    assert sizes == [6, 2, 2, 6, 2, 2]
    assert reused_gradient(counted, 1) is counted


def test_statistics_tell_the_size_of_each_update():
    told = []
    z_t, t = noise(3), torch.full(SHAPE[:2], 700)
    own: dict[str, Any] = {
        "non_face": GuidedRegion(lambda z, t: z_t, 1 - FACE, 0.5),
        "face": GuidedRegion(lambda z, t: z_t, FACE, 0.0),
    }
    sequential_guidance(**own, schedule=SCHEDULE, observe=told.append)(z_t, t, lambda z: z)
    assert told[0].t == 700
    assert told[0].non_face_ratio == pytest.approx(0.5 * float(SCHEDULE.sigma(700)), rel=1e-4)
    assert told[0].face_ratio == 0


def test_unknown_forms_are_refused():
    with pytest.raises(ValueError, match="compensate, literal"):
        differential_guidance(**regions(), schedule=SCHEDULE, form="other")  # pyright: ignore[reportArgumentType]
