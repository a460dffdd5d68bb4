"""The dataset on disk: manifest.jsonl, one ClipRecord a line, and one safetensors file of annotations a clip.

OUT/manifest.jsonl   OUT/clips/<clip_id>.mp4   OUT/clips/<clip_id>.wav   OUT/clips/<clip_id>.safetensors
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydantic import ValidationError

from paha.errors import PahaError
from paha.runtime.atomic import unwritable, write_bytes
from paha.types import ClipRecord, Keypoints

MANIFEST = "manifest.jsonl"
_RIG = "rig."


@dataclass(frozen=True)
class ClipAnnotations:
    """What is known about each of a clip's T frames.

    keypoints: of the T frames. face_box: (T, 4) float32, x0 y0 x1 y1 in pixels of the frame.
    rig: name -> (T,) or (T, n) float32, the signals that drove a synthetic presenter; empty for real footage.
    """

    keypoints: Keypoints
    face_box: np.ndarray
    rig: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        num_frames = len(self.keypoints.scores)
        if self.face_box.shape != (num_frames, 4):
            raise ValueError(f"face_box {self.face_box.shape} does not fit {num_frames} frames of keypoints")
        for name, values in self.rig.items():
            if values.ndim not in (1, 2) or len(values) != num_frames:
                raise ValueError(f"rig signal '{name}' {values.shape} does not fit {num_frames} frames of keypoints")


def write_manifest(folder: Path | str, records: Iterable[ClipRecord]) -> None:
    """Write manifest.jsonl of a dataset folder, atomically, in the order given. Raises PahaError if it cannot."""
    write_bytes(Path(folder) / MANIFEST, b"".join(_line(record) for record in records))


def append_record(folder: Path | str, record: ClipRecord) -> None:
    """Add one clip at the end of manifest.jsonl. A line that a killed process left unfinished is dropped first."""
    path = Path(folder) / MANIFEST
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            _drop_unfinished_line(file)
            file.write(_line(record))
    except OSError as error:
        raise unwritable(path, error) from error


def read_manifest(folder: Path | str, *, unfinished: bool = False) -> list[ClipRecord]:
    """The clips of a dataset folder, in the manifest's order.

    unfinished: leave out a last line that a killed process never finished: for the command that then goes on. Raises
    PahaError that names the file, the line and the field if the manifest is missing or a line is no ClipRecord.
    """
    path = Path(folder) / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PahaError(f"cannot read {path}: {error}; make a dataset with `paha synth` or `paha prepare`") from error
    finished = text[: text.rfind("\n") + 1] if unfinished else text
    records = [_parse(line, f"{path}:{n}") for n, line in enumerate(finished.split("\n"), 1) if line.strip()]
    _reject_duplicates(records, path)
    return records


def save_annotations(path: Path | str, annotations: ClipAnnotations) -> None:
    """Write a clip's annotations as float32 safetensors, atomically. Raises PahaError if it cannot be written."""
    from safetensors.numpy import save

    tensors = {
        "keypoints.points": annotations.keypoints.points,
        "keypoints.scores": annotations.keypoints.scores,
        "face_box": annotations.face_box,
        **{_RIG + name: values for name, values in annotations.rig.items()},
    }
    # safetensors writes the memory of a strided view, not its values.
    write_bytes(path, save({name: np.ascontiguousarray(values, dtype=np.float32) for name, values in tensors.items()}))


def load_annotations(path: Path | str) -> ClipAnnotations:
    """Read what `save_annotations` wrote. Raises PahaError that names a missing, truncated or foreign file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(Path(path).read_bytes())
        keypoints = Keypoints(points=tensors["keypoints.points"], scores=tensors["keypoints.scores"])
        rig = {name.removeprefix(_RIG): values for name, values in tensors.items() if name.startswith(_RIG)}
        return ClipAnnotations(keypoints=keypoints, face_box=tensors["face_box"], rig=rig)
    except KeyError as error:
        raise PahaError(f"{path} holds no annotations of a clip: {error} is missing") from error
    except (OSError, SafetensorError, ValueError, IndexError) as error:
        raise PahaError(f"cannot read the annotations {path}: {error}; make them again") from error


def _drop_unfinished_line(file: BinaryIO) -> None:
    size = file.seek(0, os.SEEK_END)
    if not size:
        return
    file.seek(size - 1)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _line(record: ClipRecord) -> bytes:
    return record.model_dump_json().encode() + b"\n"


def _parse(line: str, where: str) -> ClipRecord:
    try:
        return ClipRecord.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        at = f"'{'.'.join(map(str, first['loc']))}': " if first["loc"] else ""
        remedy = "; mend the line, or make the dataset again"
        raise PahaError(f"{where}: {at}{first['msg'].removeprefix('Value error, ')}{remedy}") from error


def _reject_duplicates(records: list[ClipRecord], path: Path) -> None:
    seen: set[str] = set()
    for record in records:
        if record.clip_id in seen:
            raise PahaError(f"{path}: clip '{record.clip_id}' appears twice; remove one of the lines")
        seen.add(record.clip_id)
