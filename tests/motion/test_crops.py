"""Squares cut out of pictures, and where faces are looked for."""

import numpy as np
import pytest

from paha.motion.crops import Square, paste, searched_tiles, unique_boxes
from paha.motion.face_crop import FaceCrop
from paha.motion.face_model import IBUG_68
from paha.motion.landmarks import NUM_MESH_POINTS


def dot_picture(place, size=(300, 400), radius=6):
    """A black picture (H, W, 3) with a white disc about a place (x, y) px."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    disc = (x - place[0]) ** 2 + (y - place[1]) ** 2 < radius**2
    return np.repeat((255 * disc)[..., None], 3, 2).astype(np.uint8)


def centre_of(picture):
    """Where the light of a picture is, (x, y) px."""
    light = picture[..., 0].astype(float)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    return np.array([(x * light).sum(), (y * light).sum()]) / light.sum()


@pytest.mark.parametrize("size", [400, 173, 96, 40])
def test_square_shows_a_place_where_its_coordinates_say(size):
    square = Square(np.array([-50.0, -30.0], np.float32), 420.0)
    place = np.array([233.0, 148.0])
    seen = centre_of(square.cut(dot_picture(place), side=size))
    assert np.abs(seen - (place - square.corner) * size / square.side).max() < 0.1


def test_square_is_black_beyond_the_picture_and_never_larger_than_asked():
    white = np.full((50, 80, 3), 255, np.uint8)
    cut = Square.around_all(white.shape).cut(white, max_side=64)
    assert cut.shape == (64, 64, 3)
    assert not cut[:8].any()
    assert (cut[16:48] == 255).all()
    assert not Square(np.array([500.0, 500.0], np.float32), 200.0).cut(white, side=32).any()


def test_paste_puts_a_mask_back():
    square = Square(np.array([30.0, 40.0], np.float32), 120.0)
    mask = np.zeros((60, 60), np.float32)
    mask[20:40, 10:50] = 1
    pasted = paste(mask, square, (200, 220))
    assert pasted[100, 90] == 1
    assert abs(pasted.sum() - 4 * mask.sum()) < 0.05 * pasted.sum()
    assert not pasted[:60].any()


def test_unique_boxes_keeps_each_face_once_largest_first():
    small, large, again = ([0, 0, 20, 20, 0.9], [100, 0, 160, 70, 0.6], [104, 3, 158, 71, 0.5])
    kept = unique_boxes([np.array(box, np.float32) for box in (small, large, again)])
    assert kept[:, 0].tolist() == [100, 0]


def mesh_at(centre, height, roll):
    """A mesh (478, 3) whose forehead and chin lie on a line rolled clockwise, other points about it."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.4, 0.4, (NUM_MESH_POINTS, 2))
    points[10], points[152] = (0, -0.5), (0, 0.5)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return np.concatenate([points @ turn.T * height + centre, rng.normal(size=(NUM_MESH_POINTS, 1))], 1)


@pytest.mark.parametrize("roll", [0.0, 0.5, -1.2])
@pytest.mark.parametrize("height", [60.0, 190.0])
def test_face_crop_turns_the_face_upright_and_back(roll, height):
    mesh = mesh_at(np.array([200.0, 150.0]), height, roll)
    crop = FaceCrop.about(mesh)
    assert abs(crop.angle - roll) < 1e-6
    inside = crop.from_picture(mesh, 128)
    assert abs(inside[10, 0] - inside[152, 0]) < 1e-3
    assert inside[10, 1] < inside[152, 1]
    assert inside[IBUG_68, :2].min() > 0
    assert inside[:, :2].max() < 128
    assert np.allclose(crop.to_picture(inside, 128), mesh, atol=1e-3)


@pytest.mark.parametrize("side", [90.0, 250.0])
def test_face_crop_shows_a_place_where_its_coordinates_say(side):
    crop = FaceCrop(np.array([210.0, 160.0]), side, 0.4)
    place = np.array([[225.0, 140.0]])
    seen = centre_of(crop.cut(dot_picture(place[0]), 128))
    assert np.abs(seen - crop.from_picture(place, 128)[0]).max() < 0.15


def test_small_faces_are_looked_for_only_where_no_large_one_was_found():
    image, found = np.zeros((400, 400, 3), np.uint8), []
    sides = []
    for _, _, tile in searched_tiles(image, found, smallest=60):
        sides.append(tile.shape[0])
        if tile.shape[0] == 200 and not found:
            found.append(np.array([0, 0, 40, 50, 1], np.float32))  # a small face in a half: no quarters
    assert sides[0] == 400
    assert set(sides[1:]) == {200}
    large = [np.array([0, 0, 120, 150, 1], np.float32)]
    assert [tile.shape[0] for *_, tile in searched_tiles(image, large, smallest=60)] == []
    assert {tile.shape[0] for *_, tile in searched_tiles(image, [], smallest=60)} == {400, 200, 100}
    assert {tile.shape[0] for *_, tile in searched_tiles(image, [], smallest=150)} == {400, 200}
