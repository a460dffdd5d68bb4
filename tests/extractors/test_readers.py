"""Several threads that read with MediaPipe."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from paha.extractors.choose import Readers
from paha.extractors.faces import MediaPipePeople, PeopleReaders
from paha.extractors.mediapipe_pose import MediaPipePose
from paha.extractors.pose import NoPose


class OneAtATime(NoPose):
    """An extractor that may not be called by two threads at once."""

    def __init__(self, both: Barrier) -> None:
        self.both, self.busy = both, False

    def detect(self, frames):
        assert not self.busy
        self.busy = True
        self.both.wait(timeout=60)
        self.busy = False
        return super().detect(frames)


def test_every_thread_has_a_reader_of_its_own_and_they_are_used_again():
    made, both, frames = [], Barrier(2), np.zeros((3, 8, 8, 3), np.uint8)

    def make():
        made.append(OneAtATime(both))
        return made[-1]

    readers = Readers(make)
    with ThreadPoolExecutor(2) as pool:
        tracks = list(pool.map(readers.detect, [frames] * 6))
    assert [len(track.face_box) for track in tracks] == [3] * 6
    assert len(made) == 2


def test_a_clip_that_threads_share_reads_the_same():
    pytest.importorskip("mediapipe", reason="mediapipe is not installed: pip install 'paha[extract]'")
    from mediapipe_stand_ins import draw_person, stand_ins

    frames = np.zeros((7, 120, 160, 3), np.uint8)
    for k, frame in enumerate(frames):
        draw_person(frame, 50 + 2 * k, 20, 30)
    alone = MediaPipePose(stand_ins())
    shared = Readers(lambda: MediaPipePose(stand_ins()), threads=3)
    one, many = alone.detect(frames), shared.detect(frames)
    assert (one.keypoints.scores > 0).any()
    assert np.array_equal(one.keypoints.points, many.keypoints.points)
    assert np.array_equal(one.keypoints.scores, many.keypoints.scores)
    assert np.array_equal(one.face_box, many.face_box)
    reading = PeopleReaders("mediapipe", shared).read(frames[0])
    assert np.array_equal(reading.track.keypoints.points, MediaPipePeople(alone).read(frames[0]).track.keypoints.points)
