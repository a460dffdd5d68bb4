"""Landmarks of photographs: which face, what is refused, what is warned of."""

import importlib.util

import numpy as np
import pytest

from paha.errors import PahaError
from paha.media.image_io import read_image
from paha.motion.heat_maps import decode_faces, peaks
from paha.motion.landmark_checks import MIN_FACE_PX, head_yaw_degrees, is_flat_drawing, warnings_of
from paha.motion.landmarks import PersonReading, choose_face, find_landmarks
from paha.motion.own_landmarks import SHIPPED_ESTIMATOR, OwnLandmarks
from paha.types import FACE, LEFT_HAND

PRESENTERS = SHIPPED_ESTIMATOR.parents[1] / "presenter_images"
FACES = np.array([[100, 50, 160, 130, 0.9], [10, 60, 50, 110, 0.8]], np.float32)


def test_largest_face_is_chosen_unless_another_is_named():
    assert choose_face(FACES, face_box=None, size=(200, 300)) == 0
    assert choose_face(FACES, face_box=(5, 50, 60, 120), size=(200, 300)) == 1


def test_face_box_that_names_nobody_says_where_faces_are():
    with pytest.raises(PahaError, match=r"no face in --face-box 200,0,240,40.*100,50,160,130; 10,60,50,110"):
        choose_face(FACES, face_box=(200, 0, 240, 40), size=(200, 300))
    with pytest.raises(PahaError, match="is no box"):
        choose_face(FACES, face_box=(50, 0, 40, 40), size=(200, 300))


def test_picture_without_a_face_is_refused():
    rng = np.random.default_rng(0)
    for picture in (np.full((120, 200, 3), 90), rng.integers(0, 255, (150, 150, 3)), np.zeros((1, 1, 3))):
        with pytest.raises(PahaError, match="no face was found"):
            find_landmarks(picture.astype(np.uint8), detector="own")


def test_face_too_small_is_refused():
    picture = read_image(PRESENTERS / "chen.png")
    small = np.ascontiguousarray(picture[::3, ::3])
    with pytest.raises(PahaError, match=f"at least {MIN_FACE_PX} are needed|no face was found"):
        find_landmarks(small, detector="own")


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4)])
def test_what_is_no_picture_is_a_programming_error(shape):
    with pytest.raises(ValueError, match="uint8"):
        find_landmarks(np.zeros(shape, np.uint8), detector="own")


def test_unknown_detector_lists_the_known_ones():
    with pytest.raises(PahaError, match="known: mediapipe, own, auto"):
        find_landmarks(np.zeros((10, 10, 3), np.uint8), detector="best")  # type: ignore[arg-type]


def test_missing_weights_name_the_command_that_makes_them(tmp_path):
    with pytest.raises(PahaError, match="paha train keypoint-estimator"):
        OwnLandmarks.load(tmp_path)


def reading_of(face, points=None, scores=None, face_score=0.9):
    points = np.zeros((133, 2), np.float32) if points is None else points
    scores = np.zeros(133, np.float32) if scores is None else scores
    return PersonReading(face.astype(np.float32), points, scores, np.ones((8, 8), np.float32), face_score)


def turned_face(degrees):
    """A flat face that is turned about its vertical axis."""
    rng = np.random.default_rng(1)
    flat = rng.uniform(20, 100, (478, 2))
    flat[234], flat[454] = (20, 60), (100, 60)
    angle = np.radians(degrees)
    return np.stack([(flat[:, 0] - 60) * np.cos(angle) + 60, flat[:, 1], (flat[:, 0] - 60) * np.sin(angle)], 1)


@pytest.mark.parametrize("degrees", [-60, -20, 0, 35, 70])
def test_yaw_and_its_warning(degrees):
    face = turned_face(degrees)
    assert abs(head_yaw_degrees(face) - degrees) < 1e-3
    image = np.random.default_rng(0).integers(0, 255, (120, 120, 3)).astype(np.uint8)
    told = warnings_of(image, reading_of(face), box=FACES[0], others=FACES[:0], named=False)
    assert any("turned by" in line for line in told) == (abs(degrees) > 45)


def test_warnings_name_the_other_people_the_hand_and_the_doubt():
    image = np.random.default_rng(0).integers(0, 255, (120, 120, 3)).astype(np.uint8)
    face = turned_face(0)
    points, scores = np.zeros((133, 2), np.float32), np.zeros(133, np.float32)
    points[LEFT_HAND], scores[LEFT_HAND] = face[[61, 37, 267, 291, 314, 84, 17]][:, :2].mean(0), 0.9
    reading = reading_of(face, points, scores, face_score=0.5)
    told = " | ".join(warnings_of(image, reading, box=FACES[0], others=FACES[1:, :4], named=False))
    assert "2 people were found" in told
    assert "--face-box" in told
    assert "something covers the mouth" in told
    assert "low confidence" in told
    assert "2 people" not in " ".join(warnings_of(image, reading, box=FACES[0], others=FACES[1:, :4], named=True))


