"""Another mouth in a frame: the lower half of the face moves, the rest is the frame to the bit."""

import cv2
import numpy as np
import pytest

from paha.errors import PahaError
from paha.media.image_io import read_image
from paha.motion.dubbing import FaceTrack, FaceTracker, dub_frame, lower_face, mouth_motion
from paha.motion.landmarks import own_landmarks
from paha.motion.person import PersonMotion
from paha.pipeline.loading import SHIPPED_MODEL

PICTURE = cv2.resize(read_image(SHIPPED_MODEL.with_name("presenter_images") / "astronaut.png"), (320, 320))
BLANK = np.full_like(PICTURE, 128)


def track_of(*frames: np.ndarray) -> FaceTrack:
    tracker = FaceTracker(own_landmarks())
    for frame in frames:
        tracker.add(frame)
    track = tracker.track()
    assert track is not None
    return track


@pytest.fixture(scope="module")
def track() -> FaceTrack:
    return track_of(PICTURE)


def opened(by: float) -> PersonMotion:
    motion = PersonMotion.rest(1)
    motion.mouth_open[:] = by
    return motion


def test_without_motion_a_frame_comes_back_to_the_bit(track: FaceTrack):
    assert np.array_equal(dub_frame(PICTURE, track.meshes[0], opened(0), 0), PICTURE)


@pytest.mark.parametrize("by", [0.08, -0.05])
def test_only_the_lower_half_of_the_face_changes(track: FaceTrack, by: float):
    mesh = track.meshes[0]
    frame = dub_frame(PICTURE, mesh, opened(by), 0)
    height = float(np.linalg.norm(mesh[10, :2] - mesh[152, :2]))
    inside = lower_face(mesh, PICTURE.shape[:2], height) > 0
    assert 0.005 < inside.mean() < 0.2
    assert np.array_equal(frame[~inside], PICTURE[~inside])
    assert (frame[inside] != PICTURE[inside]).any(-1).mean() > 0.1
    down = (mesh[152, :2] - mesh[10, :2]) / height
    rows, columns = np.nonzero(inside)
    assert ((np.stack([columns, rows], 1) + 0.5 - mesh[1, :2]) @ down).min() > -2, "above the tip of the nose"


def test_the_mouth_opens_as_asked(track: FaceTrack):
    frames = [dub_frame(PICTURE, track.meshes[0], opened(by), 0) for by in (0, 0.05, 0.1)]
    gaps = [track_of(frame).state.mouth_open[0] for frame in frames]
    assert gaps[0] + 0.015 < gaps[1] < gaps[2] - 0.015


def test_a_face_at_the_border_is_moved_as_well(track: FaceTrack):
    x, y = track.meshes[0][152, :2].astype(int)
    cut = np.ascontiguousarray(PICTURE[: y + 2, x - 10 :])
    mesh = track.meshes[0] - np.array([x - 10, 0, 0], np.float32)
    frame = dub_frame(cut, mesh, opened(0.08), 0)
    assert frame.shape == cut.shape
    assert (frame != cut).any()


def test_frames_without_a_face_stay_and_the_mouth_fades_there():
    track = track_of(*[PICTURE] * 5, BLANK, *[PICTURE] * 5)
    assert track.found.tolist() == [True] * 5 + [False] + [True] * 5
    assert track.presence[5] == 0
    assert 0 < track.presence[4] < 1
    assert track.presence[0] == pytest.approx(1, abs=0.01)
    assert np.abs(track.meshes[5] - track.meshes[0]).max() < 2
    wanted = PersonMotion.from_array(np.ones((11, 32), np.float32))
    motion = mouth_motion(wanted, PersonMotion.rest(11), track.presence)
    assert np.allclose(motion.mouth_open, track.presence)
    assert not motion.head_shift.any()
    assert not motion.lids.any()


def test_no_face_in_any_frame_is_no_track():
    tracker = FaceTracker(own_landmarks())
    tracker.add(BLANK)
    assert tracker.track() is None


def test_a_box_without_a_face_is_refused():
    with pytest.raises(PahaError, match="no face in --face-box"):
        FaceTracker(own_landmarks(), (0, 300, 10, 310)).add(PICTURE)
