"""Which clips of a dataset are for training and which for testing: DATA/splits.json, as `paha prepare` writes it.

A dataset without the file has one part: whatever split is asked for is all of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from paha.dataset.manifest import read_manifest
from paha.errors import PahaError
from paha.types import ClipRecord

SPLITS = "splits.json"
PARTS = ("train", "test")
SplitName: TypeAlias = Literal["train", "test", "all"]


def read_splits(data_dir: Path) -> dict[str, str]:
    """clip id -> `train` or `test`; empty where DATA_DIR has no splits.json.

    Raises PahaError where the file is not two lists of names, or names a clip in both.
    """
    path = data_dir / SPLITS
    if not path.is_file():
        return {}
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
        parts = {str(clip): part for part in PARTS for clip in lists[part]}
        count = sum(len(lists[part]) for part in PARTS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PahaError(f"{path} holds no lists `train` and `test` of clip ids: {error}") from error
    if count != len(parts):
        raise PahaError(f"{path} names {count - len(parts)} clips twice; a clip is for training or for testing")
    return parts


def split_records(data_dir: Path, split: SplitName) -> list[ClipRecord]:
    """The records of a split, in the manifest's order; every record where DATA_DIR has no splits.json.

    Raises PahaError where the file leaves out a clip of the manifest, or the split has no clip.
    """
    records, parts = read_manifest(data_dir), read_splits(data_dir)
    check_complete(data_dir, records, parts)
    chosen = [record for record in records if split == "all" or parts.get(record.clip_id, split) == split]
    if records and not chosen:
        raise PahaError(f"{data_dir / SPLITS} has no clip for --split {split}; give --split all, or more clips")
    return chosen


def check_complete(data_dir: Path, records: Iterable[ClipRecord], parts: dict[str, str]) -> None:
    """Raises PahaError for a clip that a splits.json forgets: it could be in either part."""
    missing = [record.clip_id for record in records if parts and record.clip_id not in parts]
    if missing:
        others = f" and {len(missing) - 1} others" if missing[1:] else ""
        raise PahaError(f"{data_dir / SPLITS} does not name clip '{missing[0]}'{others}; add it to `train` or `test`")


def splits_digest(parts: dict[str, str]) -> str:
    """16 hexadecimal digits: two datasets with equal ones are split alike. Empty where there is no split."""
    if not parts:
        return ""
    return hashlib.sha256(json.dumps(sorted(parts.items())).encode()).hexdigest()[:16]