def test_flat_colours_look_drawn_and_noise_does_not():
    face = turned_face(0)
    assert is_flat_drawing(np.full((120, 120, 3), 200, np.uint8), face)
    noisy = np.random.default_rng(0).integers(100, 140, (120, 120, 3)).astype(np.uint8)
    assert not is_flat_drawing(noisy, face)


def test_decode_faces_reads_peaks_and_drops_the_same_face_twice():
    heat, boxes = np.zeros((20, 20)), np.zeros((4, 20, 20))
    heat[5, 8], heat[6, 10], heat[14, 3] = 0.9, 0.6, 0.5
    boxes[:, 5, 8] = 0.2, -0.1, np.log(6), np.log(8)
    boxes[:, 6, 10] = -1.5, -0.9, np.log(6), np.log(8)
    boxes[:, 14, 3] = 0, 0, np.log(2), np.log(3)
    found = decode_faces(heat, boxes)
    assert found[:, 4].tolist() == pytest.approx([0.9, 0.5])
    assert found[0, :4] * 20 == pytest.approx([8.7 - 3, 5.4 - 4, 8.7 + 3, 5.4 + 4], abs=1e-4)


def test_point_lies_at_the_higher_of_two_peaks_not_between_them():
    heat = np.zeros((2, 20, 20))
    heat[0, 4, 5], heat[0, 4, 6], heat[0, 15, 17] = 0.45, 0.15, 0.4
    heat[1] = 1 / 400
    places, shares = peaks(heat.reshape(2, 400))
    assert places[0] * 20 == pytest.approx([5.75, 4.5], abs=1e-5)
    assert shares[0] == pytest.approx(0.6)
    assert shares[1] < 0.13


@pytest.mark.parametrize("name", ["amara", "boris", "chen", "dalia"])
def test_shipped_estimator_reads_drawn_presenters(name):
    image = read_image(PRESENTERS / f"{name}.png")
    found = find_landmarks(image, detector="own")
    assert found.source == "own"
    assert 60 < found.face_height < 90
    assert found.mask.shape == image.shape[:2]
    assert found.mask[120:200, 120:140].mean() > 0.8
    assert found.mask[:20, :20].mean() < 0.2
    left, right = found.points[5], found.points[6]
    assert left[0] > right[0] + 60
    assert (found.scores[FACE] > 0.5).all()
    # Upright: brows above eyes above nose above mouth above chin.
    heights = [found.points[FACE][part, 1].mean() for part in (slice(17, 27), slice(36, 48), [30], slice(48, 68), [8])]
    assert heights == sorted(heights)


def test_shipped_estimator_does_not_care_about_the_pictures_size_and_shape():
    image = read_image(PRESENTERS / "chen.png")
    plain = find_landmarks(image, detector="own")
    wide = np.full((400, 900, 3), 60, np.uint8)
    wide[100:356, 600:856] = image
    moved = find_landmarks(wide, detector="own")
    offset = np.linalg.norm(moved.face[:, :2] - plain.face[:, :2] - [600, 100], axis=1)
    assert offset.mean() < 0.03 * plain.face_height


@pytest.mark.skipif(importlib.util.find_spec("mediapipe") is None, reason="mediapipe is not installed")
def test_shipped_estimator_agrees_with_mediapipe(shared, monkeypatch):
    monkeypatch.setenv("PAHA_WEIGHTS", str(shared / "weights"))
    stills = shared / "stills" / "test"
    if not stills.is_dir():
        pytest.skip("no stills: ../shared/stills is missing")
    errors = []
    for path in sorted(stills.iterdir())[::12]:
        image = read_image(path)
        own, other = (find_landmarks(image, detector=name) for name in ("own", "mediapipe"))
        assert other.source == "mediapipe"
        error = np.linalg.norm(own.points[FACE] - other.points[FACE], axis=1).mean() / other.face_height
        overlap = ((own.mask > 0.5) & (other.mask > 0.5)).sum() / ((own.mask > 0.5) | (other.mask > 0.5)).sum()
        errors.append((error, overlap))
    assert np.mean(errors, axis=0)[0] < 0.04
    assert np.mean(errors, axis=0)[1] > 0.72
