"""Where MediaPipe's points come to lie in a frame, by stand-ins for its networks that read drawings."""

from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("mediapipe", reason="mediapipe is not installed: pip install 'paha[extract]'")

from mediapipe_stand_ins import FACE_SCORE, HAND_SCORE, MESH, MOUTH_GAP, RED, PoseTask, draw_person, stand_ins

from paha.errors import PahaError
from paha.extractors.faces import MediaPipePeople
from paha.extractors.mediapipe_points import FACE_OF_MESH
from paha.extractors.mediapipe_pose import MediaPipePose
from paha.extractors.mediapipe_tasks import Tasks, load_tasks
from paha.types import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND


def picture(height: int = 240, width: int = 200) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def face_at(x: int, y: int, side: int) -> np.ndarray:
    """(68, 2) face points of a person drawn there."""
    return np.array([x, y]) + side * MESH[list(FACE_OF_MESH)]


@pytest.fixture
def pose() -> MediaPipePose:
    return MediaPipePose(stand_ins())


@pytest.mark.parametrize(("height", "width", "x", "y"), [(240, 200, 80, 30), (200, 420, 300, 20), (400, 220, 60, 210)])
def test_a_person_is_read_where_it_is_drawn(pose, height, width, x, y):
    """Whatever the shape of the frame, and though face and hands are read in crops of it."""
    frame = picture(height, width)
    draw_person(frame, x, y, 40)
    track = pose.detect(frame[None])
    points, scores = track.keypoints.points[0], track.keypoints.scores[0]
    face = face_at(x, y, 40)
    np.testing.assert_allclose(points[FACE], face, atol=1)
    np.testing.assert_allclose(track.face_box[0], [*face.min(0), *face.max(0)], atol=1)
    assert track.mouth_open is not None
    assert track.mouth_open[0] == pytest.approx(MOUTH_GAP, abs=0.02)
    np.testing.assert_allclose(points[5], [x + 80, y + 60], atol=1)
    np.testing.assert_allclose(points[6], [x - 40, y + 60], atol=1)
    np.testing.assert_allclose(points[LEFT_HAND], np.tile([x + 70, y + 100], (21, 1)), atol=1)
    np.testing.assert_allclose(points[RIGHT_HAND], np.tile([x - 30, y + 100], (21, 1)), atol=1)
    assert (scores[FACE] == np.float32(FACE_SCORE)).all()
    assert (scores[LEFT_HAND] == np.float32(HAND_SCORE)).all()
    assert (scores[BODY][[5, 6]] == 1).all()
    assert scores[BODY][11:].max() < 0.2
    assert scores[FEET][[1, 4]].max() == 0  # there are no small toes


def test_the_largest_of_two_people_is_read(pose):
    frame = picture(240, 500)
    draw_person(frame, 60, 60, 30)
    draw_person(frame, 320, 60, 50)
    np.testing.assert_allclose(pose.detect(frame[None]).keypoints.points[0, FACE], face_at(320, 60, 50), atol=1)


def test_nobody_has_no_points(pose):
    track = pose.detect(picture()[None])
    assert not track.keypoints.scores.any()
    assert not track.face_box.any()
    assert track.mouth_open is not None
    assert not track.mouth_open.any()


def test_a_face_that_blaze_face_misses_has_the_landmarkers_own_threshold():
    tasks = stand_ins()
    nobody = stand_ins().hands  # finds no green
    frame = picture()
    draw_person(frame, 80, 30, 40, hands=False)

    class NoBoxes:
        _handle: object = None

        def detect(self, image):
            found = tasks.boxes.detect(image)
            found.detections.clear()
            return found

        def close(self) -> None:
            pass

    reader = MediaPipePose(Tasks(tasks.face, nobody, tasks.pose, NoBoxes()))
    assert (reader.detect(frame[None]).keypoints.scores[0, FACE] == 0.5).all()


def test_points_outside_the_frame_are_not_seen(pose):
    frame = picture(120, 200)
    draw_person(frame, 80, 10, 60)  # hands would be below
    scores = pose.detect(frame[None]).keypoints.scores[0]
    assert (scores[FACE] > 0.5).all()
    assert scores[BODY][9:11].max() == 0  # wrists


