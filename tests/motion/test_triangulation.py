"""Values spread over a grid against scipy.interpolate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

from paha.motion.triangulation import interpolate


def regular(width: int, height: int, step: float, corner: float) -> np.ndarray:
    x, y = np.meshgrid(corner + step * np.arange(width), corner + step * np.arange(height))
    return np.stack([x, y], -1).astype(np.float32)


def ring(radius: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    return 50 + radius * np.stack([np.cos(angle), np.sin(angle)], 1)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 400), step=st.floats(0.7, 9))
def test_inside_a_ring_it_is_scipys_linear_and_outside_its_nearest(seed, count, step):
    rng = np.random.default_rng(seed)
    inner = 50 + rng.uniform(0, 28, (count, 1)) * np.stack([np.cos(a := rng.uniform(0, 7, count)), np.sin(a)], 1)
    places = np.concatenate([ring(30) + rng.uniform(-0.01, 0.01, (36, 2)), inner]).astype(np.float32)
    values = rng.normal(size=len(places))
    grid = regular(int(120 / step), int(100 / step), step, -3)
    found = interpolate(places, values, grid)
    far = np.linalg.norm(grid - 50, axis=-1)
    assert found[far < 29] == pytest.approx(LinearNDInterpolator(places, values)(grid)[far < 29], abs=2e-3)
    beyond = found[far > 31] - NearestNDInterpolator(places, values)(grid)[far > 31]
    assert np.mean(np.abs(beyond) > 1e-6) < 0.002, "all but places halfway between two"
    assert found.dtype == np.float32


def test_a_plane_comes_back_and_the_ring_beyond_it_is_its_rim():
    places = np.concatenate([ring(30), [[50, 50]]]).astype(np.float32)
    grid = regular(21, 21, 5, 0)
    found = interpolate(places, places[:, 0] * 2 - places[:, 1], grid)
    near = np.linalg.norm(grid - 50, axis=-1) < 29
    assert found[near] == pytest.approx((grid[..., 0] * 2 - grid[..., 1])[near], abs=1e-3)
    assert found[10, 20] == pytest.approx(80 * 2 - 50), "the rim's easternmost place"
