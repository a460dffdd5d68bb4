"""Beats of motion and sound (BAS)."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import numpy as np
import pytest

from paha.evaluation.metrics.beats import (
    SIGMA_S,
    bas,
    bas_legacy,
    beat_alignment,
    gesture_speed,
    motion_beats_s,
    speed_minima,
)
from paha.evaluation.metrics.keypoints import fill_unseen, resample
from paha.evaluation.metrics.onsets import HOP, onset_frames, onsets_s
from paha.media.audio_io import read_audio, to_mono_16k
from paha.types import RIGHT_HAND, Keypoints

RATE = 16_000


def clicks(times_s, seconds=4.0):
    """Short bursts of noise at the given times."""
    mono = np.zeros(int(seconds * RATE), np.float32)
    burst = np.random.default_rng(0).normal(size=800).astype(np.float32) * np.hanning(1600)[800:]
    for t in times_s:
        at = int(t * RATE)
        mono[at : at + 800] += burst[: len(mono) - at]
    return mono


def hand_that_stops(times_s, *, fps=25.0, seconds=4.0):
    """Keypoints whose right hand has its least speed at the given times."""
    t = (np.arange(int(seconds * fps) - 1) + 0.5) / fps
    speed = np.full(len(t), 10.0)
    for stop in times_s:
        speed -= 9 * np.exp(-np.square((t - stop) / 0.06) / 2)
    points = np.zeros((len(t) + 1, 133, 2), np.float32)
    points[1:, RIGHT_HAND, 0] = np.cumsum(speed)[:, None]
    scores = np.zeros((len(t) + 1, 133), np.float32)
    scores[:, RIGHT_HAND] = 1
    return Keypoints(points, scores)


def test_perfect_beats_score_one_and_a_shift_of_sigma_exp_minus_half():
    beats = np.array([0.5, 1.2, 2.4, 3.1])
    assert beat_alignment(beats, beats) == 1
    assert beat_alignment(beats, beats + SIGMA_S) == pytest.approx(np.exp(-0.5))
    assert beat_alignment(beats, beats - 2 * 0.05, sigma_s=0.05) == pytest.approx(np.exp(-2))
    assert beat_alignment(beats, np.append(beats, 2.0)) == 1


def test_no_motion_scores_zero_and_no_speech_is_refused():
    assert beat_alignment(np.array([1.0]), np.zeros(0)) == 0
    with pytest.raises(ValueError, match="no audio beat"):
        beat_alignment(np.zeros(0), np.array([1.0]))


def test_motion_beats_are_where_the_hand_stops():
    stops = [0.7, 1.5, 2.6, 3.3]
    np.testing.assert_allclose(motion_beats_s(hand_that_stops(stops), smoothing_s=0.04), stops, atol=0.025)


def test_motion_beats_are_times_whatever_the_frame_rate():
    stops = [0.81, 1.91, 3.01]  # between two samples there would be two equal ones, and no strict minimum
    for fps in (25.0, 50.0, 100.0):
        found = motion_beats_s(hand_that_stops(stops, fps=fps), fps=fps, smoothing_s=0.05)
        np.testing.assert_allclose(found, stops, atol=0.6 / fps)


def test_onsets_are_where_the_clicks_are():
    times = [0.5, 1.3, 2.2, 3.4]
    distance = np.abs(onsets_s(clicks(times))[:, None] - times)
    assert distance.min(0).max() < 1.5 * HOP / RATE
    assert distance.min(1).max() < 2.5 * HOP / RATE


def test_silence_has_no_onset():
    assert len(onset_frames(np.zeros(RATE, np.float32))) == 0
    assert len(onset_frames(1e-6 * np.random.default_rng(0).normal(size=RATE))) == 0
    assert len(onset_frames(np.zeros(10, np.float32))) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aishell-BAC009S0724W0121.wav", {"count": 24}),
        ("jfk.flac", {"count": 61}),
    ],
)
def test_as_many_onsets_as_librosa(shared, name, expected):
    # librosa 0.11, onset_detect(y=to_mono_16k(...), sr=16000), all of them equal when it was tried.
    mono = to_mono_16k(*read_audio(shared / "media/audio" / name))
    assert len(onset_frames(mono)) == expected["count"]


def test_equals_librosa_where_it_is_installed(shared):
    librosa = pytest.importorskip("librosa", reason="librosa is not installed (the metrics extra)")
    mono = to_mono_16k(*read_audio(shared / "media/audio/LJ001-0001.wav"))
    assert onset_frames(mono).tolist() == librosa.onset.onset_detect(y=mono, sr=RATE).tolist()


def test_bas_of_a_clip():
    times = [0.5, 1.2, 2.2, 3.2]
    found = onsets_s(clicks(times))
    together = bas(hand_that_stops(found), clicks(times), smoothing_s=0.05)
    late = bas(hand_that_stops(found + 0.3), clicks(times), smoothing_s=0.05)
    assert together.audio_beats == len(found)
    assert together.score > 0.9
    assert late.score < 0.2


def test_a_still_person_scores_zero_and_silence_has_no_score():
    still = hand_that_stops([])
    assert bas(Keypoints(np.zeros_like(still.points), still.scores), clicks([1.0])).score == 0
    nothing = bas(hand_that_stops([1.0]), np.zeros(4 * RATE, np.float32))
    assert nothing.score is None
    assert nothing.legacy is None


def test_the_two_directions_differ_where_one_side_has_more_beats():
    times = [0.5, 1.2, 2.2, 3.2]
    found = onsets_s(clicks(times))
    few = bas(hand_that_stops(found[:2]), clicks(times), smoothing_s=0.05)
    assert few.motion > 0.9  # every stop is at a click
    assert few.score < 0.7  # but half of the clicks have no stop
    closed = [np.exp(-((0.1 / 0.12) ** 2) / 2), beat_alignment(np.array([1.0]), np.array([1.1, 9.0]))]
    assert closed[0] == pytest.approx(closed[1])


def test_what_is_not_seen_has_no_score():
    still = hand_that_stops([1.0])
    unseen = bas(Keypoints(still.points, np.zeros_like(still.scores)), clicks([1.0]))
    assert unseen.score is unseen.motion is unseen.legacy is unseen.motion_beats is None
    assert unseen.absent == "no arm or hand was seen"
    assert bas(hand_that_stops([]), clicks([1.0])).motion is None


def test_legacy_clocks_part():
    """A beat 3 s into the clip: perfect in seconds, but step 93 of the sound is held against frame 75."""
    times = [3.0]
    keypoints = hand_that_stops(onsets_s(clicks(times)))
    assert bas(keypoints, clicks(times), smoothing_s=0.05).score > 0.9
    assert bas_legacy(keypoints, clicks(times)) < 0.1


def test_unseen_points_do_not_move_the_score():
    keypoints = hand_that_stops([1.0, 2.0])
    noisy = keypoints.points.copy()
    noisy[:, :5] = np.random.default_rng(0).normal(size=(100, 5, 2))
    assert np.array_equal(gesture_speed(keypoints), gesture_speed(Keypoints(noisy, keypoints.scores)))


def test_speed_is_in_pixels_a_second():
    points = np.zeros((6, 133, 2), np.float32)
    points[:, RIGHT_HAND, 0] = 2 * np.arange(6)[:, None]
    scores = np.zeros((6, 133), np.float32)
    scores[:, RIGHT_HAND] = 1
    np.testing.assert_allclose(gesture_speed(Keypoints(points, scores)), 50.0)


def test_minima_are_strict():
    assert speed_minima(np.zeros(20), smoothing=2).tolist() == []
    assert speed_minima(np.array([3.0, 1, 2, 0, 5]), smoothing=0).tolist() == [1, 3]


def test_gaps_are_filled_in_time():
    points = np.zeros((5, 2, 2))
    points[:, 0, 0] = [0, 99, 99, 6, 99]
    scores = np.array([[1, 0], [0, 0], [0, 0], [1, 0], [0, 0]], float)
    filled, seen = fill_unseen(points, scores)
    assert filled[:, 0, 0].tolist() == [0, 2, 4, 6, 6]
    assert seen.tolist() == [True, False]


def test_resampling_keeps_a_straight_line():
    line = np.arange(100.0)[:, None] * np.ones((1, 3))
    at_15 = resample(line, fps=25, to_fps=15)
    assert at_15.shape == (60, 3)
    np.testing.assert_allclose(at_15[:, 0], np.arange(60) * 25 / 15)
    assert resample(line, fps=25, to_fps=25) is not None
    assert len(resample(line[:1], fps=25, to_fps=15)) == 1
