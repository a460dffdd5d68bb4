"""Scores of regions of the picture."""

import numpy as np
import pytest
from toy_videos import frames_of, keypoints_of, loudness

from paha.evaluation.metrics.regions import (
    DESCRIPTION_DIM,
    REGIONS,
    describe,
    grow,
    psnr_db,
    region_boxes,
    region_errors,
    region_masks,
    ssim_map,
)
from paha.types import LEFT_HAND, RIGHT_HAND, Keypoints


@pytest.fixture
def clip():
    curve = loudness(0, 20)
    keypoints = keypoints_of(curve, 0)
    box = np.tile(np.array([10.0, 8, 34, 32]), (20, 1))
    return frames_of(curve, 0), keypoints, box


def test_every_pixel_belongs_to_one_region(clip):
    _, keypoints, box = clip
    boxes = region_boxes(keypoints, box, height=48)
    masks = region_masks(boxes, 3, height=48, width=48)
    assert set(masks) == set(REGIONS)
    assert (np.sum([mask.astype(int) for mask in masks.values()], axis=0) == 1).all()
    assert all(mask.any() for mask in masks.values())
    x, y = keypoints.points[3, RIGHT_HAND.start].astype(int)
    assert masks["hands"][y, x]


def test_unseen_hands_have_no_region(clip):
    frames, keypoints, box = clip
    scores = keypoints.scores.copy()
    scores[:, LEFT_HAND] = scores[:, RIGHT_HAND] = 0
    boxes = region_boxes(Keypoints(keypoints.points, scores), box, height=48)
    assert np.isnan(boxes.hands).all()
    assert "hands" not in describe(frames[0], boxes, 0)
    assert not region_masks(boxes, 0, height=48, width=48)["hands"].any()


def test_descriptions_see_blur_and_brightness(clip):
    frames, keypoints, box = clip
    boxes = region_boxes(keypoints, box, height=48)
    sharp = describe(frames[0], boxes, 0)
    assert sharp["face"].shape == (1, DESCRIPTION_DIM)
    assert sharp["hands"].shape == (2, DESCRIPTION_DIM)
    grey = describe(np.full_like(frames[0], 128), boxes, 0)
    assert np.abs(grey["face"][0, 48:]).max() < 1e-5  # no edges
    np.testing.assert_allclose(grey["face"][0, :16], 100 * 128 / 255, rtol=1e-4)  # luma


def test_descriptions_of_a_region_do_not_see_the_others(clip):
    frames, keypoints, box = clip
    boxes = region_boxes(keypoints, box, height=48)
    masks = region_masks(boxes, 0, height=48, width=48)
    changed = frames[0].copy()
    changed[masks["background"]] = 255 - changed[masks["background"]]
    before, after = describe(frames[0], boxes, 0), describe(changed, boxes, 0)
    inner = np.abs(before["background"] - after["background"]).max()
    assert inner > 10
    errors = region_errors(frames[0], changed, masks)
    assert errors["face"][0] == errors["hands"][0] == errors["body"][0] == 0
    assert errors["background"][0] > 1000


def test_psnr_of_known_errors():
    assert psnr_db(255**2) == 0
    assert psnr_db(65.025) == pytest.approx(30)
    assert psnr_db(0) == 100


def test_ssim_is_one_for_equal_frames_and_low_for_noise():
    frame = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    other = np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    assert ssim_map(frame, frame).min() == pytest.approx(1, abs=1e-4)
    assert abs(ssim_map(frame, other).mean()) < 0.1


def test_ssim_of_constant_frames_is_the_formula():
    a, b = np.full((20, 20, 3), 100, np.uint8), np.full((20, 20, 3), 120, np.uint8)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)
    assert ssim_map(a, b)[10, 10] == pytest.approx(expected, rel=1e-3)


def test_boxes_grow_about_their_centres():
    np.testing.assert_allclose(grow(np.array([0.0, 0, 10, 20]), 1.5), [-2.5, -5, 12.5, 25])
