"""Classifier-free guidance on the audio: away from the prediction without it, towards the one with it."""

import pytest
import torch
from toy import toy_audio, toy_image, toy_pipeline

from paha.config import override
from paha.pipeline.options import SampleOptions
from paha.presets import preset

IMAGE, AUDIO = toy_image(), toy_audio(0.4)


def latents(pipeline, scale: float, *, steps: int = 1) -> torch.Tensor:
    (output,) = pipeline.stream(IMAGE, AUDIO, SampleOptions(steps=steps, cfg_scale=scale), num_frames=4)
    return output.latents


@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon"])
def test_one_step_moves_along_what_the_audio_adds(prediction_type):
    """A solver step is linear in the prediction: z(s) = z(0) + s (z(1) - z(0)), with scale 0 deaf and 1 plain."""
    pipeline = toy_pipeline(override(preset("debug"), {"diffusion.prediction_type": prediction_type}))
    deaf, plain = latents(pipeline, 0.0), latents(pipeline, 1.0)
    added = plain - deaf
    assert added.norm() > 1e-2 * plain.norm()
    for scale in (0.5, 3.0):
        torch.testing.assert_close(latents(pipeline, scale) - deaf, scale * added, atol=1e-3, rtol=1e-3)


def test_scale_one_is_the_plain_prediction_and_nearby_scales_are_near_it():
    """The formula is passed by at scale 1: it must lead there from both sides."""
    pipeline = toy_pipeline()
    plain = latents(pipeline, 1.0, steps=3)
    below, above = (latents(pipeline, scale, steps=3) for scale in (1 - 1e-3, 1 + 1e-3))
    far = (latents(pipeline, 0.0, steps=3) - plain).norm()
    assert (below - plain).norm() < 0.01 * far
    assert (above - plain).norm() < 0.01 * far


def test_skip_first_guides_every_step_but_the_one_from_pure_noise():
    """One step is then unguided whatever the scale; of two, the second is guided, from where the first one led."""
    pipeline = toy_pipeline(override(preset("debug"), {"sample.cfg_skip_first": True}))
    guided_first = toy_pipeline()
    assert torch.equal(latents(pipeline, 3.0), latents(pipeline, 1.0))
    assert not torch.equal(latents(guided_first, 3.0), latents(guided_first, 1.0))
    plain, guided, all_guided = (
        latents(*each, steps=2) for each in ((pipeline, 1.0), (pipeline, 3.0), (guided_first, 3.0))
    )
    assert not torch.equal(guided, plain)
    assert not torch.equal(guided, all_guided)
