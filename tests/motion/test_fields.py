"""Displacement fields: what signals move, and how far."""

import numpy as np
import pytest

from paha.motion.expression import Expression
from paha.motion.fields import LIMITS, MOST_OPEN_GAIN, OPEN_GAIN, UPPER_SHARE, Head, Mouth, limited_angles
from paha.motion.person import PersonMotion
from tests.motion.meshes import photograph

PHOTO = photograph(gap=0.02)
EXPRESSION = Expression.of(PHOTO)


def at(field: np.ndarray, *points: int) -> np.ndarray:
    """A field (h, w, 2) at points of the face mesh."""
    return EXPRESSION.lattice.read(field, PHOTO.landmarks.face[None, list(points), :2])[0]


def test_the_gap_between_the_lips_grows_by_the_opening():
    upper, lower = EXPRESSION.upper_lip(0.1, 0.0), EXPRESSION.lower_lip(0.1, 0.0)
    grown = (at(lower, 14) - at(upper, 13)) @ PHOTO.down
    assert grown[0] == pytest.approx(0.1 * PHOTO.unit, rel=0.12)
    assert (at(upper, 13) @ PHOTO.down)[0] == pytest.approx(-UPPER_SHARE * 0.1 * PHOTO.unit, rel=0.3)


@pytest.mark.parametrize(("thickness", "gain"), [(0.12, 1.0), (0.07, 1.18), (0.02, MOST_OPEN_GAIN)])
def test_thin_lips_open_further_for_the_same_word(thickness: float, gain: float):
    photo = photograph(gap=0.02)
    for outer, inner, side in ((0, 13, -1), (17, 14, 1)):
        photo.landmarks.face[outer, :2] = (
            photo.landmarks.face[inner, :2] + side * 0.5 * thickness * photo.unit * photo.down
        )
    assert Mouth.of(photo, photo.grid).gain == pytest.approx(OPEN_GAIN * gain, rel=1e-3)


def test_chin_follows_the_jaw_and_brows_do_not():
    lower = EXPRESSION.lower_lip(0.1, 0.0)
    assert (at(lower, 152) @ PHOTO.down)[0] > 0.07 * PHOTO.unit
    assert np.abs(at(lower, 105, 334)).max() < 0.01


def test_nothing_moves_at_the_border_of_the_fine_lattice():
    moved = EXPRESSION.lower_lip(0.1, 0.5) + sum(eye.close for eye in EXPRESSION.eyes.values())
    assert max(np.abs(edge).max() for edge in (moved[0], moved[-1], moved[:, 0], moved[:, -1])) == 0


def test_a_closing_lid_reaches_the_lower_one():
    for eye, upper, lower in ((EXPRESSION.eyes["left"], 386, 374), (EXPRESSION.eyes["right"], 159, 145)):
        landed = PHOTO.landmarks.face[upper, :2] + at(eye.close, upper)[0]
        short = (PHOTO.landmarks.face[lower, :2] - landed) @ PHOTO.down
        assert -0.02 * PHOTO.unit < short < 0.005 * PHOTO.unit


def test_turns_are_kept_to_half_of_the_limits_and_drawn_in_beyond():
    np.testing.assert_allclose(limited_angles(0.5 * LIMITS), 0.5 * LIMITS, rtol=0.02)
    np.testing.assert_allclose(limited_angles(-10 * LIMITS), -LIMITS, rtol=0.01)


def test_a_turned_head_moves_the_lips_against_the_ears():
    head = Head.of(PHOTO)
    motion = PersonMotion.rest(1)
    motion.head_rotation[:] = (0.1, 0, 0)
    moved = PHOTO.lattice.read(head.displacement(motion, 0, PHOTO.unit), PHOTO.landmarks.face[None, [13, 234, 454], :2])
    lip, left, right = moved[0, :, 0]
    assert lip > max(left, right) + 0.012 * PHOTO.unit
