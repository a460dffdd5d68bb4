"""Soft masks of people."""

import numpy as np

from paha.motion.soft_mask import keep_nearest, refine_mask


def test_refined_mask_follows_the_picture_not_the_coarse_grid():
    image = np.full((320, 320, 3), (40, 90, 60), np.uint8)
    y, x = np.mgrid[:320, :320]
    person = (x - 160) ** 2 + (y - 200) ** 2 < 90**2
    image[person] = (200, 150, 130)
    image = (image + np.random.default_rng(0).integers(0, 12, image.shape)).astype(np.uint8)
    truth = person.astype(np.float32)
    coarse = np.roll(truth, 2, axis=1).reshape(80, 4, 80, 4).mean((1, 3))
    stretched = coarse.repeat(4, 0).repeat(4, 1)
    refined = refine_mask(coarse, image)
    assert refined.shape == truth.shape
    assert refined.dtype == np.float32
    assert refined.min() >= 0
    assert refined.max() <= 1
    assert np.abs(refined - truth).mean() < 0.7 * np.abs(stretched - truth).mean()


def test_mask_of_one_colour_stays_what_it_was():
    image = np.full((60, 90, 3), 128, np.uint8)
    assert (refine_mask(np.ones((10, 15), np.float32), image) == 1).all()
    assert not refine_mask(np.zeros((10, 15), np.float32), image).any()


def test_other_people_are_no_part_of_the_mask():
    mask = np.ones((200, 400), np.float32)
    box, other = np.array([80, 40, 120, 90.0]), np.array([[280, 40, 320, 90.0]])
    kept = keep_nearest(mask, box, other)
    assert kept[:, :150].min() > 0.95
    assert kept[:, 250:].max() < 0.05
    assert keep_nearest(mask, box, np.zeros((0, 4))) is mask
