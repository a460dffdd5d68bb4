"""A photograph's landmarks by MediaPipe, by stand-ins for its networks that read drawings."""

import numpy as np
import pytest

pytest.importorskip("mediapipe", reason="mediapipe is not installed: pip install 'paha[extract]'")

from mediapipe_stand_ins import FACE_SCORE, MESH, RED, draw_person, stand_ins

from paha.motion.mediapipe_landmarks import MediaPipeLandmarks
from paha.types import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND


@pytest.fixture(scope="module")
def reader() -> MediaPipeLandmarks:
    return MediaPipeLandmarks(stand_ins(fires_on=RED))


def drawing(height: int, width: int, *people: tuple[int, int, int], hands: bool = True) -> np.ndarray:
    image = np.full((height, width, 3), 20, np.uint8)
    for person in people:
        draw_person(image, *person, hands=hands)
    return image


def test_faces_are_found_largest_first_and_hands_are_none(reader):
    """The small one is less than a tenth of the picture: it is found in the halves and quarters."""
    image = drawing(400, 800, (160, 60, 60), (600, 80, 44))
    found = reader.find_faces(image)
    np.testing.assert_allclose(found[:, :4], [[160, 60, 220, 120], [600, 80, 644, 124]], atol=3)
    assert found[:, 4] == pytest.approx([FACE_SCORE] * 2)
    assert len(reader.find_faces(drawing(200, 300))) == 0


def test_a_face_mesh_lies_on_the_face_named(reader):
    image = drawing(400, 800, (160, 60, 60), (600, 80, 60))
    mesh = reader.read_face(image, np.array([596, 82, 650, 140], np.float32))
    assert mesh is not None
    np.testing.assert_allclose(mesh[:, :2], [600, 80] + 60 * MESH, atol=1.5)
    assert reader.read_face(image, np.array([380, 300, 440, 360], np.float32)) is None


@pytest.mark.parametrize("alone", [True, False])
def test_the_body_read_is_that_of_the_face(reader, alone):
    people = [(160, 60, 60)] if alone else [(160, 60, 60), (560, 60, 60)]
    image = drawing(400, 800, *people)
    reading = reader.read(image, np.array([160, 60, 220, 120], np.float32), alone=alone)
    assert reading is not None
    points, scores = reading.points, reading.scores
    assert (scores[FACE] == np.float32(FACE_SCORE)).all()
    np.testing.assert_allclose(points[BODY][[5, 6]], [[280, 150], [100, 150]], atol=2)
    assert (scores[BODY][[5, 6]] > 0.9).all()
    assert scores[BODY][11:].max() == scores[FEET].max() == 0  # what is hidden counts as not seen
    np.testing.assert_allclose(points[LEFT_HAND][0], [265, 210], atol=2)
    np.testing.assert_allclose(points[RIGHT_HAND][0], [115, 210], atol=2)
    assert reading.mask[150:156, 120:260].mean() > 0.8
    assert reading.mask[:140].max() < 0.1
    assert reading.mask[:, 400:].max() < 0.1


def test_hands_far_from_the_wrists_are_somebody_elses(reader):
    image = drawing(400, 800, (160, 60, 60), hands=False)
    image[330:360, 500:530] = RED
    reading = reader.read(image, np.array([160, 60, 220, 120], np.float32), alone=True)
    assert reading is not None
    assert reading.scores[LEFT_HAND].max() == reading.scores[RIGHT_HAND].max() == 0


def test_a_face_without_a_pose_has_a_body_by_the_shipped_estimator(reader):
    image = np.full((300, 300, 3), 20, np.uint8)
    image[60:140, 110:190] = (0, 255, 0)
    reading = reader.read(image, np.array([110, 60, 190, 140], np.float32), alone=True)
    assert reading is not None
    assert (reading.scores[FACE] == np.float32(FACE_SCORE)).all()
    assert reading.points[BODY].any()
    assert reading.scores[LEFT_HAND].max() == 0
    assert reading.mask.shape == (300, 300)


def test_no_face_is_no_person(reader):
    assert reader.read(drawing(200, 200), np.array([50, 50, 90, 90], np.float32), alone=True) is None
