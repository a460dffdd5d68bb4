"""Several threads that read with MediaPipe."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

from paha.extractors.choose import Readers
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
