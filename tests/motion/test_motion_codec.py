"""Motion to latents and back."""

import json

import numpy as np
import pytest
import torch
from people import gentle_motion, keypoints, person

from paha.motion.geometry import Geometry
from paha.motion.motion_codec import CHANNELS, FACE_CELLS, PART_GAINS, MotionCodec, shaped_noise
from paha.motion.painting import blobs, shared
from paha.motion.person import PARTS, SIGNAL_WIDTHS, PersonMotion, move_points
from paha.types import FACE, Keypoints

CODEC = MotionCodec()


def test_a_reference_has_a_latent_of_zero():
    reference = person()
    still = Keypoints(reference.points[None].repeat(3, 0), reference.scores[None].repeat(3, 0))
    assert CODEC.encode(still, reference).abs().max() < 1e-4


def test_what_is_painted_is_read_again():
    motion, grid = gentle_motion(), CODEC.grid(person())
    read = grid.read(grid.paint(motion))
    for name in SIGNAL_WIDTHS:
        assert getattr(read, name) == pytest.approx(getattr(motion, name), abs=2e-3), name


def test_round_trip_of_keypoints_in_face_heights():
    reference = person()
    true = move_points(reference.points, gentle_motion())
    latents = CODEC.encode(Keypoints(true, np.ones((len(true), 133), np.float32)), reference)
    error = np.linalg.norm(CODEC.decode(latents, reference).points - true, axis=-1) / reference.unit
    assert latents.shape == (40, len(CHANNELS), 8, 8)
    assert error[:, FACE].mean() < 0.004
    assert error.mean() < 0.004


def test_missing_parts_leave_their_cells_empty_and_are_told_to_the_network():
    motion = gentle_motion()
    motion.head_shift[:] = 0
    whole, face = CODEC.grid(person()), CODEC.grid(person(body=False))
    assert whole.paint(motion)[:, :2].abs().amax() > 0.1
    assert face.paint(motion)[:, :2].abs().amax() == 0
    assert face.read(face.paint(motion)).parts == pytest.approx(0)
    assert whole.reference_channels()[1:5].abs().amax((1, 2)).min() > 0.3
    assert face.reference_channels()[1:5].abs().amax() == 0


def test_parts_that_move_little_are_painted_as_strongly_as_those_that_move_much():
    motion, reference = gentle_motion(), person()
    even = MotionCodec(part_gains=(1.0,) * 9).grid(reference)
    own = CODEC.grid(reference)
    lifted = own.canvases["shift_x"].maps / np.maximum(even.canvases["shift_x"].maps, 1e-6)
    for part, gain in enumerate(PART_GAINS):
        seen = even.canvases["shift_x"].maps[part] > 1e-3
        assert lifted[part][seen] == pytest.approx(gain, rel=1e-4)
    assert own.read(own.paint(motion)).parts == pytest.approx(even.read(even.paint(motion)).parts, abs=2e-3)


def test_the_grid_is_the_faces_own_whatever_the_picture():
    near = Geometry.of(keypoints(unit=300.0, middle=(900, 80)), person().scores)
    latents = CODEC.grid(near).paint(gentle_motion())
    assert latents == pytest.approx(CODEC.grid(person()).paint(gentle_motion()), abs=1e-4)


def test_a_frame_may_be_the_reference():
    """Frame 5 as the reference: motion since frame 5 decodes to the same points."""
    true = move_points(person().points, gentle_motion())
    reference = Geometry.of(true[5], person().scores)
    latents = CODEC.encode(Keypoints(true, np.ones((len(true), 133), np.float32)), reference)
    assert latents[5].abs().max() < 1e-3
    error = np.linalg.norm(CODEC.decode(latents, reference).points - true, axis=-1) / reference.unit
    assert error[:, FACE].mean() < 0.01


def test_noise_on_all_cells_is_averaged():
    grid = CODEC.grid(person())
    noise = torch.randn(200, len(CHANNELS), 8, 8, generator=torch.Generator().manual_seed(0))
    read = grid.read(noise)
    one_cell = 1 / CODEC.config["scales"][CHANNELS.index("mouth_open")]
    assert read.mouth_open.std() < 0.98 * one_cell


def test_what_only_a_face_does_is_painted_on_the_face_alone():
    motion = PersonMotion.rest(1)
    motion.mouth_open[:] = motion.gaze[:] = motion.lids[:] = motion.brows[:] = 0.1
    painted = CODEC.grid(person()).paint(motion)[0].abs().amax(0)
    inside = painted[1:3, 3:5].clone()
    painted[1:3, 3:5] = 0
    assert inside.min() > 0.1
    assert painted.max() == 0


def test_places_off_the_grid_are_unseen():
    canvas = blobs(np.array([[4.0, 4.0], [-2.0, 4.0]]), np.ones(2, bool), cells=8, sigma=0.5)
    assert canvas.seen.tolist() == [True, False]
    assert canvas.read(canvas.paint(np.ones((1, 2), np.float32))) == pytest.approx(np.array([[1.0, 0.0]]), abs=1e-2)


def test_the_codec_is_stored_with_its_scales(tmp_path):
    scales = tuple(float(i + 1) for i in range(len(CHANNELS)))
    MotionCodec(scales=scales).save_pretrained(tmp_path)
    again = MotionCodec.from_pretrained(tmp_path)
    grid, motion = person(), PersonMotion.rest(1)
    motion.mouth_open[:] = 0.1
    ratio = again.grid(grid).paint(motion)[0, 5].max() / CODEC.grid(grid).paint(motion)[0, 5].max()
    assert float(ratio) == pytest.approx(6.0 / CODEC.config["scales"][5])


def test_a_codec_stored_before_there_were_gains_paints_as_it_did_then(tmp_path):
    CODEC.save_pretrained(tmp_path)
    path, reference = tmp_path / "config.json", person()
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "part_gains"}))
    grid = MotionCodec.from_pretrained(tmp_path).grid(reference)
    # The places as they were painted without any factor.
    points = np.concatenate([reference.head.centre, reference.points[PARTS]])
    seen = np.append(True, reference.parts_seen)
    plain = shared(blobs(reference.to_cells(points), seen, cells=8, sigma=0.6))
    assert np.array_equal(grid.canvases["shift_y"].maps, plain.maps)
    assert not MotionCodec.from_pretrained(tmp_path).is_todays
    assert CODEC.is_todays


def test_lips_get_less_noise_shifts_more_and_others_their_own():
    noise = torch.randn(1, 3, len(CHANNELS), 8, 8)
    shaped = shaped_noise(noise, lips=0.25, shifts=2.0)
    less = {"mouth_open": 0.25, "mouth_wide": 0.25, "lip_press": 0.25}
    factors: dict[str, float] = {**less, "shift_x": 2.0, "shift_y": 2.0}
    for index, name in enumerate(CHANNELS):
        expected = factors.get(name, 1.0) * noise[:, :, index]
        if name.startswith("shift"):
            expected[..., *FACE_CELLS] = 0.25 * noise[:, :, index][..., *FACE_CELLS]
        assert torch.equal(shaped[:, :, index], expected), name
    assert torch.equal(shaped_noise(noise, lips=1.0, shifts=1.0), noise)
