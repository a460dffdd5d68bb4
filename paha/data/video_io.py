"""Video in, at a constant 25 frames a second with the rotation applied. Writing is in video_writer.py."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from paha.data.containers import exact_duration_s, first_pts_s, open_media, start_s
from paha.data.image_io import contact_sheet, fit_image, read_image, save_png
from paha.data.video_writer import VideoWriter, write_video
from paha.errors import PahaError
from paha.types import FPS

__all__ = [
    "VideoWriter", "contact_sheet", "fit_image", "iter_video", "read_image", "read_video", "save_png", "write_video",
]  # fmt: skip

_MAX_LEAD_S = 60
"""A picture that starts later than this after the sound has broken timestamps; it then starts at zero."""


def read_video(path: Path | str, *, fps: float = FPS, size: tuple[int, int] | None = None) -> np.ndarray:
    """All frames of a video: (T, H, W, 3) uint8. See `iter_video`, which holds one frame at a time."""
    return np.stack(list(iter_video(path, fps=fps, size=size)))


def iter_video(path: Path | str, *, fps: float = FPS, size: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) uint8 of a video's first picture track, upright, at a constant rate.

    Output frame k is the source frame nearest to k / fps; the last one is held to its end. Time zero is the file's own
    (the earlier start of picture and sound, as in `read_audio`). size: (width, height) that `fit_image` brings every
    frame to. Raises PahaError that names the file if it is no media, has no picture, or is damaged or truncated.
    """
    path = Path(path)
    with open_media(path) as container:
        if not container.streams.video:
            raise PahaError(f"{path} has no picture, only sound; give a video")
        for frame, count in _constant_rate(_timed_frames(container, path), Fraction(fps).limit_denominator(100_000)):
            image = _upright(frame)
            if size is not None:
                image = fit_image(image, width=size[0], height=size[1])
            for _ in range(count):
                yield image


def _timed_frames(container, path: Path) -> Iterator[tuple[object, Fraction]]:
    """Decoded frames with their times in seconds from the file's zero; the last item is (None, end time)."""
    import av

    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    origin, step_s = start_s(container), 1 / Fraction(stream.average_rate or FPS)
    shift: Fraction | None = None
    end_s, count = Fraction(0), 0
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt and count:
                raise PahaError(f"{path} is damaged at {float(end_s):.2f} s; copy or export it again")
            time_s = end_s + origin if frame.pts is None else first_pts_s(frame)
            if shift is None:
                shift = origin if time_s - origin < _MAX_LEAD_S else time_s
            time_s = max(time_s - shift, Fraction(0))
            yield frame, time_s
            duration = frame.duration * Fraction(frame.time_base) if frame.duration else step_s
            end_s, count = time_s + duration, count + 1
    except (av.FFmpegError, OSError, ValueError) as error:
        raise PahaError(f"cannot decode {path} at {float(end_s):.2f} s: {error}; copy or export it again") from error
    if not count:
        raise PahaError(f"{path} has a picture track without a single frame; give another video")
    _refuse_truncated(container, stream, path, count=count, end_s=end_s)
    yield None, end_s


def _refuse_truncated(container, stream, path: Path, *, count: int, end_s: Fraction) -> None:
    """A truncated file ends early without an error. Frames alone do not tell: edit lists leave some out on purpose."""
    expected_s = exact_duration_s(container, stream)
    if stream.frames and count >= stream.frames or expected_s is None:
        return
    if end_s < expected_s - Fraction(1, 10):
        raise PahaError(f"{path} is truncated: {float(end_s):.2f} s of {float(expected_s):.2f} s; copy it again")


def _constant_rate(timed: Iterator[tuple[object, Fraction]], fps: Fraction) -> Iterator[tuple[object, int]]:
    """Pairs (frame, how often it is shown), so that output k is the frame nearest to k / fps. At least one is shown."""
    emitted = 0
    for (frame, time_s), (following, next_s) in pairwise(timed):
        # The last frame holds to its end; every other gives way half-way to its successor.
        until = next_s if following is None else (time_s + next_s) / 2
        total = round(until * fps) if following is None else _ceil(until * fps)
        if following is None:
            total = max(total, 1)
        if total > emitted:
            yield frame, total - emitted
            emitted = total


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


def _upright(frame) -> np.ndarray:
    """RGB pixels of a decoded frame with its display rotation applied."""
    image = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
