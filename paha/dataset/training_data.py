"""What a model was trained on, kept in its folder, so that nobody evaluates it on these clips without a warning.

MODEL/training_data.json: {"datasets": [{"data", "split", "splits_sha256", "features", "clips": {clip id: hash}}]}. A
clip's hash is that of its video, sound and annotations: a clip under another name, or in another folder, is known.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from paha.dataset.features import source_hash
from paha.errors import PahaError
from paha.runtime.atomic import write_bytes
from paha.types import ClipRecord

TRAINING_DATA = "training_data.json"
HASH_DIGITS = 16
NAMED = 3


class TrainedOn(TypedDict):
    """One dataset of the note."""

    data: str
    split: str
    splits_sha256: NotRequired[str | list[str]]
    features: NotRequired[str]
    clips: dict[str, str]


class TrainedOnWarning(UserWarning):
    """Clips that a model was trained on say nothing of how good it is."""


def write_training_data(folder: Path, datasets: Sequence[TrainedOn]) -> None:
    """Note in a model folder what the model was trained on; nothing where that is unknown."""
    if datasets:
        write_bytes(folder / TRAINING_DATA, json.dumps({"datasets": list(datasets)}, indent=1).encode())


def trained_clips(model: Path) -> set[str]:
    """Hashes of the clips that the parts of a model folder were trained on; empty where nothing is noted.

    Raises PahaError for a note that cannot be read.
    """
    found: set[str] = set()
    for path in sorted(model.rglob(TRAINING_DATA)):
        try:
            datasets = json.loads(path.read_text(encoding="utf-8"))["datasets"]
            found |= {value for data in datasets for value in data["clips"].values() if value}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PahaError(f"cannot read {path}: {error}; remove it, or copy the model again") from error
    return found


def seen_in_training(model: Path, data_dir: Path, records: Sequence[ClipRecord]) -> list[str]:
    """Ids of those records whose very files the model was trained on. Raises PahaError where a file is missing."""
    trained = trained_clips(model)
    if not trained:
        return []
    return [record.clip_id for record in records if source_hash(data_dir, record)[:HASH_DIGITS] in trained]


def leak_text(seen: Sequence[str], total: int, what: str) -> str:
    """The warning of clips that were trained on."""
    names = ", ".join(seen[:NAMED]) + (" ..." if len(seen) > NAMED else "")
    return f"{len(seen)} of the {total} clips ({names}) were trained on {what}: their scores say nothing of new speech"
