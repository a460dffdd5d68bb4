"""The small network that reads the keypoints of drawn people."""

import numpy as np
import pytest
import torch

from paha.extractors.pose_reader import (
    CROP_GROW,
    INPUT_SIZE,
    PoseReader,
    cell_centres,
    crop_faces,
    crop_square,
)
from paha.types import FACE


@pytest.fixture(scope="module")
def reader():
    torch.manual_seed(0)
    return PoseReader(widths=(8, 16, 16), face_widths=(8, 8, 8), face_hidden=8).eval()


def frames(count=3, height=128, width=128, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_reading_has_the_shapes_and_ranges_promised(reader):
    reading = reader.read(frames(3, 96, 160))
    assert reading.points.shape == (3, 133, 2)
    assert reading.scores.shape == (3, 133)
    assert reading.face_box.shape == (3, 4)
    assert reading.mouth_open.shape == (3,)
    assert all(value.dtype == np.float32 for value in vars(reading).values())
    assert 0 <= reading.scores.min() <= reading.scores.max() <= 1
    assert 0 <= reading.mouth_open.min() <= reading.mouth_open.max() <= 1


def test_points_are_in_pixels_of_the_frames_given(reader):
    shade = np.arange(0, 256, 2, dtype=np.uint8)
    small = np.stack([np.broadcast_to(shade[:, None], (128, 128)), np.broadcast_to(shade[::-1], (128, 128))])
    small = small[..., None].repeat(3, axis=-1)
    large = small.repeat(2, axis=1).repeat(3, axis=2)
    at_input, scaled = reader.read(small), reader.read(large)
    np.testing.assert_allclose(scaled.points, at_input.points * (3, 2), atol=1)
    np.testing.assert_allclose(scaled.face_box, at_input.face_box * (3, 2, 3, 2), atol=1)


def test_batches_do_not_change_the_reading(reader):
    images = frames(5)
    together, apart = reader.read(images), reader.read(images, batch_size=2)
    for name, value in vars(together).items():
        np.testing.assert_allclose(getattr(apart, name), value, atol=1e-3, err_msg=name)


def test_other_than_uint8_frames_are_refused(reader):
    with pytest.raises(ValueError, match="uint8"):
        reader.read(frames().astype(np.float32))
    with pytest.raises(ValueError, match="uint8"):
        reader.read(frames()[0])
    with pytest.raises(ValueError, match="uint8"):
        reader.read(frames(0))


def test_a_peaked_heatmap_gives_the_centre_of_its_cell():
    centres = cell_centres((2, 4), like=torch.zeros(1))
    assert centres.shape == (8, 2)
    torch.testing.assert_close(centres[0], torch.tensor([0.125, 0.25]))
    torch.testing.assert_close(centres[6], torch.tensor([0.625, 0.75]))


def test_the_crop_of_a_square_box_is_what_the_box_holds():
    x = torch.linspace(-1, 1, INPUT_SIZE).expand(1, 3, INPUT_SIZE, -1).contiguous()
    crop = crop_faces(x, torch.tensor([[0.25, 0.25, 0.75, 0.75]]))
    torch.testing.assert_close(crop[0, 0, 0, [0, -1]], torch.tensor([-0.5, 0.5]), atol=0.02, rtol=0)


def test_the_crop_square_is_centred_and_grown():
    square = crop_square(torch.tensor([[0.4, 0.3, 0.6, 0.7]]))
    torch.testing.assert_close((square[:, :2] + square[:, 2:]) / 2, torch.tensor([[0.5, 0.5]]))
    torch.testing.assert_close(square[:, 2:] - square[:, :2], torch.full((1, 2), 0.4 * CROP_GROW))


def test_the_mouth_is_read_off_the_crop_and_only_face_points_are_refined(reader):
    x = torch.rand(2, 3, INPUT_SIZE, INPUT_SIZE) * 2 - 1
    with torch.no_grad():
        reader.face_head.moves.bias.fill_(0.1)
        one = reader(x, torch.tensor([[0.1, 0.1, 0.4, 0.4]] * 2))
        other = reader(x, torch.tensor([[0.5, 0.5, 0.9, 0.9]] * 2))
        reader.face_head.moves.bias.zero_()
    assert (one.mouth_open != other.mouth_open).all()
    assert torch.equal(one.coarse_points, other.coarse_points)
    moved = (one.points != one.coarse_points).any(-1)
    assert moved[:, FACE].all()
    assert not moved[:, : FACE.start].any()
    assert not moved[:, FACE.stop :].any()


def test_the_default_reader_is_small_and_survives_half_precision(tmp_path):
    torch.manual_seed(0)
    reader = PoseReader().eval()
    images = frames(1)
    expected = reader.read(images)
    reader.half().save_pretrained(tmp_path)
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) <= 5e6
    loaded = PoseReader.from_pretrained(tmp_path)
    assert loaded.dtype == torch.float32
    reading = loaded.read(images)
    np.testing.assert_allclose(reading.points, expected.points, atol=0.5)
    np.testing.assert_allclose(reading.scores, expected.scores, atol=0.01)
