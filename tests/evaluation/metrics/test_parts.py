"""Lips in time: their lag, and their rest in pauses."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import numpy as np
import pytest
from toy_videos import keypoints_of, loudness, sound

from paha.evaluation.metrics.parts import (
    drift,
    hand_confidence,
    hand_motion,
    hands_seen,
    hkv,
    jerk,
    lip_loudness,
    mouth_in_silence,
    mouth_opening,
    mouth_seen,
    rgb_to_lab,
    silent_frames,
)
from paha.types import FACE, FPS, LEFT_HAND, RIGHT_HAND, Keypoints


@pytest.mark.parametrize("late", [0, 2, 5, 10])
def test_the_lag_of_the_lips_is_found(late):
    curve = loudness(0, 100)
    mouth = np.roll(curve, late)
    r, lag, margin = lip_loudness(mouth, sound(curve))
    assert lag == late
    assert margin > 0.5
    assert (r > 0.95) == (late == 0)


def test_later_lips_score_lower():
    curve = loudness(0, 100)
    scores = [lip_loudness(np.roll(curve, late), sound(curve))[0] for late in (0, 2, 5)]
    assert scores[0] > scores[1] > scores[2]


def test_a_still_mouth_has_no_lag():
    assert lip_loudness(np.ones(100), sound(loudness(0, 100))) == (0.0, None, 0.0)


def test_pauses_are_found_and_the_mouth_must_rest_in_them():
    curve = loudness(0, 100)
    silent = silent_frames(sound(curve), 100)
    assert silent[50:62].all()
    assert silent.sum() <= 14
    assert mouth_in_silence(curve, sound(curve)) == pytest.approx(0, abs=1e-6)
    chewing = curve + 0.2 * (np.arange(100) % 2)
    assert mouth_in_silence(chewing, sound(curve)) == pytest.approx(0.2 * 25)
    assert mouth_in_silence(curve, np.sin(np.arange(64_000) * 0.1)) is None
    assert silent_frames(np.zeros(64_000), 100).all()


def test_the_mouth_s_opening_is_read_off_the_lips():
    curve = loudness(1, 60)
    keypoints = keypoints_of(curve, 1)
    points = keypoints.points.copy()
    points[:, 23 + 62, 1], points[:, 23 + 66, 1] = 20 - 3 * curve, 20 + 3 * curve
    points[:, 23 + 62, 0] = points[:, 23 + 66, 0] = 20
    opening = mouth_opening(Keypoints(points, keypoints.scores))
    assert np.corrcoef(opening, curve)[0, 1] > 0.99
    assert mouth_opening(keypoints, curve).tolist() == pytest.approx(curve.tolist())


def test_hand_confidence_and_its_variance():
    keypoints = keypoints_of(loudness(0, 40), 0)
    scores = keypoints.scores.copy()
    scores[:, LEFT_HAND] = 0
    scores[::2, RIGHT_HAND], scores[1::2, RIGHT_HAND] = 0.4, 0.8
    confidence = hand_confidence(Keypoints(keypoints.points, scores))
    assert confidence is not None
    mean, variance = confidence
    assert mean == pytest.approx(0.6)
    assert variance == pytest.approx(0.04)
    scores[::4, RIGHT_HAND] = 0
    assert hand_confidence(Keypoints(keypoints.points, scores)) == pytest.approx((2 / 3, 8 / 225))
    assert hands_seen(Keypoints(keypoints.points, scores)) == 0.75  # of what is left the mean has risen
    scores[:, RIGHT_HAND] = 0
    assert hand_confidence(Keypoints(keypoints.points, scores)) is None
    assert hands_seen(Keypoints(keypoints.points, scores)) == 0


def test_held_hands_do_not_move():
    keypoints = keypoints_of(loudness(0, 40), 0)
    assert hand_motion(keypoints) > 0.05
    held = np.repeat(keypoints.points[:1], 40, axis=0)
    assert hand_motion(Keypoints(held, keypoints.scores)) == pytest.approx(0, abs=1e-6)


def test_hand_motion_of_a_sine_is_its_deviation_in_shoulder_widths():
    assert hand_motion(swinging()) == pytest.approx(10 / np.sqrt(2) / 100, rel=1e-4)


def test_drift_is_from_the_first_to_the_last_fifth():
    values = np.linspace([0.0, 0], [10.0, 0], 10)
    assert drift(values) == pytest.approx(np.mean([80 / 9, 90 / 9]) - np.mean([0, 10 / 9]))
    assert drift(np.zeros((4, 2))) is None


def test_lab_of_known_colours():
    np.testing.assert_allclose(rgb_to_lab(np.array([255, 255, 255])), [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(rgb_to_lab(np.array([255, 0, 0])), [53.24, 80.09, 67.20], atol=0.05)
    np.testing.assert_allclose(rgb_to_lab(np.array([0, 0, 0])), [0, 0, 0], atol=1e-6)


def swinging(num_frames=100, *, amplitude=10.0, seen=True):
    """Shoulders 100 px apart, hands that go `amplitude` px up and down once a second."""
    points = np.zeros((num_frames, 133, 2), np.float32)
    points[:, 5, 0] = 100
    lift = amplitude * np.sin(2 * np.pi * np.arange(num_frames) / FPS)
    points[:, LEFT_HAND.start : RIGHT_HAND.stop, 1] = lift[:, None]
    scores = np.ones((num_frames, 133), np.float32)
    scores[:, 7:] *= seen
    return Keypoints(points, scores)


def test_hkv_is_the_variance_of_the_hands_points():
    assert hkv(swinging(), height=512) == pytest.approx(10**2 / 2, rel=1e-4)
    assert hkv(swinging(), height=1024) == pytest.approx(10**2 / 8, rel=1e-4)
    assert hkv(swinging(amplitude=0), height=512) == 0
    assert hkv(swinging(seen=False), height=512) is None


def test_a_hand_that_shows_for_a_moment_has_no_motion():
    keypoints = swinging()
    keypoints.scores[3:, LEFT_HAND.start : RIGHT_HAND.stop] = 0
    assert hkv(keypoints, height=512) is None
    assert hand_motion(keypoints) is None


def test_jerk_of_a_sine_is_its_third_derivative_and_of_a_line_nothing():
    expected = 10 / 100 * (2 * np.pi) ** 3 / np.sqrt(2) * np.sqrt(42 / 46)  # 42 of 46 points move
    assert jerk(swinging()) == pytest.approx(expected, rel=0.03)  # of differences
    line = swinging(amplitude=0)
    line.points[:, LEFT_HAND, 0] = np.arange(100)[:, None]
    assert jerk(line) == pytest.approx(0, abs=0.1)
    assert jerk(swinging(seen=False)) is None


def test_a_mouth_counts_as_seen_in_half_of_the_frames():
    keypoints = swinging()
    assert mouth_seen(keypoints)
    keypoints.scores[:51, FACE] = 0
    assert not mouth_seen(keypoints)