def test_between_frames_that_are_read_the_body_moves_evenly_and_the_face_is_read():
    """Body in every 4th, hands in every 2nd frame and the last; the face jumps in between and is followed."""
    frames = [picture(240, 260) for _ in range(5)]
    for frame, x, face in zip(frames, (80, 86, 92, 98, 104), (80, 80, 96, 98, 104), strict=True):
        draw_person(frame, x, 40, 40)
        frame[40:80] = 0
        frame[40:80, face : face + 40] = (0, 255, 0)
    track = MediaPipePose(stand_ins(), body_every=4, hands_every=2).detect(np.stack(frames))
    shoulder = track.keypoints.points[:, 5, 0]
    np.testing.assert_allclose(shoulder, [160, 166, 172, 178, 184], atol=1.5)
    np.testing.assert_allclose(track.keypoints.points[:, LEFT_HAND.start, 0], shoulder - 10, atol=1.5)
    for t, x in enumerate((80, 80, 96, 98, 104)):
        np.testing.assert_allclose(track.keypoints.points[t, FACE], face_at(x, 40, 40), atol=1)
    assert (track.keypoints.scores[:, FACE] == np.float32(FACE_SCORE)).all()  # its score of the frame before


class Counted:
    """A task, the frames it was asked about counted."""

    def __init__(self, task):
        self.task, self.asked = task, 0

    def detect(self, image):
        self.asked += 1
        return self.task.detect(image)


class Armless(PoseTask):
    """A pose whose elbows, wrists and fingers are likely out of the picture."""

    def detect(self, image):
        found = super().detect(image)
        for pose in found.pose_landmarks:
            for point in pose[13:23]:
                point.visibility = 0.02
        return found


def test_hands_out_of_the_picture_are_not_looked_for_and_the_body_is_read_half_as_often():
    """The same film twice: with arms hands are read in every 2nd and bodies in every 3rd frame, and the last."""
    film = np.stack([picture(240, 260) for _ in range(14)])
    for frame in film:
        draw_person(frame, 80, 40, 40)
    asked, tracks = [], []
    for pose in (PoseTask(), Armless()):
        tasks = stand_ins()
        body, hands = cast(Any, Counted(pose)), cast(Any, Counted(tasks.hands))
        reader = MediaPipePose(Tasks(tasks.face, hands, body, tasks.boxes), body_every=3, hands_every=2)
        tracks.append(reader.detect(film).keypoints)
        asked.append((body.asked, hands.asked))
    assert asked == [(6, 8), (4, 0)]  # 0 3 6 9 12 13; 0 6 12 13
    np.testing.assert_allclose(tracks[0].points[:, 5:7], tracks[1].points[:, 5:7])
    assert (tracks[0].scores[:, LEFT_HAND] > 0).all()
    assert not tracks[1].scores[:, LEFT_HAND].any()


def test_expressions_come_with_the_face_and_are_absent_without_one():
    frames = np.stack([picture(), picture()])
    draw_person(frames[1], 80, 30, 40)
    shapes = MediaPipePose(stand_ins(blendshapes=True)).detect(frames).expression
    assert shapes is not None
    assert shapes.shape == (2, 52)
    assert np.isnan(shapes[0]).all()
    assert np.isfinite(shapes[1]).all()


def test_other_people_are_told_by_their_faces(pose):
    frame = picture(300, 600)
    draw_person(frame, 100, 60, 50)
    assert MediaPipePeople(pose).read(frame).other_face == 0
    draw_person(frame, 420, 60, 40)
    assert MediaPipePeople(pose).read(frame).other_face == pytest.approx(0.8, abs=0.1)


def test_a_hand_that_is_taken_for_a_face_is_nobody():
    frame = picture(300, 400)
    draw_person(frame, 160, 60, 50)
    reader = MediaPipePose(stand_ins(fires_on=RED))
    assert len(reader.find_faces(frame[:, :300])) >= 1
    assert MediaPipePeople(reader).read(frame).other_face == 0


def test_what_is_no_video_is_refused(pose):
    for frames in (np.zeros((1, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            pose.detect(frames)


def test_networks_are_freed():
    tasks = stand_ins()
    with MediaPipePose(tasks):
        pass
    assert all(task.closed for task in (tasks.face, tasks.hands, tasks.pose, tasks.boxes))  # pyright: ignore[reportAttributeAccessIssue]
    tasks.forget()
    assert tasks.face._handle is None


def test_weights_that_are_none_are_named(tmp_path, monkeypatch):
    """With MediaPipe itself: it refuses the file."""
    from paha.extractors import mediapipe_tasks

    (tmp_path / "model.task").write_bytes(b"no model")
    monkeypatch.setattr(mediapipe_tasks, "weight", lambda name, download: tmp_path / "model.task")
    with pytest.raises(PahaError, match="MediaPipe cannot load its face weights"):
        load_tasks(num_faces=1, num_hands=1, num_poses=1)
