"""What a command may read and where it may write, decided before any work: one rule for all commands.

OUT is                                      without --overwrite   with it
missing, or an empty folder                 made                  made
a folder of this command's own making       goes on there         goes on there
a file, or a finished run's results         refused               replaced
another folder that holds something         refused               refused
an input, under whatever name               refused               refused
a device, a pipe                            refused               refused

A command says what its paths are by `Input` and `Output` beside their types (`paha.cli.options.verb` does the rest).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from paha.errors import PahaError
from paha.runtime.atomic import check_name, remove_stale

SHIPPED = Path("shipped")
"""The model that comes with the package, where a model is asked for."""
STREAM = Path("-")
"""What stands for standard input or output."""


@dataclass(frozen=True)
class Input:
    """A path that is read. file: a file or a pipe. stream: a file, a pipe, or - for standard input. folder: a folder.
    model: a folder or the name of one on a hub. source: a file, or what `model` may be. any: whatever exists."""

    kind: Literal["file", "stream", "folder", "model", "source", "any"] = "any"

    def check(self, path: Path) -> None:
        """Raises PahaError where it is not there, or is something else."""
        check_input(path, self.kind)


@dataclass(frozen=True)
class Output:
    """A path that is written.

    kind: a file, or a folder. marks: names (patterns) of what lies in a folder that this command began. results: what a
    finished run leaves there and a further one would replace. endings: what a file's name may end in.
    """

    kind: Literal["file", "folder"]
    marks: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()

    def check(self, path: Path, *, inputs: Sequence[Path] = (), overwrite: bool = False) -> None:
        """Raises PahaError where the rule above says so."""
        if self.kind == "file":
            check_output_file(path, inputs=inputs, overwrite=overwrite, endings=self.endings)
        else:
            check_output_folder(path, inputs=inputs, overwrite=overwrite, marks=self.marks, results=self.results)

    @contextmanager
    def claimed(self, path: Path, *, inputs: Sequence[Path] = (), overwrite: bool = False) -> Iterator[None]:
        """`check`, then the work; where that fails or is stopped, folders that were made for nothing go again.

        What killed runs left half-written in the folder is removed first.
        """
        self.check(path, inputs=inputs, overwrite=overwrite)
        missing = [folder for folder in (path, *path.absolute().parents) if not folder.exists()]
        if self.kind == "folder" and path.is_dir():
            for folder, _, _ in os.walk(path):
                remove_stale(Path(folder))
        try:
            yield
        except BaseException as error:
            remove_empty(missing)
            if isinstance(error, KeyboardInterrupt) and not error.args and self.marks and path.is_dir():
                kept = f"interrupted; what is finished is kept in {path}: the same command goes on"
                raise KeyboardInterrupt(kept) from error
            raise


def check_input(path: Path, kind: str = "any") -> None:
    """Raises PahaError that names a path that is not there (with the nearest name that is), or is of another kind."""
    if kind == "stream" and path == STREAM:
        return
    if kind in ("model", "source") and not path.is_absolute() and str(path).count("/") == 1 and not path.exists():
        return  # OWNER/NAME of a hub
    if kind in ("model", "source") and path == SHIPPED and not path.exists():
        return
    try:
        there = path.exists()
    except (OSError, ValueError) as error:
        raise PahaError(f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}") from error
    if not there:
        raise PahaError(f"{path} does not exist{_did_you_mean(path)}")
    if kind in ("folder", "model") and not path.is_dir():
        raise PahaError(f"{path} is a file; give a folder")
    if kind in ("file", "stream") and path.is_dir():
        raise PahaError(f"{path} is a folder; give a file")
    if kind in ("file", "stream") and not (path.is_file() or path.is_fifo()):
        raise PahaError(f"{path} is a device; give a file")


def check_output_file(
    path: Path, *, inputs: Sequence[Path] = (), overwrite: bool = False, endings: Sequence[str] = ()
) -> None:
    """Raises PahaError where a file must not be written; see the module."""
    if path == STREAM:
        return
    check_name(path)
    if endings and path.suffix.lower() not in endings:
        raise PahaError(f"{path}: the name must end in {' or '.join(endings)}, which is what is written")
    if path.is_dir():
        raise PahaError(f"cannot write {path}: it is a folder; give a file name")
    _refuse_inputs(path, inputs)
    if os.path.lexists(path):
        if path.exists() and not path.is_file():
            raise PahaError(f"cannot write {path}: it is a device or a pipe; give a file name")
        if not overwrite:
            raise PahaError(f"{path} exists already; give another name, or --overwrite to replace it")
    _check_place(path)


def check_output_folder(
    path: Path,
    *,
    inputs: Sequence[Path] = (),
    overwrite: bool = False,
    marks: Sequence[str] = (),
    results: Sequence[str] = (),
) -> None:
    """Raises PahaError where a folder must not be written to; see the module. Hidden files in it do not count."""
    check_name(path)
    if os.path.lexists(path) and not path.is_dir():
        raise PahaError(f"cannot write to {path}: it is no folder; give another name")
    _refuse_inputs(path, inputs)
    if path.is_dir():
        replaced = [found for name in results for found in path.glob(name)]
        places = {place_of(found) for found in replaced}
        for source in inputs:
            if place_of(source) in places:
                raise PahaError(f"{source} is an input of this command and would be replaced; give another folder")
        try:
            names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
        except OSError as error:
            raise PahaError(f"cannot read {path}: {error.strerror}") from error
        if names and not any(next(path.glob(mark), None) for mark in marks):
            shown = f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
            raise PahaError(f"{path} holds what this command did not make ({shown}); give a new or an empty folder")
        if replaced and not overwrite:
            raise PahaError(f"{replaced[0]} exists already; give another folder, or --overwrite to replace it")
    _check_place(path)


def place_of(path: Path) -> tuple[int, int] | str:
    """Equal for two paths that are one file, by links or by another spelling; also where it is not there yet."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove those of the folders, innermost first, that hold nothing but empty folders."""
    for folder in folders:
        for inner, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):
                os.rmdir(inner)


def _refuse_inputs(path: Path, inputs: Sequence[Path]) -> None:
    for source in inputs:
        if source != STREAM and place_of(path) == place_of(source):
            alias = "" if str(path) == str(source) else f" ({source})"
            raise PahaError(f"{path} is an input of this command{alias}: it would be lost; give another name")


def _check_place(path: Path) -> None:
    """Whether the nearest folder that is there can be written to."""
    place = next((folder for folder in (path, *path.absolute().parents) if folder.exists()), None)
    place = path.absolute().parent if place is not None and place == path and not path.is_dir() else place
    if place is None or not place.is_dir():
        raise PahaError(f"cannot write {path}: {place} is no folder")
    if not os.access(place, os.W_OK):
        raise PahaError(f"cannot write {path}: no right to write in {place}")


def _did_you_mean(path: Path) -> str:
    try:
        names = [entry.name for entry in path.absolute().parent.iterdir()]
    except (OSError, ValueError):
        return f"; {path.parent} does not exist either" if not path.parent.exists() else ""
    near = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(near[0])}?" if near else ""
