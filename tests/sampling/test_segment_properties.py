"""Segment plans of every length: each frame once, in order, and any segment can be sampled again alone."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from paha.sampling.long_video import chain_segments, plan_segments, segment_noise, segment_seed

FRAMES, LENGTHS = st.integers(1, 5000), st.integers(2, 200)


@given(FRAMES, LENGTHS)
def test_every_frame_is_emitted_once_and_no_segment_is_idle(num_frames, length):
    segments = plan_segments(num_frames, length)
    emitted = [s.start + i for s in segments for i in range(s.emitted.start, s.emitted.stop)]
    assert emitted == list(range(num_frames))
    assert [s.index for s in segments] == list(range(len(segments)))
    assert all(s.length == length and 0 < s.num_emitted <= length for s in segments)
    assert all(b.start == a.start + length - 1 for a, b in itertools.pairwise(segments))
    # No fewer segments could do: all but the last are used to their end.
    assert all(s.emitted.stop == length for s in segments[:-1])


@given(FRAMES, st.integers(1, 200), LENGTHS)
def test_a_longer_video_begins_with_the_same_segments(num_frames, more, length):
    """So that a preview and the whole video agree where both last."""
    short, long = plan_segments(num_frames, length), plan_segments(num_frames + more, length)
    assert short[:-1] == long[: len(short) - 1]
    assert short[-1].start == long[len(short) - 1].start


@given(st.integers(1, 60), st.integers(2, 12), st.data())
def test_sampling_from_any_segment_on_gives_the_same_frames(num_frames, length, data):
    """Each segment is given the last latent of the one before, here their sum of all that went before it."""

    def sample_segment(segment, first):
        start = torch.zeros(1, 1, 1) if first is None else first
        steps = torch.full((segment.length, 1, 1, 1), 1.0 + segment.index)
        steps[0] = start
        return steps.cumsum(0)

    segments = plan_segments(num_frames, length)
    whole = list(chain_segments(sample_segment, segments))
    at = data.draw(st.integers(0, len(segments) - 1))
    first = whole[at - 1][1][-1] if at else None
    again = list(chain_segments(sample_segment, segments[at:], first_latent=first))
    assert [segment for segment, _ in again] == segments[at:]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(again, whole[at:], strict=True))


@given(st.integers(0, 2**62), st.integers(0, 10_000), st.integers(0, 10_000))
def test_seeds_of_segments_are_their_own_and_torchs(seed, i, j):
    a, b = segment_seed(seed, i), segment_seed(seed, j)
    assert (a == b) == (i == j)
    assert 0 <= a < 2**63
    assert torch.equal(segment_noise((3,), seed=seed, index=i), segment_noise((3,), seed=seed, index=i))
