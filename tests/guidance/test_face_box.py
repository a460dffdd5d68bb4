"""The face box that M_face is made of."""

import numpy as np
import pytest

from paha.errors import PahaError
from paha.extractors.choose import PRESENTER_READER
from paha.guidance.face_box import find_face_box, parse_face_box
from paha.media.image_io import read_image
from paha.pipeline.loading import SHIPPED_MODEL

READER = PRESENTER_READER
IMAGE = SHIPPED_MODEL.with_name("presenter_images") / "amara.png"


def test_a_box_by_hand_is_in_pixels_of_the_image_and_follows_the_crop():
    image = np.zeros((100, 200, 3), np.uint8)
    found = find_face_box(image, width=64, height=64, by_hand=(75, 20, 125, 60))
    np.testing.assert_allclose(found.box, [0.25, 0.2, 0.75, 0.6], atol=1e-6)
    assert found.source == "hand"
    with pytest.raises(PahaError, match="lies outside the picture"):
        find_face_box(image, width=64, height=64, by_hand=(0, 0, 40, 40))


def test_the_pose_reader_finds_a_presenters_face_and_says_so():
    found = find_face_box(read_image(IMAGE), width=128, height=128, pose_reader=READER)
    assert found.source == "the pose reader"
    x0, y0, x1, y1 = found.box
    assert 0.1 < x0 < 0.5 < x1 < 0.9
    assert 0 <= y0 < 0.4 < y1 + 0.15


def test_without_any_detector_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(PahaError, match="--face-box"):
        find_face_box(np.zeros((64, 64, 3), np.uint8), width=64, height=64, pose_reader=tmp_path / "none")


def test_mediapipe_finds_the_face_of_a_photograph(shared, monkeypatch):
    pytest.importorskip("mediapipe")
    if not (shared / "weights/blaze_face_short_range.tflite").is_file():
        pytest.skip("no MediaPipe weights in ../shared/weights")
    monkeypatch.setenv("PAHA_WEIGHTS", str(shared / "weights"))
    found = find_face_box(read_image(shared / "media/stills/astronaut.png"), width=256, height=256)
    assert found.source.startswith("MediaPipe, score")
    assert 0.2 < (found.box[0] + found.box[2]) / 2 < 0.6


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "5,5,4,9", "nan,1,2,3"])
def test_bad_boxes_are_one_line(text):
    with pytest.raises(PahaError, match="--face-box"):
        parse_face_box(text)
