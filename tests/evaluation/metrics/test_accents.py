"""Strokes on accents: a measure that knows chance."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalOperand=false

import numpy as np
import pytest
from test_beats import clicks

from paha.evaluation.metrics.accents import accent_alignment, circular_z, deceleration
from paha.types import LEFT_HAND, RIGHT_HAND, Keypoints

TIMES_S = (0.7, 1.5, 2.1, 3.2, 4.4, 4.9)
SECONDS = 6.0


def strokes(times_s, *, seconds=SECONDS, size=40.0, drawn_s=0.28):
    """A right hand that goes there and back again, landing at the given times on a minimum-jerk way."""
    t = np.arange(int(seconds * 25)) / 25
    x = np.zeros(len(t))
    for number, landed in enumerate(times_s):
        way = np.clip((t - landed + drawn_s) / drawn_s, 0, 1)
        x += (-1) ** number * size * (10 * way**3 - 15 * way**4 + 6 * way**5)
    points, scores = np.zeros((len(t), 133, 2), np.float32), np.zeros((len(t), 133), np.float32)
    points[:, RIGHT_HAND, 0] = x[:, None]
    scores[:, RIGHT_HAND] = 1
    return Keypoints(points, scores)


def z_of(motion_s, sound_s, **changes):
    return accent_alignment(strokes(motion_s, **changes), clicks(sound_s, SECONDS)).z


def test_deceleration_of_a_known_motion():
    """x = sin t: speed |cos t|, which falls by |sin t| while it falls at all."""
    t = np.arange(500) / 100
    points = np.stack([np.sin(t), np.zeros_like(t)], 1)[:, None]
    found = deceleration(points, fps=100)
    phase = t % (np.pi / 2)
    falls, smooth = (t % np.pi) < np.pi / 2, (phase > 0.2) & (phase < np.pi / 2 - 0.2) & (t < 4.7)
    assert smooth.sum() > 300
    np.testing.assert_allclose(found[smooth], np.where(falls, np.abs(np.sin(t)), 0)[smooth], atol=0.03)


@pytest.mark.parametrize("late", [0, 3, 25])
def test_two_cosines_have_the_z_of_a_cosine(late):
    """A band pass leaves a cosine of period P one: r at lag k is cos(2 pi (k - late) / P)."""
    T, P = 200, 20
    wave = np.cos(2 * np.pi * np.arange(T) / P)
    lags = np.arange(T)
    r = np.cos(2 * np.pi * (lags - late) / P)
    chance = r[(lags > 8) & (lags < T - 8)]
    expected = (r[0] - chance.mean()) / chance.std()
    assert circular_z(3 * np.roll(wave, late) + 5, 0.1 * wave) == pytest.approx(expected, rel=1e-6)


def test_strokes_on_the_sound_stand_out_and_late_ones_do_not():
    late = [round(t + 0.4, 3) for t in TIMES_S]
    on_time, after = z_of(TIMES_S, TIMES_S), z_of(late, TIMES_S)
    assert on_time > 3
    assert after < 1
    assert z_of(TIMES_S, TIMES_S, size=4.0) == pytest.approx(on_time, rel=0.02)


@pytest.mark.parametrize("count", [3, 12, 40])
def test_more_strokes_anywhere_score_no_higher(count):
    """BAS rises with the number of beats; here independent ones have mean 0 and deviation 1."""
    rng = np.random.default_rng(1)

    def curve(beats):
        return np.bincount(rng.integers(0, 200, beats), minlength=200).astype(float)

    values = [circular_z(curve(count), curve(20)) for _ in range(400)]
    assert abs(np.mean(values)) < 0.15
    assert 0.85 < np.std(values) < 1.15


def test_what_cannot_be_measured_says_why():
    mono = clicks(TIMES_S, SECONDS)
    still = strokes(())
    assert accent_alignment(still, mono).z == 0
    nobody = Keypoints(still.points, np.zeros_like(still.scores))
    assert accent_alignment(nobody, mono).absent == "no arm or hand was seen"
    assert accent_alignment(strokes(TIMES_S), np.zeros_like(mono)).absent == "no onset in the speech"
    assert accent_alignment(strokes((0.7,), seconds=1.6), mono[:25_600]).absent == "shorter than 2 s"


def test_a_hand_that_is_lost_for_a_moment_still_counts():
    seen = strokes(TIMES_S)
    scores = seen.scores.copy()
    scores[60:66, RIGHT_HAND] = 0
    assert LEFT_HAND.stop == RIGHT_HAND.start
    assert accent_alignment(Keypoints(seen.points, scores), clicks(TIMES_S, SECONDS)).z > 2
