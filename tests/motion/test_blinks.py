"""Blinks drawn for a video, and in sampled latents."""

import numpy as np
import pytest
import torch
from people import gentle_motion, person

from paha.motion.blinks import drawn_blinks, with_blinks
from paha.motion.motion_codec import CHANNELS, MotionCodec

GRID = MotionCodec().grid(person())
Z = GRID.paint(gentle_motion())
SEGMENT_STARTS = range(0, 15_000, 31)


@pytest.fixture(scope="module")
def lids() -> np.ndarray:
    """Ten minutes."""
    return drawn_blinks(15_000, seed=3, open_at=[*SEGMENT_STARTS, 14_999])


def starts(lids: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff((lids > 0.5).astype(int), prepend=0) == 1)


def test_people_blink_as_often_as_people_do_and_close_their_eyes(lids):
    assert 12 <= len(starts(lids)) / 10 <= 22
    peaks = [lids[at : at + 4].max() for at in starts(lids)]
    assert min(peaks) > 0.99
    assert (lids > 0).mean() < 0.12


def test_eyes_are_open_where_segments_meet_whatever_the_chance(lids):
    assert not lids[[*SEGMENT_STARTS, 14_999]].any()
    free = drawn_blinks(15_000, seed=3)
    assert free[list(SEGMENT_STARTS)].any()
    assert len(starts(free)) == pytest.approx(len(starts(lids)), abs=3)  # moved, not left out
    for length in (1, 2, 5):
        assert not drawn_blinks(length, seed=0, open_at=[0, length - 1])[[0, -1]].any()


def test_chance_is_the_seeds():
    assert np.array_equal(drawn_blinks(500, seed=7), drawn_blinks(500, seed=7))
    assert not np.array_equal(drawn_blinks(500, seed=7), drawn_blinks(500, seed=-7))


def test_eyes_close_by_the_share_that_is_drawn_and_nothing_else_moves():
    closed = np.zeros(len(Z), np.float32)
    closed[10:13] = 0.5, 1, 0.25
    blinking, state = with_blinks(Z, closed, GRID), GRID.geometry.state.lids[0]
    own, made = (state + GRID.read(z).lids for z in (Z, blinking))
    assert made == pytest.approx(own + closed[:, None] * (1 - own), abs=2e-3)
    assert made[11] == pytest.approx(1, abs=2e-3)
    others = [c for c in range(len(CHANNELS)) if CHANNELS[c] != "lids"]
    assert torch.equal(blinking[:, others], Z[:, others])
    kept = closed == 0
    assert torch.equal(blinking[kept], Z[kept])


def test_without_a_blink_it_is_the_sample_itself():
    assert with_blinks(Z, np.zeros(len(Z), np.float32), GRID) is Z
