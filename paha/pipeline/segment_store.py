"""Finished segments on disk, so that a video goes on where a crash, or a person, stopped it.

OUT.partial/settings.json        what the video depends on
OUT.partial/segment_00000.safetensors ...        latents (T, C, h, w) float32, lossless
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from paha.errors import PahaError
from paha.runtime.atomic import atomic_path, unwritable, write_bytes

SETTINGS_FILE = "settings.json"


class SegmentStore:
    """The folder OUT.partial of one video. A segment is there whole or not at all."""

    def __init__(self, out: Path) -> None:
        self.folder = out.with_name(out.name + ".partial")

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
        changed = sorted(_differences(_read_settings(path), json.loads(json.dumps(settings))))
        if changed:
            raise PahaError(
                f"cannot resume {self.folder}: {', '.join(changed)} changed since; give the same again, or start anew "
                f"without --resume"
            )
        count = 0
        while self._path(count).is_file():
            count += 1
        return count

    def save(self, index: int, latents: Tensor) -> None:
        """Keep a segment."""
        from safetensors.torch import save_file

        with atomic_path(self._path(index)) as temporary:
            save_file({"latents": latents.contiguous()}, temporary)

    def load(self, index: int) -> Tensor:
        """A kept segment. Raises PahaError that names the file if it is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(self._path(index))["latents"]
        except (OSError, SafetensorError, KeyError) as error:
            raise PahaError(f"{self._path(index)} is damaged; remove it and run with --resume again") from error

    def remove(self) -> None:
        """Delete the folder, if it is there. Raises PahaError if that is not allowed."""
        try:
            shutil.rmtree(self.folder, ignore_errors=False)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def _path(self, index: int) -> Path:
        return self.folder / f"segment_{index:05d}.safetensors"


def _read_settings(path: Path) -> dict[str, object]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PahaError(f"{path} is damaged; start anew without --resume") from error
    return settings if isinstance(settings, dict) else {}


def _differences(a: Mapping[str, object], b: Mapping[str, object]) -> set[str]:
    return {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)}
