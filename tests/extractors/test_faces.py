"""Whether there is one person in a frame, nobody, or several."""

import numpy as np
import pytest
import torch
from reel import SIDE, speaker

from paha.extractors.choose import pose_extractor
from paha.extractors.faces import people_reader, square_at, square_corners
from paha.types import FACE


@pytest.fixture(scope="module")
def people():
    torch.set_num_threads(1)
    return people_reader("presenter", pose_extractor("presenter"))


def test_a_presenter_is_told_from_nobody(people):
    frames, _ = speaker(11, 1.0)
    reading = people.read(frames[0])
    assert reading.track.keypoints.scores[0, FACE].mean() > 0.8
    assert reading.other_face == 0
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    for nobody in (np.zeros((SIDE, SIDE, 3), np.uint8), noise, np.repeat(frames[0][:, :1], SIDE, axis=1)):
        assert (people.read(nobody).track.keypoints.scores == 0).all()


def test_two_presenters_are_two_people_and_one_is_found_on_the_side(people):
    (a, _), (b, _) = speaker(11, 1.0), speaker(12, 1.0)
    both = people.read(np.concatenate([a[0], b[0]], axis=1))
    assert both.other_face > 0.5
    empty = np.repeat(b[0][:, -1:], SIDE, axis=1)
    aside = people.read(np.concatenate([empty, b[0]], axis=1))
    assert aside.other_face == 0
    assert SIDE < aside.track.face_box[0, 0] < aside.track.face_box[0, 2] < 2 * SIDE


def test_squares_cover_a_frame():
    assert square_corners(128, 128) == [(0, 0)]
    assert square_corners(128, 256) == [(64, 0), (0, 0), (128, 0)]
    assert square_corners(256, 128) == [(0, 64), (0, 0), (0, 128)]
    frame = np.zeros((128, 256, 3), np.uint8)
    assert square_at(frame, (128, 0)).shape == (128, 128, 3)
