"""Weaker and stronger motion."""

from dataclasses import astuple

import numpy as np
import pytest

from paha.errors import PahaError
from paha.motion.person import PersonMotion
from paha.motion.strength import MotionStrength, parse_strength

MOTION = PersonMotion.from_array(np.random.default_rng(0).normal(size=(5, 32)))


def test_one_changes_nothing_and_zero_is_still_there_alone():
    assert MotionStrength()(MOTION) is MOTION
    still = MotionStrength(head=0, hands=0, mouth=0)(MOTION)
    for name in ("head_shift", "head_rotation", "mouth_open", "mouth_wide", "lip_press", "parts", "hand_rotation"):
        assert not getattr(still, name).any()
    assert np.array_equal(still.lids, MOTION.lids)


@pytest.mark.parametrize(
    ("strength", "changed"),
    [
        (MotionStrength(head=2), {"head_shift", "head_rotation", "parts"}),
        (MotionStrength(hands=0.5), {"parts", "hand_rotation"}),
        (MotionStrength(mouth=0.5), {"mouth_open", "mouth_wide", "lip_press"}),
    ],
)
def test_each_part_alone(strength, changed):
    made = strength(MOTION)
    assert {name for name in vars(MOTION) if not np.array_equal(getattr(made, name), getattr(MOTION, name))} == changed


def test_hands_take_elbows_and_wrists_head_takes_shoulders():
    made = MotionStrength(head=1, hands=0)(MOTION)
    assert not made.parts[:, 2:6].any()
    assert np.array_equal(made.parts[:, :2], MOTION.parts[:, :2])


def test_three_numbers_from_0_to_2():
    assert astuple(parse_strength("1,0.5,2")) == (1, 0.5, 2)
    for text in ("1,2", "1,2,3,4", "a,b,c", "", "nan,1,1"):
        with pytest.raises(PahaError, match="strength"):
            parse_strength(text)
    with pytest.raises(PahaError, match="out of range"):
        parse_strength("1,1,2.5")
