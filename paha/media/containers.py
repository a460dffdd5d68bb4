"""Opening media files with PyAV, and the timing facts that sound and picture share."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from paha.errors import MediaError, media_error
from paha.runtime.paths import STREAM, check_input

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream, VideoFrame, VideoStream
    from av.container import InputContainer

MAX_LEAD_S = 60
"""Sound and picture that start further apart than this have broken timestamps; both then start at zero."""

_EXACT_FORMATS = ("mp4", "flac", "wav", "matroska", "avi", "aiff")
"""Containers that declare a duration; others estimate it from the bit rate."""
_TEXT_ART = {"tty", "bin", "xbin", "adf", "idf"}
"""FFmpeg plays any file that is called *.txt as a video of its characters."""
_RIFF_UNKNOWN = 0x7FFF_FF00
"""Programs that write a WAV into a pipe announce this many bytes or more."""
_RIFF_SLACK = 1024
"""Many a writer counts its header twice."""


@contextmanager
def open_media(path: Path | str) -> Iterator[InputContainer]:
    """An open PyAV input container. Raises PahaError that names the file if it is missing or no audio or video.

    PyAV is silent as it comes. `av.logging.set_level` stays untouched: with any level set, the decoder's threads log
    through Python and can deadlock on a damaged file.
    """
    import av

    path = Path(path)
    check_input(path, "stream")
    try:
        file = _seekable(path)
    except OSError as error:
        raise media_error(f"cannot open {path}: {error.strerror}", error) from error
    with file:
        _refuse_short_riff(path, file)
        try:
            # An open file, because FFmpeg takes a name such as "a:b.wav" or "%03d" for a protocol or a pattern; and no
            # protocols, because a playlist called .mp4 would have it read other files and addresses.
            container = av.open(file, "r", metadata_errors="replace", options={"protocol_whitelist": "none"})
        except (av.FFmpegError, OSError, ValueError) as error:
            message = f"{path} is no audio or video that can be read ({reason(error)}); is it whole?"
            raise media_error(message, error) from error
        with container:
            if container.format.name in _TEXT_ART:
                raise MediaError(f"{path} is text, no audio or video; give a recording")
            yield container


def sound_of(container: InputContainer) -> AudioStream | None:
    """The first sound track, or None."""
    return next(iter(container.streams.audio), None)


def picture_of(container: InputContainer) -> VideoStream | None:
    """The first picture track that is no cover art, or None."""
    from av.stream import Disposition

    return next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)


def frame_s(frame: AudioFrame | VideoFrame) -> Fraction | None:
    """Time of a decoded frame in seconds, exactly; None where the file gives none."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * Fraction(frame.time_base)


def start_s(container: InputContainer) -> Fraction:
    """Time zero of a file: the earlier of the starts of its picture and its sound, in seconds."""
    streams = [s for s in (picture_of(container), sound_of(container)) if s is not None]
    starts = [s.start_time * Fraction(s.time_base) for s in streams if s.start_time is not None and s.time_base]
    return min(starts, default=Fraction(0))


def exact_duration_s(container: InputContainer, stream: AudioStream | VideoStream) -> Fraction | None:
    """Duration in seconds that the file declares for a stream, or None where it only guesses one."""
    if not any(name in container.format.name for name in _EXACT_FORMATS):
        return None
    if stream.duration is not None and stream.duration > 0 and stream.time_base:
        return stream.duration * Fraction(stream.time_base)
    if "DURATION" in stream.metadata and stream.time_base:  # Matroska's tag, 00:00:10.008000000: the time of the end
        end_s = _clock_s(stream.metadata["DURATION"])
        return None if end_s is None else end_s - (stream.start_time or 0) * Fraction(stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return Fraction(container.duration, 1_000_000)
    return None


def reason(error: Exception) -> str:
    """The system's or FFmpeg's words for an error, without its number."""
    return str(getattr(error, "strerror", None) or error).lower()


def _seekable(path: Path) -> BinaryIO:
    """The file, open; of a pipe or standard input a copy, since FFmpeg goes back and forth."""
    if path.is_file():
        return path.open("rb")
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    with contextlib.nullcontext(sys.stdin.buffer) if path == STREAM else path.open("rb") as pipe:
        shutil.copyfileobj(pipe, copy)
    copy.seek(0)
    return copy  # type: ignore[return-value]


def _refuse_short_riff(path: Path, file: BinaryIO) -> None:
    """FFmpeg takes a WAV or AVI that was cut off for a shorter one; its first 8 bytes say how long it should be."""
    head = file.read(8)
    file.seek(0)
    announced = int.from_bytes(head[4:], "little")
    if head[:4] != b"RIFF" or announced > _RIFF_UNKNOWN:
        return
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    if length < announced + 8 - _RIFF_SLACK:
        raise MediaError(f"{path} is truncated: it ends before its announced length; copy or export it again")


def _clock_s(clock: str) -> Fraction | None:
    try:
        hours, minutes, seconds = clock.split(":")
        return Fraction(hours) * 3600 + Fraction(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None
