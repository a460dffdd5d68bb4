"""Video in, at a constant 25 frames a second and upright. Writing is in video_writer.py, stills are in image_io.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paha.errors import MediaError, media_error
from paha.media.containers import MAX_LEAD_S, exact_duration_s, frame_s, open_media, picture_of, reason, start_s
from paha.media.image_io import contact_sheet, fit_image, read_image, save_png
from paha.media.video_writer import VideoWriter, write_video
from paha.types import FPS

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer
    from av.video.reformatter import VideoReformatter

__all__ = [
    "VideoWriter",
    "contact_sheet",
    "fit_image",
    "iter_video",
    "read_image",
    "read_video",
    "save_png",
    "write_video",
]

_TRUNCATED_S = Fraction(1, 10)
_SQUARE_TOLERANCE = Fraction(1, 50)
"""Pixel aspects this near to 1 are rounding in the file."""


Place = tuple[float, float]


def read_video(
    path: Path | str, *, fps: float = FPS, size: tuple[int, int] | None = None, at: Place = (0.5, 0.5)
) -> np.ndarray:
    """All frames of a video: (T, H, W, 3) uint8 RGB. See `iter_video`, which holds one frame at a time."""
    return np.stack(list(iter_video(path, fps=fps, size=size, at=at)))


def iter_video(
    path: Path | str,
    *,
    fps: float = FPS,
    size: tuple[int, int] | None = None,
    at: Place = (0.5, 0.5),
    every: int = 1,
) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) uint8 RGB of a video's first picture track, upright, with square pixels, at a constant rate.

    Output frame k is the source frame nearest to k / fps; the last one is held to its end. Time zero is the file's own
    (the earlier start of picture and sound, as in `read_audio`). size: (width, height) that `fit_image` brings every
    frame to, cropped `at` that place. every: only output frames 0, every, 2 every ... Raises PahaError that names the
    file if it is no media, has no picture, or is damaged or truncated.
    """
    from av.video.reformatter import VideoReformatter

    path, rate = Path(path), Fraction(fps).limit_denominator(100_000)
    with open_media(path) as container:
        stream = picture_of(container)
        if stream is None:
            raise MediaError(f"{path} has no picture, only sound; give a video")
        reformatter, aspect, index = VideoReformatter(), _pixel_aspect(stream), 0
        for frame, shown in _constant_rate(_timed_frames(container, stream, path), rate):
            count = -(-(index + shown) // every) - -(-index // every)
            index += shown
            if not count:
                continue
            image = _upright(frame, reformatter, aspect)
            if size is not None:
                image = fit_image(image, width=size[0], height=size[1], at=at)
            for _ in range(count):
                yield image


def _timed_frames(
    container: InputContainer, stream: VideoStream, path: Path
) -> Iterator[tuple[VideoFrame | None, Fraction]]:
    """Decoded frames with their times in seconds from the file's zero; the last item is (None, end time)."""
    import av

    stream.thread_type = "AUTO"
    origin, step_s = start_s(container), 1 / Fraction(stream.average_rate or FPS)
    shift: Fraction | None = None
    first_s = end_s = Fraction(0)
    count = 0
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt and count:
                raise MediaError(f"{path} is damaged at {float(end_s):.2f} s; copy or export it again")
            stamp_s = frame_s(frame)
            time_s = end_s + (shift or origin) if stamp_s is None else stamp_s
            if shift is None:
                shift = origin if time_s - origin < MAX_LEAD_S else time_s
            time_s = max(time_s - shift, Fraction(0))
            first_s = first_s if count else time_s
            yield frame, time_s
            duration_s = frame.duration * Fraction(frame.time_base) if frame.duration and frame.time_base else step_s
            end_s, count = time_s + duration_s, count + 1
    except (av.FFmpegError, OSError, ValueError) as error:
        at = f"{float(end_s):.2f} s"
        raise media_error(f"cannot decode {path} at {at}: {reason(error)}; copy or export it again", error) from error
    if not count:
        raise MediaError(f"{path} has a picture track without a single frame; give another video")
    if not stream.frames or count < stream.frames:
        _refuse_truncated(path, have_s=end_s - first_s, want_s=exact_duration_s(container, stream))
    yield None, end_s


def _refuse_truncated(path: Path, *, have_s: Fraction, want_s: Fraction | None) -> None:
    """A truncated file ends early without an error. Frames alone do not tell: edit lists leave some out on purpose."""
    if want_s is not None and have_s < want_s - _TRUNCATED_S:
        lengths = f"{float(have_s):.2f} s of {float(want_s):.2f} s"
        raise MediaError(f"{path} is truncated: {lengths}; copy or export it again")


def _constant_rate(
    timed: Iterator[tuple[VideoFrame | None, Fraction]], fps: Fraction
) -> Iterator[tuple[VideoFrame, int]]:
    """Pairs (frame, how often it is shown), so that output k is the frame nearest to k / fps. At least one is shown."""
    emitted = 0
    for (frame, time_s), (following, next_s) in pairwise(timed):
        # Every frame gives way half-way to its successor; the last one holds to its end.
        last = following is None
        total = max(1, int(next_s * fps + Fraction(1, 2))) if last else math.ceil((time_s + next_s) / 2 * fps)
        if total > emitted and frame is not None:
            yield frame, total - emitted
            emitted = total


def _pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a pixel over its height, 1 where the file says nothing or nearly 1."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    return aspect if abs(aspect - 1) > _SQUARE_TOLERANCE else Fraction(1)


def _upright(frame: VideoFrame, reformatter: VideoReformatter, aspect: Fraction) -> np.ndarray:
    """RGB pixels of a decoded frame, square ones, with its display rotation (degrees counter-clockwise) applied."""
    image = reformatter.reformat(frame, width=round(frame.width * aspect), format="rgb24").to_ndarray()
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
