"""Means with bootstrap intervals."""

import numpy as np
import pytest

from paha.runtime.statistics import best_lag, bootstrap, lip_r, loudness_lips


def test_lip_r_is_pearson_and_a_still_mouth_counts_as_zero():
    truth = np.sin(np.linspace(0, 20, 100))
    assert lip_r(3 * truth + 1, truth) == pytest.approx(1)
    assert lip_r(-truth, truth) == pytest.approx(-1)
    assert lip_r(np.full(100, 0.3), truth) == 0


def test_best_lag_finds_a_delay():
    truth = np.random.default_rng(0).standard_normal(200)
    assert best_lag(np.roll(truth, 3), truth) == 3
    assert best_lag(np.roll(truth, -2), truth) == -2


def test_interval_holds_the_mean_and_narrows_with_more_clips():
    values = list(np.random.default_rng(1).normal(0.8, 0.1, 400))
    many, few = bootstrap(values), bootstrap(values[:20])
    assert many.low < many.mean < many.high
    assert many.high - many.low < few.high - few.low


def test_loudness_follows_the_sound():
    mono = np.concatenate([np.zeros(6400), 0.5 * np.ones(6400)])
    loud = loudness_lips(mono, 20)
    assert loud[:10].max() == 0
    assert loud[10:].min() == pytest.approx(0.5)
