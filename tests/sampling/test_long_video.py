"""Long videos in segments (B.4.1)."""

import itertools

import pytest
import torch

from paha.errors import PahaError
from paha.sampling.long_video import chain_segments, plan_segments, segment_noise, segment_seed
from paha.univdm.audio_window import audio_windows


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 5, 7, 8, 100])
@pytest.mark.parametrize("length", [2, 4, 16])
def test_every_frame_is_emitted_once_in_order(num_frames, length):
    segments = plan_segments(num_frames, length)
    emitted = [s.start + i for s in segments for i in range(s.emitted.start, s.emitted.stop)]
    assert emitted == list(range(num_frames))
    assert sum(s.num_emitted for s in segments) == num_frames
    assert [s.index for s in segments] == list(range(len(segments)))
    assert all(s.length == length and s.num_emitted > 0 for s in segments)
    # The first frame of each later segment is the last of the one before.
    assert all(b.start == a.start + length - 1 for a, b in itertools.pairwise(segments))


def test_segments_of_one_frame_cannot_be_chained():
    assert len(plan_segments(1, 1)) == 1
    with pytest.raises(PahaError, match="at least 2 frames"):
        plan_segments(2, 1)


def test_segment_zero_has_the_plain_samplers_noise():
    plain = torch.randn(1, 4, 3, 2, 2, generator=torch.Generator().manual_seed(7))
    assert torch.equal(segment_noise((1, 4, 3, 2, 2), seed=7, index=0), plain)


def test_segments_have_noise_of_their_own_and_the_same_every_time():
    seeds = {segment_seed(seed, index) for seed in (0, 1) for index in range(50)}
    assert len(seeds) == 100
    assert torch.equal(segment_noise((3,), seed=1, index=5), segment_noise((3,), seed=1, index=5))
    # Pinned: the numbers are part of what `--resume` and a published seed promise.
    assert segment_seed(0, 1) == 3373202220108974583


def test_audio_windows_of_segments_are_those_of_the_whole_video():
    features = torch.randn(11, 2, 3)
    whole = audio_windows(features, 2)
    for segment in plan_segments(11, 4):
        windows = audio_windows(features, 2, segment.frames)
        assert windows.shape == (4, 5, 2, 3)
        inside = min(4, 11 - segment.start)
        assert torch.equal(windows[:inside], whole[segment.start : segment.start + inside])
        assert torch.equal(windows[inside:], whole[-1:].expand(4 - inside, -1, -1, -1))


def test_each_segment_starts_from_the_last_latent_of_the_one_before():
    given = []

    def sample_segment(segment, first):
        given.append(None if first is None else float(first[0, 0, 0]))
        return torch.arange(4.0)[:, None, None, None] + 10 * segment.index

    segments = plan_segments(9, 4)
    done = list(chain_segments(sample_segment, segments))
    assert given == [None, 3.0, 13.0]
    assert [segment for segment, _ in done] == segments
    given.clear()
    list(chain_segments(sample_segment, segments[2:], first_latent=done[1][1][-1]))
    assert given == [13.0]
