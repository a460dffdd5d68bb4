"""Who is in a frame of raw footage: the pose of the one person to keep, and whether anybody else is there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from paha.extractors.choose import PoseExtractor, Readers
from paha.extractors.dwpose import DWPose
from paha.extractors.mediapipe_pose import MediaPipePose
from paha.extractors.pose import PoseTrack
from paha.types import FACE, Keypoints

_SAME_FACE = 0.3
_TILE = 5
"""Side of BlazeFace's squares in widths of the kept face: one half as wide is a tenth of it, which it still sees."""
_MAX_TILES, _STEP = 4, 0.6
_SHIFT = 1 / 16
_MAX_RESIDUAL = 1 / 24


@dataclass(frozen=True)
class PeopleReading:
    """One frame. track: the person to keep, T = 1. other_face: width of the widest other face over that of the kept
    one, 0 where there is none.
    """

    track: PoseTrack
    other_face: float


class PeopleReader(Protocol):
    """Reads single frames of raw footage, of any size."""

    def read(self, frame: np.ndarray) -> PeopleReading:
        """The people in a frame (H, W, 3) uint8."""
        ...


def people_reader(kind: str, extractor: PoseExtractor) -> PeopleReader:
    """The reader that goes with a pose extractor (`paha.extractors.choose.KINDS`)."""
    readers: dict[str, Any] = {"presenter": PresenterPeople, "mediapipe": MediaPipePeople, "dwpose": DWPosePeople}
    return readers[kind](extractor)


class PeopleReaders:
    """Reads for several threads, each with an extractor of its own."""

    def __init__(self, kind: str, readers: Readers) -> None:
        self._kind, self._readers = kind, readers

    def read(self, frame: np.ndarray) -> PeopleReading:
        """The people in a frame (H, W, 3) uint8."""
        with self._readers.borrowed() as extractor:
            return people_reader(self._kind, extractor).read(frame)


