"""Where a video of the command line goes: a file, a stream, signed; and what is kept of an interrupted one."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from paha.errors import PahaError
from paha.pipeline.segment_store import SegmentStore

STANDARD_OUTPUT = Path("-")


def check_signing(identity: Path | None, *, streams: bool) -> None:
    """Whether a video can be signed at its end. Raises PahaError, better now than then; a certificate is made then."""
    if identity is None:
        return
    if streams:
        raise PahaError("a video that is written as it is made cannot be signed: leave out --stream or --sign")
    from paha.media.provenance import check_identity

    check_identity(identity)


def sign(out: Path, identity: Path | None) -> None:
    """Sign a video where a folder with a certificate is given."""
    if identity is not None:
        from paha.media.provenance import sign_video

        sign_video(out, identity)


@contextmanager
def say_what_is_kept(out: Path) -> Iterator[None]:
    """A person who stops the work is told how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        kept = SegmentStore(out).finished
        then = (
            f"{kept} finished segments are kept in {SegmentStore(out).folder}: the same command with --resume goes on"
        )
        raise KeyboardInterrupt(f"interrupted; {then if kept else 'nothing was finished yet'}") from error


@contextmanager
def open_stream(out: Path, *, stream: bool, resume: bool = False) -> Iterator[tuple[BinaryIO | None, Path]]:
    """(what a video is written to as it is made, its name): standard output for `-`, the file itself; None to write it
    whole. resume: on standard output nothing can be resumed.

    Raises PahaError where it cannot be opened.
    """
    from paha.runtime.atomic import unwritable

    if out == STANDARD_OUTPUT:
        if resume or sys.stdout.isatty():
            raise PahaError("-o - writes a video to a pipe or a file: give one, and no --resume")
        with tempfile.TemporaryDirectory() as folder:
            yield sys.stdout.buffer, Path(folder) / "standard output"
    elif not stream:
        yield None, out
    else:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            file = out.open("wb")
        except OSError as error:
            raise unwritable(out, error) from error
        try:
            with file:
                yield file, out
        finally:
            if not out.stat().st_size:
                out.unlink()
