"""The face box found again on the estimated clean latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from classifier_toys import toy_classifier
from toy import toy_audio, toy_image, toy_pipeline

from paha.config import DiffusionConfig
from paha.errors import PahaError
from paha.extractors.pose import PoseTrack, PresenterPose
from paha.guidance.classifier_gradient import GuidanceOptions, make_guidance
from paha.guidance.face_box import FaceBox
from paha.guidance.face_following import find_faces_like, following
from paha.pipeline.options import SampleOptions
from paha.sampling.ddim import estimated_z_0
from paha.sampling.sampler import sample
from paha.sampling.schedule import Schedule
from paha.types import Keypoints

SCHEDULE = Schedule(DiffusionConfig())
SHAPE = (2, 6, 3, 4, 4)
BOX = torch.tensor([[0.1, 0.1, 0.4, 0.4], [0.2, 0.2, 0.5, 0.5]])


def noise(seed, shape=SHAPE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def run(make, detect, *, every=1, steps=5, first=None):
    """Sample with a network that knows its clean latents, which depend on what it is shown; returns these by step."""
    believed = []

    def predict(z, t):
        z_0 = torch.tanh(z) + noise(3)
        believed.append(z_0)
        alpha, sigma = SCHEDULE.alpha(t)[..., None, None, None], SCHEDULE.sigma(t)[..., None, None, None]
        return (z - alpha * z_0) / sigma.clamp_min(1e-6)

    guidance = following(make, BOX, detect, schedule=SCHEDULE, every=every)
    options = {"steps": steps, "schedule": SCHEDULE, "prediction_type": "epsilon", "first_frame": first}
    sample(predict, noise(0), guidance=guidance, guidance_rate=1.0, **options)
    return believed


def nudged(box):
    """A guidance that moves the latents before its step, as the classifiers do."""
    return lambda z_t, t, solver_step: solver_step(z_t + 0.1 * noise(7))


@pytest.mark.parametrize("first", [None, noise(9, (2, 3, 4, 4))])
def test_the_detector_is_shown_what_the_step_before_took_to_be_clean(first):
    shown = []

    def detect(z_0):
        shown.append(z_0)
        return BOX

    believed = run(nudged, detect, first=first)
    seen = [0, 2, 3, 5] if first is None else [1, 2, 4, 5]
    assert len(shown) == len(believed) - 1 == 4
    for z_0, wanted in zip(shown, believed, strict=False):
        torch.testing.assert_close(z_0, wanted[:, seen], atol=1e-3, rtol=1e-3)


def test_two_noise_levels_of_one_clip_give_it_back():
    z_0, eps = noise(1).double(), noise(2).double()
    t, t_prev = torch.full((2, 6), 700), torch.full((2, 6), 660)
    z_t, z_prev = (SCHEDULE.add_noise(z_0, eps, at) for at in (t, t_prev))
    torch.testing.assert_close(estimated_z_0(z_t, z_prev, t, t_prev, SCHEDULE), z_0, atol=1e-5, rtol=1e-5)


def test_the_guidance_is_made_anew_for_the_boxes_found_and_a_lost_face_keeps_its_box():
    made = []

    def make(box):
        made.append(box)
        return nudged(box)

    moved = BOX.clone()
    moved[0] += 0.3
    moved[1] = float("nan")
    run(make, lambda z_0: moved, every=2)
    assert len(made) == 3  # at the start and in the steps 2 and 4 of 0 to 4
    assert torch.equal(made[0], BOX)
    assert torch.equal(made[1], torch.stack([moved[0], BOX[1]]))
    assert torch.equal(made[1], made[2])


def test_the_masks_follow_in_the_pipeline():
    """Faces found where the reference image's box is change nothing to the bit; elsewhere they do."""
    pipeline, classifier = toy_pipeline(), toy_classifier("face")
    box = torch.tensor([0.0, 0.0, 0.3, 0.3])

    def latents(found=None):
        options = GuidanceOptions(kind="sg", non_face_scale=0, face_scale=20.0, redetect=0 if found is None else 1)
        common = {"box": box, "schedule": pipeline.schedule, "latent_size": (4, 4)}
        detect = None if found is None else lambda conditioning, z_0: found[None]
        guidance = make_guidance(options, {"face": classifier}, detect=detect, **common)
        sampling = SampleOptions(guidance=guidance, guidance_rate=1.0)
        outputs = pipeline.stream(toy_image(), toy_audio(0.4), sampling, num_frames=7)
        return torch.stack([output.latents for output in outputs])

    assert torch.equal(latents(box), latents())
    assert not torch.equal(latents(torch.tensor([0.6, 0.6, 1.0, 1.0])), latents())


def test_options_that_do_not_fit_are_errors():
    with pytest.raises(PahaError, match="multiple of 2"):
        GuidanceOptions(kind="sg", reuse=2, redetect=3)
    options = GuidanceOptions(kind="sg", non_face_scale=0, redetect=1)
    with pytest.raises(PahaError, match="nothing was given that finds it"):
        make_guidance(options, {"face": toy_classifier()}, box=BOX[0], schedule=SCHEDULE, latent_size=(4, 4))


def test_a_face_that_the_reader_is_not_sure_of_is_none(monkeypatch, tmp_path):
    def detect(self, frames):
        scores = np.ones((3, 133), np.float32)
        scores[1] = 0.3
        boxes = np.array([[10, 5, 30, 25], [10, 5, 30, 25], [-9, -9, -2, -2]], np.float32)
        return PoseTrack(Keypoints(np.zeros((3, 133, 2), np.float32), scores), boxes, None)

    monkeypatch.setattr(PresenterPose, "load", classmethod(lambda cls, folder: object.__new__(cls)))
    monkeypatch.setattr(PresenterPose, "detect", detect)
    found = find_faces_like(FaceBox(np.zeros(4, np.float32), "hand"), tmp_path)(np.zeros((3, 40, 50, 3), np.uint8))
    np.testing.assert_allclose(found[0], [0.2, 0.125, 0.6, 0.625])
    assert np.isnan(found[1:]).all()


def test_a_face_of_another_size_is_not_believed():
    made = []

    def make(box):
        made.append(box)
        return nudged(box)

    small = BOX + torch.tensor([0.2, 0.2, 0.0, 0.0])
    run(make, lambda z_0: small)
    assert all(torch.equal(box, BOX) for box in made)