class MediaPipePeople:
    """BlazeFace finds the other faces, in squares small enough for it to see any that is half as wide as the kept one.

    It fires on hands and patterns now and then: only boxes in which the face landmarker finds a face as well count.
    """

    def __init__(self, extractor: MediaPipePose) -> None:
        self.extractor = extractor

    def read(self, frame: np.ndarray) -> PeopleReading:
        """The people in a frame (H, W, 3) uint8."""
        track = self.extractor.detect(frame[None])
        kept = track.face_box[0]
        side = max(int(_TILE * float(kept[2] - kept[0])), min(frame.shape[:2]) // _MAX_TILES)
        others = [
            box
            for x, y, tile in tiles(frame, side)
            for box in self.extractor.find_faces(tile)[:, :4] + np.array([x, y, x, y])
            if _is_other(kept, box) and self._is_face(frame, box)
        ]
        return PeopleReading(track, _widest_other(kept, np.array(others).reshape(-1, 4)))

    def _is_face(self, frame: np.ndarray, box: np.ndarray) -> bool:
        grow = (box[2:] - box[:2]) / 2
        x0, y0 = np.maximum(box[:2] - grow, 0).astype(int)
        x1, y1 = (box[2:] + grow).astype(int)
        return self.extractor.has_face(frame[y0:y1, x0:x1])


class DWPosePeople:
    """Other people instead of other faces: YOLOX's boxes, compared with the box of the kept person."""

    def __init__(self, extractor: DWPose) -> None:
        self.extractor = extractor

    def read(self, frame: np.ndarray) -> PeopleReading:
        """The people in a frame (H, W, 3) uint8."""
        track = self.extractor.detect(frame[None])
        people = self.extractor.find_people(frame)
        widths = np.sort(people[:, 2] - people[:, 0])[::-1]
        return PeopleReading(track, float(widths[1] / widths[0]) if len(widths) > 1 else 0.0)


class PresenterPeople:
    """Drawn presenters. The reader always answers with a person, so its answer is checked first.

    Wide frames are read in three squares: left, middle, right. A square is read twice, the picture shifted by a little;
    where a presenter is, the face moves by as much, to a pixel, and where none is, anywhere. Scores of a square that
    fails become 0. Two that hold presenters at different places are two people.
    """

    def __init__(self, extractor: PoseExtractor) -> None:
        self.extractor = extractor

    def read(self, frame: np.ndarray) -> PeopleReading:
        """The people in a frame (H, W, 3) uint8."""
        corners = square_corners(*frame.shape[:2])
        readings = [_moved(self._read_square(square_at(frame, corner)), corner) for corner in corners]
        found = [reading for reading in readings if (reading.keypoints.scores[:, FACE] > 0).any()]
        if not found:
            return PeopleReading(readings[0], 0.0)
        best = max(found, key=lambda reading: float(reading.keypoints.scores.mean()))
        boxes = np.concatenate([reading.face_box for reading in found])
        return PeopleReading(best, _widest_other(best.face_box[0], boxes))

    def _read_square(self, square: np.ndarray) -> PoseTrack:
        side = square.shape[0]
        shift = max(2, round(side * _SHIFT))
        padded = np.pad(square, ((shift, shift), (shift, shift), (0, 0)), mode="edge")
        views = [square, padded[: -2 * shift, : -2 * shift], padded[2 * shift :, 2 * shift :]]
        track = self.extractor.detect(np.stack(views))
        moved = (track.keypoints.points[1] - track.keypoints.points[2])[FACE] - 2 * shift
        is_there = np.linalg.norm(moved, axis=-1).mean() < _MAX_RESIDUAL * side
        box = track.face_box[:1]
        is_there &= bool((box[:, 2:] > box[:, :2]).all())
        return _first(track, keep=bool(is_there))


def tiles(frame: np.ndarray, side: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """(x, y, part) of squares that cover a frame (H, W, 3) and overlap by two fifths or more; the frame if smaller."""
    height, width = frame.shape[:2]
    side = min(side, height, width)

    def starts(length: int) -> list[int]:
        count = 1 + math.ceil((length - side) / (_STEP * side))
        return np.linspace(0, length - side, count).round().astype(int).tolist()

    for y in starts(height):
        for x in starts(width):
            yield x, y, frame[y : y + side, x : x + side]


def square_corners(height: int, width: int) -> list[tuple[int, int]]:
    """(x, y) of the squares that cover a frame: one if it is a square itself, else three along its longer side."""
    spare = abs(width - height)
    if spare < min(height, width) // 8:
        return [((width - min(height, width)) // 2, (height - min(height, width)) // 2)]
    places = (spare // 2, 0, spare)
    return [(place, 0) if width > height else (0, place) for place in places]


def square_at(frame: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """The largest square of a frame (H, W, 3) whose corner is there."""
    side = min(frame.shape[:2])
    return frame[corner[1] : corner[1] + side, corner[0] : corner[0] + side]


def _first(track: PoseTrack, *, keep: bool) -> PoseTrack:
    scores = track.keypoints.scores[:1] if keep else np.zeros_like(track.keypoints.scores[:1])
    box = track.face_box[:1] if keep else np.zeros((1, 4), np.float32)
    mouth = None if track.mouth_open is None else track.mouth_open[:1]
    return PoseTrack(Keypoints(track.keypoints.points[:1], scores), box, mouth)


def _moved(track: PoseTrack, corner: tuple[int, int]) -> PoseTrack:
    shift = np.array(corner, np.float32)
    box = track.face_box + np.concatenate([shift, shift]) * (track.face_box != 0).any()
    points = Keypoints(track.keypoints.points + shift, track.keypoints.scores)
    return PoseTrack(points, box.astype(np.float32), track.mouth_open)


def _widest_other(kept: np.ndarray, boxes: np.ndarray) -> float:
    """Width of the widest box that is not the kept face's, over the kept face's width; 0 where there is no kept one."""
    width = float(kept[2] - kept[0])
    if width <= 0:
        return 0.0
    return max((float(box[2] - box[0]) / width for box in boxes if _is_other(kept, box)), default=0.0)


def _is_other(kept: np.ndarray, box: np.ndarray) -> bool:
    """Whether a box is another face than the kept one (if there is one): their centres are far enough apart."""
    widths = float(kept[2] - kept[0]) + float(box[2] - box[0])
    return bool(kept[2] > kept[0]) and _distance(kept, box) > 0.5 * widths * (1 - _SAME_FACE)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm((a[:2] + a[2:] - b[:2] - b[2:]) / 2))
