"""The signals of a person's motion, measured off keypoints."""

import numpy as np
import pytest
from people import gentle_motion, keypoints

from paha.motion.face_model import FACE_68, IBUG_68
from paha.motion.person import SIGNAL_WIDTHS, PersonMotion, fit_head, measure, move_points, rotation_matrix
from paha.types import FACE


def test_the_mean_face_has_a_height_of_one_and_mirrors_itself():
    assert len(FACE_68) == len(IBUG_68) == 68
    assert FACE_68[8] == pytest.approx([0, 0.5, 0], abs=1e-3)
    assert FACE_68[:17][::-1] * [-1, 1, 1] == pytest.approx(FACE_68[:17])


def test_a_head_pose_is_recovered_from_its_points():
    angles = np.random.default_rng(0).uniform(-0.3, 0.3, (50, 3))
    points = np.einsum("tij,nj->tni", rotation_matrix(angles), FACE_68)[..., :2] * 180 + (300, 250)
    pose = fit_head(points)
    assert pose.rotation == pytest.approx(angles, abs=1e-5)
    assert pose.scale == pytest.approx(180, rel=1e-5)
    assert pose.centre == pytest.approx(np.tile((300, 250), (50, 1)), abs=1e-3)


@pytest.mark.parametrize(
    ("angle", "axis", "sign"),
    [((0.2, 0, 0), 0, 1), ((0, 0.2, 0), 1, 1), ((0, 0, 0.2), 0, 1)],
    ids=["yaw", "pitch", "roll"],
)
def test_positive_angles_turn_right_nod_down_and_tilt_clockwise(angle, axis, sign):
    tip = FACE_68[30] if axis == 1 or angle[0] else np.array([0.0, -0.5, 0.0])
    moved = rotation_matrix(np.array(angle)) @ tip - tip
    assert sign * moved[axis] > 0.01


def test_motion_is_what_is_measured_of_the_points_that_it_moved():
    reference, motion = keypoints(), gentle_motion()
    state = measure(reference[None], reference=reference)
    found = measure(move_points(reference, motion), reference=reference).relative_to(state)
    for name in SIGNAL_WIDTHS:
        if name == "gaze":  # not among the keypoints
            continue
        wanted, got = getattr(motion, name), getattr(found, name)
        error = np.abs(wanted - got).mean() / max(np.abs(wanted).mean(), 1e-6)
        assert error < (0.03 if name in ("head_shift", "head_rotation", "parts", "mouth_open") else 0.15), (
            f"{name}: {error:.3f}"
        )


def test_closed_lips_do_not_open_and_an_opening_is_in_face_heights():
    reference = keypoints(unit=123.0)
    assert measure(reference[None]).mouth_open[0] < 0.02
    motion = PersonMotion.rest(1)
    motion.mouth_open[:] = 0.08
    opened = measure(move_points(reference, motion), reference=reference)
    assert opened.mouth_open[0] - measure(reference[None]).mouth_open[0] == pytest.approx(0.08, abs=0.003)


def test_no_motion_leaves_every_point():
    reference = keypoints()
    assert move_points(reference, PersonMotion.rest(2))[1] == pytest.approx(reference, abs=1e-3)


def test_signals_survive_the_array_and_back():
    motion = gentle_motion()
    again = PersonMotion.from_array(motion.to_array())
    for name in SIGNAL_WIDTHS:
        assert getattr(again, name) == pytest.approx(getattr(motion, name))
        assert getattr(again, name).shape == getattr(motion, name).shape


def test_a_turned_face_keeps_its_points_when_it_does_not_move():
    angle = np.array([[0.4, 0.1, -0.2]])
    face = np.einsum("tij,nj->tni", rotation_matrix(angle), FACE_68)[0, :, :2] * 150 + 200
    reference = keypoints()
    reference[FACE] = face
    motion = PersonMotion.rest(1)
    motion.head_rotation[:, 0] = -0.2
    pose = fit_head(move_points(reference, motion)[:, FACE])
    assert pose.rotation[0] == pytest.approx([0.2, 0.1, -0.2], abs=0.06)
