"""DWPose's runner on two toy networks of the same contract (tests/extractors/onnx): one person, the brightest point."""

from pathlib import Path

import numpy as np
import pytest

from paha.errors import PahaError
from paha.extractors.dwpose import DWPose, crop_matrix, decode_simcc, decode_yolox, letterbox

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'paha[extract]'")
TOYS = Path(__file__).parent / "onnx"


@pytest.fixture(scope="module")
def dwpose() -> DWPose:
    return DWPose.load(detector=TOYS / "toy_yolox.onnx", pose=TOYS / "toy_pose.onnx", threads=1)


def test_a_bright_point_is_found_where_it_is(dwpose):
    frames = np.zeros((2, 240, 320, 3), np.uint8)
    frames[0, 96:108, 146:158] = 255
    frames[1, 126:138, 176:188] = 255
    track = dwpose.detect(frames)
    assert track.keypoints.points.shape == (2, 133, 2)
    for points, where in zip(track.keypoints.points, ((152, 102), (182, 132)), strict=True):
        # A pixel of the crop is 3.9 of the frame's, and SimCC's argmax takes the first of equals.
        np.testing.assert_allclose(points, np.broadcast_to(where, (133, 2)), atol=7)
    assert (track.keypoints.scores == 1).all()  # the toy's maximum is 2.2: clamped
    assert track.face_box.shape == (2, 4)
    assert track.mouth_open.shape == (2,)


def test_people_come_in_pixels_of_the_frame(dwpose):
    people = dwpose.find_people(np.zeros((240, 320, 3), np.uint8))
    # Centre (32, 24), size 32 x 40 in the detector's 64 pixels: five times that in the frame.
    np.testing.assert_allclose(people, [[80, 20, 240, 220, 0.81]], atol=1e-3)


def test_overlapping_boxes_and_other_classes_are_dropped():
    raw = np.zeros((84, 85), np.float32)
    raw[80, :6] = [1, 1, 0, 0, 0.9, 0.9]
    raw[81, :6] = [0.1, 1, 0, 0, 0.9, 0.8]  # nearly the same place
    raw[82, :5] = [0.5, 0.5, 0, 0, 0.9]
    raw[82, 7] = 0.9  # something else
    assert len(decode_yolox(raw, side=64, scale=1.0)) == 1


def test_the_crop_holds_the_grown_box_at_its_aspect():
    matrix = crop_matrix(np.array([100, 50, 200, 250], np.float32), width=288, height=384)
    centre = matrix @ [150, 150, 1]
    np.testing.assert_allclose(centre, [144, 192])
    np.testing.assert_allclose(matrix[0, 0], matrix[1, 1])
    low, high = matrix @ [100, 50, 1], matrix @ [200, 250, 1]
    np.testing.assert_allclose((high - low)[1] * 1.25, 384)
    assert (low > 0).all()


def test_scores_are_the_smaller_maximum_clamped():
    x, y = np.zeros((133, 20)), np.zeros((133, 30))
    x[:, 7], y[:, 4] = 1.7, 0.6
    y[5, 4] = 1.2
    places, scores = decode_simcc(x, y)
    assert places[0].tolist() == [3.5, 2.0]
    assert scores[0] == pytest.approx(0.6)
    assert scores[5] == 1


def test_letterbox_keeps_the_aspect():
    picture, scale = letterbox(np.full((100, 200, 3), 9, np.uint8), 64)
    assert scale == pytest.approx(0.32)
    assert (picture[:32] == 9).all()
    assert (picture[32:] == 114).all()


def test_wrong_files_are_named(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(PahaError, match=r"cannot load .*a\.onnx"):
        DWPose.load(detector=tmp_path / "a.onnx", pose=TOYS / "toy_pose.onnx")
    with pytest.raises(PahaError, match="another network: 2 outputs, not 1"):
        DWPose.load(detector=TOYS / "toy_pose.onnx", pose=TOYS / "toy_pose.onnx")


def test_other_frames_than_uint8_are_refused(dwpose):
    with pytest.raises(ValueError, match="uint8"):
        dwpose.detect(np.zeros((1, 8, 8, 3), np.float32))
