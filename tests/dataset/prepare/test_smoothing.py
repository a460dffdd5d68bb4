"""The temporal fit of keypoints."""

import numpy as np

from paha.dataset.prepare.smoothing import smooth_keypoints
from paha.types import Keypoints


def noisy(rng):
    t = np.linspace(0, 1, 60)
    path = np.stack([100 + 30 * np.sin(4 * t), 80 + 20 * t], -1)[:, None].repeat(133, 1)
    return path, Keypoints(
        (path + rng.normal(0, 2, path.shape)).astype(np.float32), np.full((60, 133), 0.9, np.float32)
    )


def test_the_fit_minimises_what_it_says():
    _, read = noisy(np.random.default_rng(0))

    def energy(points, weight=3.0):
        near = (read.scores[..., None] * (points - read.points) ** 2).sum()
        return near + weight * (np.diff(points, axis=0) ** 2).sum()

    fitted = smooth_keypoints(read, 3.0).points.astype(np.float64)
    best = energy(fitted)
    rng = np.random.default_rng(1)
    assert all(energy(fitted + rng.normal(0, 0.05, fitted.shape)) > best for _ in range(10))


def test_it_comes_nearer_to_the_truth_and_weight_zero_changes_nothing():
    path, read = noisy(np.random.default_rng(2))
    before, after = (np.abs(p - path).mean() for p in (read.points, smooth_keypoints(read, 2.0).points))
    assert after < 0.7 * before
    assert smooth_keypoints(read, 0.0) is read


def test_a_doubtful_point_follows_its_neighbours_and_an_unseen_one_stays_unseen():
    points = np.zeros((5, 133, 2), np.float32)
    points[2] = 100
    scores = np.ones((5, 133), np.float32)
    scores[2] = 0.05
    assert smooth_keypoints(Keypoints(points, scores), 1.0).points[2].max() < 5
    scores[2] = 0
    assert (smooth_keypoints(Keypoints(points, scores), 1.0).points[2] == 100).all()
