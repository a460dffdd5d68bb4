"""Files that appear whole or not at all: written under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paha.errors import PahaError


def temporary_name(path: Path) -> Path:
    """A fresh hidden name beside `path`, with the ending `.partial`. Makes the folder.

    Raises PahaError if the folder cannot be made or `path` is a folder: better now than after hours of work.
    """
    if path.is_dir():
        raise PahaError(f"cannot write {path}: it is a folder; give a file name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")


def unwritable(path: Path, error: Exception) -> PahaError:
    """The one line about a file that could not be written: its name and the system's reason."""
    reason = getattr(error, "strerror", None) or error
    return PahaError(f"cannot write {path}: {reason}; check the folder, its rights and the free space")


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name to write to; renamed to `path` on clean exit, removed on any exception.

    An OSError inside becomes a PahaError that names `path`.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a small file atomically. Raises PahaError if it cannot be written."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
