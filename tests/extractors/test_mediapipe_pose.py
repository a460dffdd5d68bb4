"""MediaPipe's points as COCO-WholeBody's, where its models are here."""

import numpy as np
import pytest

from paha.extractors.faces import MediaPipePeople
from paha.extractors.mediapipe_faces import faces_in
from paha.extractors.mediapipe_points import BODY_OF_POSE, FACE_OF_MESH, FEET_OF_POSE, assign_sides
from paha.extractors.mediapipe_pose import MediaPipePose
from paha.extractors.mediapipe_tasks import image_of, load_tasks
from paha.media.image_io import read_image
from paha.media.video_io import iter_video
from paha.types import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND

pytest.importorskip("mediapipe", reason="mediapipe is not installed: pip install 'paha[extract]'")


@pytest.fixture(scope="module")
def pose(shared):
    if not (shared / "weights" / "hand_landmarker.task").is_file():
        pytest.skip("no MediaPipe weights: ../shared/weights is missing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAHA_WEIGHTS", str(shared / "weights"))
        with MediaPipePose.load(download=False) as extractor:
            yield extractor


@pytest.fixture(scope="module")
def half_body(pose, shared):
    """(frame, track) of a still with both hands open."""
    frame = read_image(shared / "media" / "stills" / "echomimicv2_flux_0141.png")
    return frame, pose.detect(frame[None])


def test_the_maps_have_a_point_for_every_keypoint():
    assert len(BODY_OF_POSE) == BODY.stop - BODY.start
    assert len(FEET_OF_POSE) == FEET.stop - FEET.start
    assert len(FACE_OF_MESH) == len(set(FACE_OF_MESH)) == FACE.stop - FACE.start
    assert max(FACE_OF_MESH) < 468


def test_a_half_body_is_read_whole(half_body):
    frame, track = half_body
    points, scores = track.keypoints.points[0], track.keypoints.scores[0]
    assert (scores[BODY][5:11] > 0.8).all()
    for part in (FACE, LEFT_HAND, RIGHT_HAND):
        assert (scores[part] > 0.8).all()
    assert (scores[FEET] == 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    # Left is the person's left: on the right of the picture.
    assert points[LEFT_HAND][:, 0].min() > frame.shape[1] / 2 > points[RIGHT_HAND][:, 0].max()
    assert points[5, 0] > points[6, 0]
    # Wrists of hands and body agree; eyes lie where the body's eyes do; the mouth below the nose.
    for hand, wrist in ((LEFT_HAND, 9), (RIGHT_HAND, 10)):
        assert np.linalg.norm(points[hand][0] - points[wrist]) < 0.07 * frame.shape[1]
    face = points[FACE]
    assert np.linalg.norm(face[36:42].mean(0) - points[2]) < 15
    assert np.linalg.norm(face[42:48].mean(0) - points[1]) < 15
    assert face[48:68, 1].min() > face[30, 1]
    assert face[8, 1] == face[:, 1].max()
    box = track.face_box[0]
    assert box[0] < face[30, 0] < box[2]
    assert box[1] < face[30, 1] < box[3]


def test_a_frame_reads_the_same_in_any_company(pose, half_body):
    frame, track = half_body
    again = pose.detect(np.stack([np.zeros_like(frame), frame]))
    np.testing.assert_array_equal(again.keypoints.points[1], track.keypoints.points[0])
    assert (again.keypoints.scores[0] == 0).all()
    assert (again.face_box[0] == 0).all()
    assert again.mouth_open[0] == 0


def test_faces_read_off_memory_are_those_of_the_public_interface(shared, pose, half_body):
    frame = half_body[0]
    square, tasks = image_of(np.ascontiguousarray(frame[: min(frame.shape[:2])])), pose._tasks
    with_shapes = load_tasks(num_faces=2, num_hands=2, num_poses=2, blendshapes=True)
    for task, num_shapes in ((tasks.face, 0), (with_shapes.face, 52)):
        public = task.detect(square)
        (face,) = faces_in(task, square)
        assert np.array_equal(face[0], np.array([(p.x, p.y) for p in public.face_landmarks[0]], np.float32))
        assert len(face[1]) == num_shapes
        for read, shape in zip(face[1], public.face_blendshapes[0] if num_shapes else [], strict=True):
            assert read == shape.score
    with_shapes.close()


def test_a_head_alone_has_a_face_and_no_hands(pose, shared):
    frames = np.stack(list(iter_video(shared / "media" / "clips" / "grid_bbaf2n.mpg"))[10:50:10])
    track = pose.detect(frames)
    assert (track.keypoints.scores[:, FACE] > 0.8).all()
    assert (track.keypoints.scores[:, LEFT_HAND.start :] == 0).all()
    assert (track.keypoints.scores[:, 7:17] == 0).all()
    assert np.ptp(track.mouth_open) > 0.05


def test_another_face_is_seen_and_ones_own_is_not(pose, shared):
    frame = read_image(shared / "media" / "stills" / "astronaut.png")
    people = MediaPipePeople(pose)
    assert people.read(frame).other_face == 0
    assert people.read(np.concatenate([frame, frame], axis=1)).other_face > 0.8


def test_hands_go_to_the_nearer_wrist_and_labels_decide_without_one():
    pose = np.zeros((33, 2), np.float32)
    pose[11], pose[12], pose[15], pose[16] = (100, 50), (0, 50), (110, 150), (-10, 150)
    at = [np.tile(np.array(place, np.float32), (21, 1)) for place in ((112, 150), (-8, 150))]
    sides = assign_sides(at, [(True, 0.9), (True, 0.8)], pose)
    assert [(hand[0, 0], left) for hand, left, _ in sides] == [(112, True), (-8, False)]
    assert assign_sides(at[:1], [(False, 0.9)], pose)[0][1] is True
    assert assign_sides(at[:1], [(False, 0.9)], None)[0][1] is False


def test_other_frames_than_uint8_are_refused(pose):
    with pytest.raises(ValueError, match="uint8"):
        pose.detect(np.zeros((1, 8, 8, 3), np.float32))
