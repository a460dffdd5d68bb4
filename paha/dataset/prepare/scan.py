"""One pass over a raw file: everything that the filters look at, measured once and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeAlias

import numpy as np

from paha.dataset.prepare.config import PrepareConfig
from paha.dataset.prepare.sound import clipped_share, levels_db
from paha.errors import MediaError
from paha.extractors.faces import PeopleReader
from paha.media.audio_io import read_audio, to_mono_16k
from paha.media.containers import open_media, picture_of
from paha.media.video_io import iter_video
from paha.runtime.atomic import write_bytes
from paha.runtime.threads import map_in_order
from paha.types import FPS

THUMB_WIDTH = 160
_BLOCK = 8
_READ_SIDE = 640
_BAR_LUMA = 20


@dataclass(frozen=True)
class Scan:
    """Measures of a raw file's T frames at 25 a second, S of them scanned for people.

    luma: (T,) mean, 0 to 255. motion: (T,) largest mean change of an 8 x 8 block of the thumbnail since the last frame.
    is_cut: (T,) bool, the first frame of a new shot. at: (S,) frame numbers. bars: (S, 4) black bars left, top, right,
    bottom, as shares of width and height. points: (S, 133, 2) px of the file's frames. scores: (S, 133). face_box:
    (S, 4). mouth: (S,). other_face: (S,), see PeopleReading. level_db, clipped: (T,), see paha.dataset.prepare.sound.
    size: (width, height, frames a second of the file in thousandths). thumbs, thumb_ends: one JPEG a second, joined.
    """

    luma: np.ndarray
    motion: np.ndarray
    is_cut: np.ndarray
    at: np.ndarray
    bars: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    face_box: np.ndarray
    mouth: np.ndarray
    other_face: np.ndarray
    level_db: np.ndarray
    clipped: np.ndarray
    size: np.ndarray
    thumbs: np.ndarray
    thumb_ends: np.ndarray

    @property
    def num_frames(self) -> int:
        """T, at 25 frames a second."""
        return len(self.luma)

    @property
    def width(self) -> int:
        """Of the file's upright frames, pixels."""
        return int(self.size[0])

    @property
    def height(self) -> int:
        """Of the file's upright frames, pixels."""
        return int(self.size[1])

    def thumb(self, second: int) -> bytes:
        """The JPEG of that second's first frame."""
        second = min(max(second, 0), len(self.thumb_ends) - 1)
        start = int(self.thumb_ends[second - 1]) if second else 0
        return self.thumbs[start : int(self.thumb_ends[second])].tobytes()


