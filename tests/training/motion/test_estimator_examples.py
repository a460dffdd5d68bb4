"""Labelled pictures as the keypoint estimator learns from them, drawn ones with the rig's truth."""

import numpy as np
import pytest
from PIL import Image

from paha.media.image_io import read_image
from paha.motion.face_model import IBUG_68
from paha.motion.person_crop import PERSON_POINTS
from paha.training.motion.drawn_stills import draw_stills
from paha.training.motion.estimator_examples import PATCH_GROW, PATCH_SIDE, PICTURE_SIDE, example_of, with_truth
from paha.training.motion.keypoint_estimator_job import _agrees
from paha.training.motion.still_labels import StillLabel
from paha.types import FACE, LEFT_HAND


def label(path, *, scores=None, side: float = 100.0) -> StillLabel:
    """Of a picture of 640 x 400: a face from (200, 100) on, another to the right, a mask on its left half."""
    rng = np.random.default_rng(0)
    mesh = np.concatenate([rng.uniform(0, side, (478, 2)) + (200, 100), rng.normal(0, 5, (478, 1))], 1)
    mesh[0, :2], mesh[1, :2] = (200, 100), (200 + side, 100 + side)
    mask = np.zeros((160, 256), np.uint8)
    mask[:, :128] = 255
    faces = np.array([[200, 100, 200 + side, 100 + side, 0.9], [450, 110, 510, 170, 0.8]], np.float32)
    points = rng.uniform(50, 350, (133, 2)).astype(np.float32)
    scores = np.zeros(133, np.float32) if scores is None else scores
    return StillLabel(path, mesh.astype(np.float32), points, scores, mask, faces)


@pytest.fixture
def picture(tmp_path):
    pixels = np.zeros((400, 640, 3), np.uint8)
    pixels[100:200, 200:300] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_picture_is_halved_with_all_that_lies_on_it(picture):
    known = label(picture)
    made = example_of(known)
    assert max(made.image.shape[:2]) == PICTURE_SIDE
    assert made.image[51:99, 101:149].min() > 250
    np.testing.assert_allclose(made.faces, [[100, 50, 150, 100], [225, 55, 255, 85]], atol=0.01)
    np.testing.assert_allclose(made.points, known.points[PERSON_POINTS] / 2, atol=0.01)
    assert made.mask.shape == made.image.shape[:2]
    assert made.mask[:, :150].min() == 255
    assert made.mask[:, 170:].max() == 0


def test_the_patch_lies_about_the_face_and_the_mesh_on_it(picture):
    made = example_of(label(picture))
    low, high = made.mesh[:, :2].min(0), made.mesh[:, :2].max(0)
    np.testing.assert_allclose((low + high) / 2, PATCH_SIDE / 2, atol=0.01)
    np.testing.assert_allclose(high - low, PATCH_SIDE / PATCH_GROW, rtol=0.01)
    x0, y0, x1, y1 = np.round([*low, *high]).astype(int)
    assert made.patch[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].min() > 240
    assert made.patch[: y0 - 3].max() < 10


def test_pictures_with_hands_are_drawn_more_often(picture):
    scores = np.zeros(133, np.float32)
    scores[LEFT_HAND] = 0.9
    with_hand, without = example_of(label(picture, scores=scores)), example_of(label(picture))
    assert with_hand.has_hands
    assert not without.has_hands
    assert with_hand.weight > without.weight == 1


def test_a_drawn_presenter_brings_its_own_truth(tmp_path):
    pytest.importorskip("espeakng_loader")
    draw_stills(tmp_path, characters=1)
    pictures = sorted(tmp_path.glob("*.png"))
    assert [path.name for path in pictures] == ["0000_0.png", "0000_1.png"]
    before = [path.stat().st_mtime_ns for path in pictures]
    draw_stills(tmp_path, characters=1)
    assert [path.stat().st_mtime_ns for path in pictures] == before, "what is there is kept"
    truth = tmp_path / "truth" / "0000_0.npz"
    with np.load(truth) as kept:
        points, mask = kept["points"], kept["mask"]
    size = len(read_image(pictures[0]))
    assert mask.shape == (size, size)
    assert mask[size // 2, size // 2] == 255
    assert mask[0, 0] == 0
    mesh = np.zeros((478, 3), np.float32)
    mesh[IBUG_68, :2] = points[FACE]
    mesh[10], mesh[152] = (*points[FACE][27] - (0, 40), 0), (*points[FACE][8], 0)
    assert _agrees(mesh, truth)
    assert not _agrees(mesh + np.float32(60), truth)
    made = with_truth(example_of(label(pictures[0], side=60)), truth)
    factor = max(made.image.shape[:2]) / size
    np.testing.assert_allclose(made.points, points[PERSON_POINTS] * factor, atol=0.01)
    assert set(np.unique(made.scores)) <= {0.0, 1.0}
    assert made.weight == 1
