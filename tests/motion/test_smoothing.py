"""The band limit on sampled motion, and joined segments."""

import pytest
import torch

from paha.motion.motion_codec import CHANNELS
from paha.motion.smoothing import SIGMAS, smooth_motion


def noise(frames: int = 64) -> torch.Tensor:
    return torch.randn(frames, len(CHANNELS), 8, 8, generator=torch.Generator().manual_seed(0))


def test_every_channel_has_its_blur():
    assert tuple(SIGMAS) == CHANNELS


def test_trembling_goes_and_slow_motion_stays():
    slow = torch.sin(torch.arange(64) / 15)[:, None, None, None].expand(64, len(CHANNELS), 8, 8)
    assert (smooth_motion(slow, given_first=False) - slow)[8:-8].abs().max() < 0.02
    trembling = smooth_motion(noise(), given_first=False)
    head = CHANNELS.index("yaw")
    assert trembling[:, head].diff(n=3, dim=0).std() < 0.05 * noise()[:, head].diff(n=3, dim=0).std()


def test_a_given_first_frame_is_kept_so_that_segments_join():
    z = noise()
    assert torch.equal(smooth_motion(z, given_first=True)[0], z[0])
    jump = (smooth_motion(z, given_first=True).diff(dim=0)[:2].abs().mean(), z.diff(dim=0)[:2].abs().mean())
    assert jump[0] < 0.6 * jump[1]


def test_a_segment_that_begins_elsewhere_is_joined_without_a_jump():
    """Arms take ten frames from where the segment before ended, lips one or two."""
    z = torch.ones(32, len(CHANNELS), 8, 8)
    z[0] = 0
    joined = smooth_motion(z, given_first=True)[:, :, 0, 0]
    arm, lips = joined[:, CHANNELS.index("shift_x")], joined[:, CHANNELS.index("mouth_open")]
    assert arm[0] == 0
    assert arm[31] == pytest.approx(1, abs=1e-3)
    assert arm.diff().abs().max() < 0.1  # a blurred step has 0.2
    assert lips[3] > 0.95


def test_strength_zero_changes_nothing():
    z = noise()
    assert smooth_motion(z, given_first=True, strength=0) is z


def test_a_still_segment_stays_still():
    z = noise(1).repeat(10, 1, 1, 1)
    assert smooth_motion(z, given_first=False) == pytest.approx(z, abs=1e-5)
