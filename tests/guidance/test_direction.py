"""Guidance moves the latents towards a higher score, and each gradient is taken where Algorithm 1 takes it.

These tests fail when a sign in Eq. 8 or 9 or in the classifier's loss is turned round, or when Eq. 9 looks at z_t.
"""

import pytest
import torch
from classifier_toys import toy_classifier

from paha.config import DiffusionConfig
from paha.guidance.classifier_gradient import ClassifierGradient, GuidanceOptions, make_guidance
from paha.guidance.equations import GuidedRegion, guided_latents
from paha.pce.regions import Region, face_mask, grow_box
from paha.presets import preset
from paha.sampling.schedule import Schedule
from paha.univdm.conditioning import Conditioning

DEBUG = preset("debug")
SCHEDULE = Schedule(DiffusionConfig())
BOX = torch.tensor([0.3, 0.1, 0.7, 0.5])
REGIONS = ("face", "non_face")


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """z_t, t and the audio of two clips of four frames."""
    audio = noise(1, 2, 4, 5, DEBUG.model.audio_layers, DEBUG.model.audio_dim)
    return noise(0, 2, 4, 4, 4, 4), torch.full((2, 4), 600), audio


def score(region: Region, z: torch.Tensor, t: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """s(z_t, a, t) of each clip, asked of the classifier itself: 1 is real and in sync."""
    mask = face_mask(grow_box(BOX[None]), height=4, width=4)
    shown = z * (mask if region == "face" else 1 - mask)
    return toy_classifier(region)(shown, SCHEDULE.time_input(t), audio).sigmoid()


@pytest.mark.parametrize("region", REGIONS)
def test_the_gradient_is_that_of_minus_log_s(region):
    """grad of -log s = -grad s / s, from the score itself."""
    z, t, audio = inputs()
    box = grow_box(BOX[None]).expand(2, -1)
    found = ClassifierGradient(toy_classifier(region), audio=audio, box=box, schedule=SCHEDULE)(z, t)
    own = z.clone().requires_grad_()
    s = score(region, own, t, audio)
    (of_s,) = torch.autograd.grad(s.sum(), own)
    torch.testing.assert_close(found, -of_s / s.detach()[:, None, None, None, None], atol=1e-6, rtol=1e-3)
    assert found.abs().max() > 1e-4


@pytest.mark.parametrize("kind", ["sg", "dg"])
@pytest.mark.parametrize("region", REGIONS)
def test_guidance_raises_the_score_of_every_clip(kind, region):
    z, t, audio = inputs()
    scales = {f"{name}_scale": 0.5 * (name == region) for name in REGIONS}
    factory = make_guidance(
        GuidanceOptions(kind=kind, **scales),
        {region: toy_classifier(region)},
        box=BOX,
        schedule=SCHEDULE,
        latent_size=(4, 4),
    )
    conditioning = Conditioning(None, torch.zeros(2, 4, 4, 4), torch.zeros(2, 1, 4), audio)
    guided = factory(conditioning)(z, t, lambda latents: latents)
    assert (score(region, guided, t, audio) > score(region, z, t, audio)).all()


def test_the_face_gradient_is_taken_at_the_non_face_result():
    """Eq. 9 at z_t^non_face, not at z_t, with a gradient that sees the whole frame."""
    z_t, t = noise(3, 2, 4, 3, 6, 6), torch.full((2, 4), 700)
    mask = torch.zeros(2, 1, 1, 6, 6)
    mask[..., 1:3, 2:5] = 1
    seen = []

    def whole_frame(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen.append(z)
        return z.mean(dim=(3, 4), keepdim=True).expand(z.shape)

    non_face = GuidedRegion(lambda z, t: torch.sin(z), 1 - mask, 0.8)
    guided = guided_latents(z_t, t, non_face=non_face, face=GuidedRegion(whole_frame, mask, 0.5), schedule=SCHEDULE)
    assert len(seen) == 1
    assert torch.equal(seen[0], guided.z_non_face)
    sigma = SCHEDULE.sigma(700)
    moved = 0.5 * sigma * guided.z_non_face.mean(dim=(3, 4), keepdim=True) * mask
    torch.testing.assert_close(guided.z_face, z_t - moved)
    assert not torch.allclose(guided.z_face, z_t - 0.5 * sigma * z_t.mean(dim=(3, 4), keepdim=True) * mask, atol=1e-3)
