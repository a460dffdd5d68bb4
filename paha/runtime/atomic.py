"""Files that appear whole or not at all: written under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from paha.errors import PahaError

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}\.partial", re.DOTALL)


def temporary_name(path: Path) -> Path:
    """A fresh hidden name beside `path`, with the ending `.partial`. Makes the folder.

    Raises PahaError if the folder cannot be made, `path` is a folder or no plain file (a device would be replaced by
    one), or its name is no text: better now than after hours of work.
    """
    check_name(path)
    if path.is_dir():
        raise PahaError(f"cannot write {path}: it is a folder; give a file name")
    if path.exists() and not path.is_file():
        raise PahaError(f"cannot write {path}: it is a device or a pipe; give a file name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")


def check_name(path: Path) -> None:
    """Raises PahaError for a name that no program could print, or that the system does not take."""
    try:
        os.fsencode(path).decode()
        os.path.lexists(path)
    except (UnicodeError, ValueError) as error:
        shown = os.fsencode(path).decode("utf-8", "replace").replace("\0", "\\0")
        raise PahaError(f"cannot write {shown}: its name is no valid UTF-8; give another name") from error


def unwritable(path: Path, error: Exception) -> PahaError:
    """The one line about a file that could not be written: its name and the system's reason."""
    reason = getattr(error, "strerror", None) or error
    return PahaError(f"cannot write {path}: {reason}; check the folder, its rights and the free space")


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name to write to; renamed to `path` on clean exit, removed on any exception.

    An OSError inside, or safetensors' own, becomes a PahaError that names `path`.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        with reserved(temporary):
            yield temporary
            os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    except Exception as error:
        # safetensors raises its own class for a full disk; imported here it would slow every start.
        if type(error).__name__ != "SafetensorError":
            raise
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a small file atomically. Raises PahaError if it cannot be written."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def reserved(temporary: Path) -> Iterator[None]:
    """Make the empty file and keep it locked while it is written, so that `remove_stale` knows that somebody does."""
    with temporary.open("ab") as file:
        if not _lock(file):  # Windows renames no open file
            file.close()
        yield


def remove_stale(folder: Path, name: str = "") -> None:
    """Remove the temporary files that killed processes left in a folder, or those of the file `name` in it alone.

    What a running process writes is locked and stays.
    """
    for path in folder.glob(".*.partial"):
        found = _TEMPORARY.fullmatch(path.name)
        if found is None or (name and found["name"] != name) or path.is_symlink():
            continue
        with suppress(OSError), path.open("ab") as file:
            if _lock(file):
                path.unlink(missing_ok=True)


def _lock(file: IO[Any]) -> bool:
    """Whether nobody else holds the file. The system gives a lock back when its process ends, however it ends."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process, or a file system without locks
        return False
    return True
