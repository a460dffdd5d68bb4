"""Finished segments on disk, so that a video goes on where a crash, or a person, stopped it.

OUT.partial/settings.json        what the video depends on
OUT.partial/segment_00000.safetensors ...        latents (T, C, h, w) float32, lossless
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from paha.errors import PahaError
from paha.runtime.atomic import atomic_path, remove_stale, unwritable, write_bytes
from paha.runtime.tensors import save_tensors

if TYPE_CHECKING:
    from torch import Tensor

SETTINGS_FILE = "settings.json"
_OWN = re.compile(r"settings\.json|segment_\d{5}\.safetensors|\..*\.partial")


class ResumeError(PahaError):
    """An interrupted video was made with other settings."""


class SegmentStore:
    """The folder OUT.partial of one video. A segment is there whole or not at all."""

    def __init__(self, out: Path) -> None:
        self.folder = out.with_name(out.name + ".partial")

    @property
    def begun(self) -> bool:
        """Whether an interrupted run is there to go on with."""
        return (self.folder / SETTINGS_FILE).is_file()

    @property
    def finished(self) -> int:
        """How many leading segments are finished."""
        count = 0
        while self._path(count).is_file():
            count += 1
        return count

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Raises PahaError where the folder holds what no run of ours put there, or finished segments that nobody said
        what to do with."""
        if self.folder.exists() and not self.folder.is_dir():
            raise PahaError(f"{self.folder} is in the way: move it, or give another output name")
        foreign = next((path for path in self._files() if not _OWN.fullmatch(path.name)), None)
        if foreign is not None:
            raise PahaError(f"{foreign} is no part of an unfinished video: move it, or give another output name")
        if self.begun and self.finished and not (resume or overwrite):
            raise PahaError(
                f"{self.folder} keeps {self.finished} finished segments of an interrupted run: go on with --resume, or "
                f"start anew with --overwrite"
            )

    def open(self, settings: Mapping[str, object], *, resume: bool) -> int:
        """Make the folder; returns how many leading segments are finished (0 without `resume`, which starts anew).

        settings: everything that the frames depend on, as JSON values. Raises PahaError where the interrupted video was
        made with other settings, naming them, or the folder cannot be written.
        """
        path = self.folder / SETTINGS_FILE
        if not (resume and path.is_file()):
            self.remove()
            write_bytes(path, json.dumps(settings, indent=1).encode())
            return 0
        remove_stale(self.folder)
        changed = sorted(_differences(_read_settings(path), json.loads(json.dumps(settings))))
        if changed:
            raise ResumeError(
                f"cannot resume {self.folder}: {', '.join(changed)} changed since; give the same again, or start anew "
                f"with --overwrite"
            )
        return self.finished

    def save(self, index: int, latents: Tensor) -> None:
        """Keep a segment."""
        with atomic_path(self._path(index)) as temporary:
            save_tensors({"latents": latents}, temporary)

    def load(self, index: int, shape: Sequence[int]) -> Tensor:
        """A kept segment of that shape. Raises PahaError that names the file if it is damaged or another video's."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            latents = load_file(self._path(index))["latents"]
            if tuple(latents.shape) != tuple(shape):
                raise ValueError(f"it is {tuple(latents.shape)}, not {tuple(shape)}")
            return latents
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise PahaError(f"{self._path(index)} is damaged; remove it and run with --resume again") from error

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Where the work inside ends before a segment is finished, the folder goes again."""
        try:
            yield
        except BaseException:
            if not self.finished:
                self.remove()
            raise

    def remove(self) -> None:
        """Delete the folder where it is there, and nothing in it but ours. Raises PahaError if that is not allowed."""
        try:
            # Settings last: what a kill leaves of it is still a run to go on with.
            for path in sorted(self._files(), key=lambda path: path.name.startswith("segment_"), reverse=True):
                path.unlink()
            self.folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def _files(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.is_dir() else []

    def _path(self, index: int) -> Path:
        return self.folder / f"segment_{index:05d}.safetensors"


def _read_settings(path: Path) -> dict[str, object]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PahaError(f"{path} is damaged; start anew with --overwrite") from error
    return settings if isinstance(settings, dict) else {}


def _differences(a: Mapping[str, object], b: Mapping[str, object]) -> set[str]:
    return {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)}
