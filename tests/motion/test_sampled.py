"""What belongs to sampling of motion latents beside the solver; pixels' latents pass as they are."""

import torch

from paha.motion.motion_codec import CHANNELS, shaped_noise
from paha.motion.sampled import band_limited, initial_noise
from paha.motion.smoothing import smooth_motion
from paha.presets import preset


def test_latents_of_pixels_pass_as_they_are():
    z = torch.randn(2, 6, 4, 8, 8)
    for name in ("debug", "paper"):
        assert initial_noise(z, preset(name)) is z
        assert band_limited(z, preset(name), given_first=True) is z


def test_motion_begins_with_the_presets_noise_and_ends_with_its_band_limit():
    z, presenter = torch.randn(2, 32, len(CHANNELS), 8, 8), preset("presenter")
    own = presenter.sample
    assert torch.equal(initial_noise(z, presenter), shaped_noise(z, lips=own.lip_noise, shifts=own.shift_noise))
    assert not torch.equal(initial_noise(z, presenter), z)
    limited = band_limited(z, presenter, given_first=True)
    assert torch.equal(limited[1], smooth_motion(z[1], given_first=True, strength=own.motion_smoothing))
    assert torch.equal(limited[:, 0], z[:, 0])
