"""Lattices: reading, spreading to pixels, inverting."""

import numpy as np

from paha.motion.lattice import Lattice, inverse

LATTICE = Lattice.over(slice(10, 110), slice(20, 95), 5)


def test_nodes_lie_in_the_middle_of_squares_that_cover_the_box_with_one_more_around():
    assert LATTICE.shape == (17, 22)
    assert LATTICE.nodes[0, 0].tolist() == [7.5, 17.5]
    assert LATTICE.nodes[-1, -1].tolist() == [112.5, 97.5]


def test_a_linear_field_is_read_and_spread_exactly():
    field = LATTICE.nodes @ np.array([[0.2, -0.1], [0.05, 0.3]], np.float32)
    points = np.array([[[30.2, 44.9], [77.0, 60.6]]], np.float32)
    np.testing.assert_allclose(
        LATTICE.read(field, points), points @ np.array([[0.2, -0.1], [0.05, 0.3]], np.float32), atol=0.02
    )
    pixels = LATTICE.to_pixels(field, slice(40, 60), slice(33, 71))
    centre = np.array([40.5, 33.5], np.float32) @ np.array([[0.2, -0.1], [0.05, 0.3]], np.float32)
    assert pixels.shape == (38, 20, 2)
    np.testing.assert_allclose(pixels[0, 0], centre, atol=1e-4)


def test_the_inverse_of_a_displacement_takes_back_what_it_did():
    bump = np.exp(-(((LATTICE.nodes - (60, 57)) / 18) ** 2).sum(-1, keepdims=True)) * np.array([5.0, -4.0])
    u = bump.astype(np.float32)
    x = inverse(LATTICE, u, steps=4)
    residual = x + LATTICE.read(u, x) - LATTICE.nodes
    slope = max(float(np.linalg.norm(np.gradient(u[..., k], LATTICE.step), axis=0).max()) for k in (0, 1)) * np.sqrt(2)
    assert np.abs(residual).max() <= slope**4 * np.linalg.norm(u, axis=-1).max()
    assert np.abs(residual).max() < 0.15
