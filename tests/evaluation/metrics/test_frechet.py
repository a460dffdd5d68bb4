"""Frechet distances against scipy's."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from paha.evaluation.metrics.frechet import (
    FrechetSide,
    GaussianStats,
    PoissonBootstrap,
    frechet_distance,
    frechet_interval,
    gaussian_frechet,
)


def samples(n, dim, *, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dim)) @ rng.normal(size=(dim, dim)) + shift


def sqrtm_reference(a, b):
    """The formula as published code computes it."""
    mean_a, mean_b, cov_a, cov_b = a.mean(0), b.mean(0), np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    root = np.real(scipy.linalg.sqrtm(cov_a @ cov_b))
    return np.square(mean_a - mean_b).sum() + np.trace(cov_a + cov_b - 2 * root)


def test_known_gaussians():
    one, none = np.eye(3), np.zeros(3)
    assert gaussian_frechet(none, one, none, one) == pytest.approx(0, abs=1e-12)
    assert gaussian_frechet(none, one, np.array([3.0, 4, 0]), one) == pytest.approx(25)
    # Diagonal: sum of (sigma_a - sigma_b)^2.
    a, b = np.diag([1.0, 4, 9]), np.diag([16.0, 4, 1])
    assert gaussian_frechet(none, a, none, b) == pytest.approx((1 - 4) ** 2 + 0 + (3 - 1) ** 2)


def test_it_does_not_depend_on_the_axes():
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    a, b = np.diag([1.0, 2, 3, 4]), np.diag([4.0, 1, 1, 0.5])
    turned = gaussian_frechet(np.zeros(4), rotation @ a @ rotation.T, np.zeros(4), rotation @ b @ rotation.T)
    assert turned == pytest.approx(gaussian_frechet(np.zeros(4), a, np.zeros(4), b))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), dim=st.integers(1, 40), extra=st.integers(1, 100), shift=st.floats(-3, 3))
def test_equals_sqrtm(seed, dim, extra, shift):
    a, b = samples(dim + extra, dim, seed=seed), samples(dim + 2 * extra, dim, seed=seed + 1, shift=shift)
    ours = frechet_distance(GaussianStats.of(a), GaussianStats.of(b))
    theirs = sqrtm_reference(a, b)
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6 * np.trace(np.atleast_2d(np.cov(a.T))))


def test_equals_sqrtm_at_the_width_of_fvd():
    a, b = samples(900, 400, seed=1) / 20, samples(700, 400, seed=2, shift=2) / 20
    assert frechet_distance(GaussianStats.of(a), GaussianStats.of(b)) == pytest.approx(sqrtm_reference(a, b), abs=1e-6)


def test_fewer_samples_than_dimensions_give_a_real_number():
    a = samples(10, 50, seed=4)
    stats = GaussianStats.of(a)
    assert frechet_distance(stats, stats) == pytest.approx(0, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(0, 300), max_size=6), offset=st.sampled_from([0.0, 1e4]))
def test_streaming_equals_one_batch(cuts, offset):
    x = samples(300, 5, seed=7) + offset
    stats = GaussianStats.empty(5)
    for part in np.split(x, sorted(cuts)):
        stats.update(part)
    assert stats.num == 300
    np.testing.assert_allclose(stats.mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats.covariance, np.cov(x.T), rtol=1e-8, atol=1e-9)


def test_merging_equals_streaming():
    x = samples(100, 3)
    left, right = GaussianStats.of(x[:30]), GaussianStats.of(x[30:])
    left.merge(right)
    np.testing.assert_allclose(left.covariance, np.cov(x.T), rtol=1e-12)


def test_bad_features_are_refused():
    stats = GaussianStats.empty(3)
    with pytest.raises(ValueError, match="width 3"):
        stats.update(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="finite"):
        stats.update(np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="at least 2"):
        _ = stats.covariance


def test_bootstrap_replicates_scatter_about_the_truth():
    clips = [samples(4, 3, seed=i, shift=5) for i in range(200)]
    bootstrap = PoissonBootstrap(3, replicates=60)
    for number, clip in enumerate(clips):
        bootstrap.add(clip, f"clip {number}")
    whole = GaussianStats.of(np.concatenate(clips))
    means = np.array([r.mean for r in bootstrap.replicates()])
    np.testing.assert_allclose(means.mean(0), whole.mean, atol=0.1)
    assert 0 < means.std(0).max() < 0.5
    covariances = np.array([r.covariance for r in bootstrap.replicates()])
    np.testing.assert_allclose(covariances.mean(0), whole.covariance, rtol=0.1, atol=0.15)


def test_interval_holds_the_value_and_narrows():
    def side(n, seed, shift):
        made = FrechetSide(4, seed=seed)
        rng = np.random.default_rng(seed)
        for number in range(n):
            made.add(rng.normal(shift, 1, (3, 4)), f"clip {number}")
        return made

    few = frechet_interval(side(30, 0, 0), side(30, 1, 1))
    many = frechet_interval(side(800, 2, 0), side(800, 3, 1))
    assert many.low <= many.mean <= many.high
    assert many.mean == pytest.approx(4, abs=0.6)
    assert many.num == 800
    assert many.high - many.low < few.high - few.low


def test_no_interval_without_samples():
    assert frechet_interval(FrechetSide(2), FrechetSide(2)) is None


def test_equal_clips_are_resampled_together():
    real, fake = FrechetSide(3), FrechetSide(3)
    for number in range(40):
        x = samples(3, 3, seed=number)
        real.add(x, f"clip {number}")
        fake.add(x + 1, f"clip {number}")
    interval = frechet_interval(real, fake)
    assert interval.low == pytest.approx(3)
    assert interval.high == pytest.approx(3)


def test_standardised_distance_does_not_depend_on_units():
    def sides(unit):
        made = FrechetSide(2), FrechetSide(2)
        for number in range(30):
            made[0].add(samples(4, 2, seed=number) * unit, str(number))
            made[1].add(samples(4, 2, seed=number + 500, shift=1) * unit, str(number))
        return frechet_interval(*made, floor=1e-6).mean

    assert sides(np.array([1.0, 1000.0])) == pytest.approx(sides(np.ones(2)))


def test_a_constant_feature_that_moves_counts_by_the_floor():
    real, fake = FrechetSide(2), FrechetSide(2)
    for number in range(30):
        x = samples(4, 2, seed=number)
        real.add(x * [1, 0], str(number))
        fake.add(x * [1, 0] + [0, 0.5], str(number))
    assert frechet_interval(real, fake, floor=100 / 255).mean == pytest.approx((0.5 * 255 / 100) ** 2)


def test_covariances_by_n_and_by_n_minus_1():
    x, y = samples(40, 3, seed=1), samples(40, 3, seed=2, shift=1)
    for biased in (False, True):
        sides = FrechetSide(3, biased=biased), FrechetSide(3, biased=biased)
        for side, values in zip(sides, (x, y), strict=True):
            side.add(values, "a")
        expected = [np.cov(values, rowvar=False, ddof=0 if biased else 1) for values in (x, y)]
        assert all(np.allclose(side.covariance(side.stats), e) for side, e in zip(sides, expected, strict=True))
        value = gaussian_frechet(x.mean(0), expected[0], y.mean(0), expected[1])
        assert frechet_interval(*sides).mean == pytest.approx(value)
