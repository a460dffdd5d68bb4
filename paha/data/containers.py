"""Opening media files with PyAV, and the timing facts that sound and picture share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from paha.errors import PahaError

_EXACT_FORMATS = ("mp4", "flac", "wav", "matroska", "avi", "aiff")
"""Containers that declare a duration; others estimate it from the bit rate."""


@contextmanager
def open_media(path: Path | str) -> Iterator:
    """An open PyAV input container. Raises PahaError that names the file if it is missing or no audio or video."""
    import av

    path = Path(path)
    if not path.is_file():
        raise PahaError(f"{path} does not exist" if not path.exists() else f"{path} is a folder; give a file")
    try:
        # The file's own object keeps a name such as "a:b.wav" or "%03d" from being read as a URL or pattern.
        file = path.open("rb")
    except OSError as error:
        raise PahaError(f"cannot open {path}: {error.strerror}") from error
    with file:
        try:
            container = av.open(file, "r", metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise PahaError(f"{path} is no audio or video that can be read ({_reason(error)}); is it whole?") from error
        with container:
            yield container


def first_pts_s(frame) -> Fraction:
    """Time of a decoded frame in seconds, exactly."""
    return frame.pts * Fraction(frame.time_base)


def start_s(container) -> Fraction:
    """Time zero of a file: the earlier of the starts of its first picture and first sound track, in seconds."""
    streams = [*container.streams.video[:1], *container.streams.audio[:1]]
    starts = [s.start_time * Fraction(s.time_base) for s in streams if s.start_time is not None]
    return min(starts, default=Fraction(0))


def exact_duration_s(container, stream) -> Fraction | None:
    """Duration in seconds that the file declares for a stream, or None where it only guesses one."""
    if not any(name in container.format.name for name in _EXACT_FORMATS):
        return None
    if stream.duration is not None and stream.duration > 0:
        return stream.duration * Fraction(stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return Fraction(container.duration, 1_000_000)
    return None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).lower()