def scan_file(path: Path, reader: PeopleReader, config: PrepareConfig, *, threads: int = 1) -> Scan:
    """Measure a raw file. threads: that `reader` is called in. Raises PahaError that names the file where it cannot be
    decoded or has no picture or no sound."""
    samples, rate_hz = read_audio(path)  # first: what has no sound need not be decoded
    picture = _Picture(path, reader, stride=FPS // config.scan_fps, threshold=config.cut_threshold)
    for people in map_in_order(picture.read, picture.add_all(iter_video(path)), workers=threads):
        picture.people.append(people)
    count = len(picture.luma)
    return Scan(
        level_db=levels_db(to_mono_16k(samples, rate_hz), count),
        clipped=clipped_share(samples, rate_hz, count),
        **picture.arrays(source_fps=_source_fps(path)),
    )


def save_scan(path: Path, scan: Scan) -> None:
    """Write as safetensors, atomically."""
    from safetensors.numpy import save

    write_bytes(path, save({f.name: np.ascontiguousarray(getattr(scan, f.name)) for f in fields(Scan)}))


def load_scan(path: Path) -> Scan | None:
    """What `save_scan` wrote; None where there is nothing, or nothing whole."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return Scan(**load(path.read_bytes()))
    except (OSError, SafetensorError, TypeError, ValueError):
        return None


ToRead: TypeAlias = tuple[int, np.ndarray, np.ndarray, float]
"""A frame's number, its black bars, the frame at the size at which it is read, and that size's scale."""


class _Picture:
    """Collects the measures of the frames as they come."""

    def __init__(self, path: Path, reader: PeopleReader, *, stride: int, threshold: float) -> None:
        from scenedetect.detectors import ContentDetector

        self._path, self._reader, self._stride = path, reader, stride
        self._detector = ContentDetector(threshold=threshold, min_scene_len=1)
        self._before: np.ndarray | None = None
        self._shape: tuple[int, ...] = ()
        self.luma: list[float] = []
        self._motion: list[float] = []
        self._cuts: list[int] = []
        self.people: list[tuple[np.ndarray, ...]] = []
        self._thumbs: list[bytes] = []

    def add_all(self, frames: Iterable[np.ndarray]) -> Iterator[ToRead]:
        """Measure the frames as they are asked for; gives those on which people are to be looked for."""
        for frame in frames:
            found = self.add(frame)
            if found is not None:
                yield found

    def add(self, frame: np.ndarray) -> ToRead | None:
        """Measure a frame; what is to be read of it, if anything."""
        import cv2
        from scenedetect import FrameTimecode

        number = len(self.luma)
        self._shape = self._shape or frame.shape
        if frame.shape != self._shape:
            raise MediaError(f"{self._path} changes its picture's size on the way; cut it there first")
        size = (THUMB_WIDTH, max(_BLOCK, round(THUMB_WIDTH * frame.shape[0] / frame.shape[1])))
        thumb = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY)
        self.luma.append(float(grey.mean()))
        self._motion.append(0.0 if self._before is None else block_change(self._before, grey))
        self._before = grey
        bgr = cv2.cvtColor(thumb, cv2.COLOR_RGB2BGR)
        for cut in self._detector.process_frame(FrameTimecode(number, float(FPS)), bgr):
            self._cuts.append(int(cut.frame_num))
        if number % FPS == 0:
            self._thumbs.append(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())
        if number % self._stride:
            return None
        scale = min(1.0, _READ_SIDE / max(frame.shape[:2]))
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
        return number, black_bars(grey), small, scale

    def read(self, wanted: ToRead) -> tuple[np.ndarray, ...]:
        """The people of a frame, as `Scan` has them. Several threads may read at once, where the reader lets them."""
        number, bars, small, scale = wanted
        reading = self._reader.read(small)
        track = reading.track
        mouth = np.zeros(1, np.float32) if track.mouth_open is None else track.mouth_open
        points, box = track.keypoints.points[0] / scale, track.face_box[0] / scale
        return np.array(number), bars, points, track.keypoints.scores[0], box, mouth[0], np.array(reading.other_face)

    def arrays(self, *, source_fps: float) -> dict[str, np.ndarray]:
        is_cut = np.zeros(len(self.luma), bool)
        is_cut[[cut for cut in self._cuts if 0 < cut < len(is_cut)]] = True
        names = ("at", "bars", "points", "scores", "face_box", "mouth", "other_face")
        people = {name: np.stack(values) for name, values in zip(names, zip(*self.people, strict=True), strict=True)}
        return {
            "luma": np.array(self.luma, np.float32),
            "motion": np.array(self._motion, np.float32),
            "is_cut": is_cut,
            **{name: values.astype(np.int64 if name == "at" else np.float32) for name, values in people.items()},
            "size": np.array([self._shape[1], self._shape[0], round(source_fps * 1000)], np.int64),
            "thumbs": np.frombuffer(b"".join(self._thumbs), np.uint8),
            "thumb_ends": np.cumsum([len(thumb) for thumb in self._thumbs]),
        }


def block_change(before: np.ndarray, grey: np.ndarray) -> float:
    """Largest mean absolute change of an 8 x 8 block between two grey pictures (H, W), in grey levels."""
    height, width = (n // _BLOCK * _BLOCK for n in grey.shape)
    change = np.abs(grey[:height, :width].astype(np.int16) - before[:height, :width])
    blocks = change.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).mean((1, 3))
    return float(blocks.max())


def black_bars(grey: np.ndarray) -> np.ndarray:
    """(4,) shares of width or height that are black at the left, top, right and bottom of a grey picture (H, W)."""
    height, width = grey.shape
    columns, rows = (grey > _BAR_LUMA).mean(0) > 0.02, (grey > _BAR_LUMA).mean(1) > 0.02
    if not columns.any():
        return np.zeros(4, np.float32)
    left, right = int(columns.argmax()), int(columns[::-1].argmax())
    top, bottom = int(rows.argmax()), int(rows[::-1].argmax())
    return np.array([left / width, top / height, right / width, bottom / height], np.float32)


def _source_fps(path: Path) -> float:
    """Pictures a second, counted: what a file declares is often its time base's. A single picture counts as one."""
    with open_media(path) as container:
        stream = picture_of(container)
        if stream is None:
            return 0.0
        times = [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.pts is not None]
    length_s = max(times, default=0.0) - min(times, default=0.0)
    return (len(times) - 1) / length_s if length_s > 0 else float(len(times))
