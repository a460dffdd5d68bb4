"""The classifiers' gradients that guidance follows, and their faster forms."""

from typing import Any

import numpy as np
import pytest
import torch
from classifier_toys import toy_classifier
from toy import toy_audio, toy_image, toy_pipeline

from paha.errors import PahaError
from paha.guidance.classifier_gradient import ClassifierGradient, GuidanceKind, GuidanceOptions, make_guidance
from paha.pce.regions import Region, face_mask, grow_box
from paha.pipeline.options import SampleOptions
from paha.presets import preset
from paha.sampling.schedule import Schedule

DEBUG = preset("debug")
SCHEDULE = Schedule(DEBUG.diffusion)
BOX = torch.tensor([0.3, 0.1, 0.7, 0.5])
IMAGE, AUDIO = toy_image(), toy_audio(0.4)


def inputs(clips=2):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(clips, 4, 4, 4, 4, generator=generator)
    audio = torch.randn(clips, 4, 5, DEBUG.model.audio_layers, DEBUG.model.audio_dim, generator=generator)
    return z, torch.full((clips, 4), 600), audio


def gradient_of(region, *, clips=2, audio=None, **changes):
    box = grow_box(BOX[None]).expand(clips, -1)
    audio = inputs(clips)[2] if audio is None else audio
    return ClassifierGradient(toy_classifier(region, **changes), audio=audio, box=box, schedule=SCHEDULE)


@pytest.mark.parametrize("region", ["face", "non_face"])
@pytest.mark.parametrize("crop", [0, 4])
def test_the_gradient_agrees_with_finite_differences(region, crop):
    gradient = gradient_of(region, face_crop=crop)
    gradient.classifier.double()
    gradient.audio = gradient.audio.double()
    z, t, _ = inputs()
    z = z.double()
    found = gradient(z, t)
    generator = torch.Generator().manual_seed(4)
    for _ in range(3):
        direction = torch.randn(z.shape, generator=generator, dtype=torch.float64)
        step = 1e-6
        difference = (gradient.loss(z + step * direction, t) - gradient.loss(z - step * direction, t)) / (2 * step)
        assert float((found * direction).sum()) == pytest.approx(float(difference), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("region", ["face", "non_face"])
def test_the_gradient_is_exactly_zero_outside_its_region(region):
    z, t, _ = inputs()
    gradient = gradient_of(region)(z, t)
    face = face_mask(grow_box(BOX[None]), height=4, width=4).expand(z.shape) == 1
    inside = face if region == "face" else ~face
    assert (gradient[~inside] == 0).all()
    assert (gradient[inside] != 0).any()


def test_a_classifier_that_was_shown_less_around_the_face_leaves_that_alone():
    z, t, _ = inputs()
    gradient = gradient_of("non_face", widen=1.5)(z, t)
    hidden = face_mask(grow_box(BOX[None], 1.3 * 1.5), height=4, width=4).expand(z.shape) == 1
    assert (gradient[hidden] == 0).all()
    assert (gradient[~hidden] != 0).any()


def test_the_gradient_does_not_depend_on_the_batch_size():
    z, t, audio = inputs()
    both = gradient_of("non_face", audio=audio)(z, t)
    for b in range(2):
        alone = gradient_of("non_face", clips=1, audio=audio[b : b + 1])(z[b : b + 1], t[b : b + 1])
        torch.testing.assert_close(both[b : b + 1], alone, atol=1e-6, rtol=1e-3)


def test_small_steps_along_it_raise_the_score_and_weights_get_no_gradients():
    z, t, _ = inputs()
    gradient = gradient_of("face")
    found = gradient(z, t)
    assert gradient.loss(z - 0.01 * found / found.norm(), t) < gradient.loss(z, t)
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in gradient.classifier.parameters())


def latents(pipeline, guidance=None, *, num_frames=7, **options):
    """Of two segments."""
    options = SampleOptions(guidance=guidance, **options)
    return torch.stack([o.latents for o in pipeline.stream(IMAGE, AUDIO, options, num_frames=num_frames)])


def factory(kind: GuidanceKind = "sg", observe=None, **changes):
    options = GuidanceOptions(kind=kind, **changes)
    classifiers: dict[Region, Any] = {region: toy_classifier(region) for region in options.regions}
    return make_guidance(options, classifiers, box=BOX, schedule=SCHEDULE, latent_size=(4, 4), observe=observe)


@pytest.fixture(scope="module")
def pipeline():
    return toy_pipeline()


@pytest.mark.parametrize("kind", ["sg", "dg"])
def test_a_guided_video_differs_and_scales_of_0_do_not(pipeline, kind):
    plain = latents(pipeline)
    assert torch.equal(latents(pipeline, factory(kind, non_face_scale=0, face_scale=0)), plain)
    assert torch.equal(latents(pipeline, factory(kind), guidance_rate=0), plain)
    told = []
    guided = latents(pipeline, factory(kind, non_face_scale=20.0, face_scale=20.0, observe=told.append))
    assert not torch.equal(guided, plain)
    assert len(told) == 2 * len(plain)  # 2 of 3 steps in each segment
    assert all(s.face_ratio > 0 and s.non_face_ratio > 0 for s in told)


def test_dg_with_lambda_diff_0_equals_sg_bit_for_bit(pipeline):
    assert torch.equal(latents(pipeline, factory("dg", diff_scale=0)), latents(pipeline, factory("sg")))


def test_batching_changes_nothing_but_rounding_and_reuse_does(pipeline):
    plain = latents(pipeline, factory("dg"))
    torch.testing.assert_close(latents(pipeline, factory("dg", batched=False)), plain, atol=1e-3, rtol=1e-3)
    options = {"num_frames": 4, "guidance_rate": 1.0}
    every, second = (latents(pipeline, factory("sg", reuse=k, non_face_scale=50.0), **options) for k in (1, 2))
    assert not torch.equal(every, second)


def test_shared_deep_features_change_dg_a_little(pipeline):
    """On this toy, far less than the guidance itself does; Sequential Guidance has no copies to share among."""
    scales = {"non_face_scale": 20.0, "face_scale": 20.0, "diff_scale": 1.0}
    full, shared = (latents(pipeline, factory("dg", share_deep=share, **scales)) for share in (False, True))
    assert not torch.equal(full, shared)
    sequential = latents(pipeline, factory("sg", **scales))
    assert (shared - full).norm() < (full - sequential).norm()
    assert torch.equal(latents(pipeline, factory("sg", share_deep=True, **scales)), sequential)


def test_one_region_alone_needs_only_its_classifier():
    assert GuidanceOptions(kind="sg", face_scale=0).regions == ("non_face",)
    assert GuidanceOptions(kind="none").regions == ()
    assert not GuidanceOptions(kind="sg", rate=0).active
    options = GuidanceOptions(kind="dg")
    with pytest.raises(PahaError, match="face region needs its classifier"):
        make_guidance(options, {"non_face": toy_classifier("non_face")}, box=BOX, schedule=SCHEDULE, latent_size=(4, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "cfg"}, "none, sg or dg"),
        ({"rate": 1.5}, "0 to 1"),
        ({"dg_form": "other"}, "compensate"),
        ({"face_scale": np.inf}, "face_scale is not finite"),
        ({"reuse": 0}, "at least 1"),
    ],
)
def test_bad_options_are_refused(changes, message):
    with pytest.raises(PahaError, match=message):
        GuidanceOptions(**changes)
