"""The clips of a folder of videos or of a dataset, and which real clip belongs to which generated one."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from paha.dataset.manifest import MANIFEST
from paha.dataset.splits import SplitName, split_records
from paha.errors import PahaError
from paha.media.audio_io import read_audio, to_mono_16k

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v")
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus")


@dataclass(frozen=True)
class Clip:
    """A video with where its sound is (a file, which may be the video itself) and its exact keypoints, if any."""

    clip_id: str
    video: Path
    audio: Path
    annotations: Path | None = None


def find_clips(folder: Path, *, split: SplitName = "all") -> list[Clip]:
    """The clips of a dataset (manifest.jsonl) or of a folder of videos, by name; sound lies beside them or inside.

    split: of a dataset that has one (`paha.dataset.splits`).

    Raises PahaError for a folder that is missing or without videos.
    """
    if not folder.is_dir():
        raise PahaError(f"{folder} is no folder; give a folder of videos or a dataset")
    if (folder / MANIFEST).is_file():
        records = split_records(folder, split)
        clips = [
            Clip(r.clip_id, folder / r.video, folder / r.audio, folder / r.annotations if r.annotations else None)
            for r in records
        ]
    else:
        videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS and path.is_file())
        clips = [Clip(path.stem, path, _sound_of(path)) for path in videos]
    if not clips:
        raise PahaError(f"{folder} holds no videos ({', '.join(VIDEOS)})")
    repeated = {clip.clip_id for clip in clips if sum(other.clip_id == clip.clip_id for other in clips) > 1}
    if repeated:
        raise PahaError(f"{folder} has two videos called '{min(repeated)}'; rename one")
    return clips


def pair_clips(real: Sequence[Clip], fake: Sequence[Clip], *, pairs: Path | None = None) -> dict[str, Clip]:
    """The real clip of each generated one, by the latter's name: where the names are equal, or as a CSV file with the
    columns real and fake says (names, with or without their ending). Clips without a partner are left out.

    Raises PahaError for a bad file.
    """
    known = {clip.clip_id: clip for clip in real}
    if pairs is None:
        return {clip.clip_id: known[clip.clip_id] for clip in fake if clip.clip_id in known}
    made = {clip.clip_id: clip for clip in fake}
    return {_named(b, made, pairs, row).clip_id: _named(a, known, pairs, row) for row, a, b in _rows(pairs)}


@dataclass(frozen=True)
class Sides:
    """What is compared. truths: the real clip of a generated one, by the latter's name. apart: names of generated clips
    that belong to real ones of another split, and are left out."""

    reals: list[Clip]
    fakes: list[Clip]
    truths: dict[str, Clip]
    apart: list[str]


def find_sides(
    real: Path, fake: Path, *, split: SplitName = "test", pairs: Path | None = None, limit: int | None = None
) -> Sides:
    """The real clips of a split and the generated ones, but for those of real clips of another split.

    pairs: as `pair_clips`. limit: the first so many of each. Raises PahaError for a folder or file that cannot be used.
    """
    chosen, made = find_clips(real, split=split), find_clips(fake)
    truths = pair_clips(find_clips(real), made, pairs=pairs)
    fakes, apart = keep_split(made, truths, chosen)
    if not fakes:
        raise PahaError(f"every video of {fake} is of a clip outside --split {split} of {real}; give another --split")
    reals, fakes = chosen[:limit], fakes[:limit]
    return Sides(reals, fakes, truths_between(truths, reals, fakes), apart)


def keep_split(fakes: Sequence[Clip], truths: dict[str, Clip], chosen: Sequence[Clip]) -> tuple[list[Clip], list[str]]:
    """The generated clips without those whose real clip was not chosen, and the names of these."""
    kept = {clip.clip_id for clip in chosen}
    apart = {name for name, truth in truths.items() if truth.clip_id not in kept}
    return [clip for clip in fakes if clip.clip_id not in apart], sorted(apart)


def truths_between(truths: dict[str, Clip], reals: Sequence[Clip], fakes: Sequence[Clip]) -> dict[str, Clip]:
    """Those pairs of which both clips are there."""
    known, kept = {clip.clip_id for clip in fakes}, {clip.clip_id for clip in reals}
    return {name: truth for name, truth in truths.items() if name in known and truth.clip_id in kept}


def speech(clip: Clip) -> np.ndarray:
    """The clip's sound, (M,) float32 at 16 kHz, not to be written to. Raises PahaError where it has none."""
    state = clip.audio.stat() if clip.audio.is_file() else None
    return _speech(clip.audio, state and (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=64)
def _speech(path: Path, state: object) -> np.ndarray:
    """A few clips are heard once for all rows of a table; of many, each row hears them again."""
    mono = to_mono_16k(*read_audio(path))
    mono.flags.writeable = False
    return mono


def _sound_of(video: Path) -> Path:
    beside = (video.with_suffix(ending) for ending in SOUNDS)
    return next((path for path in beside if path.is_file()), video)


def _named(name: str, clips: dict[str, Clip], path: Path, row: int) -> Clip:
    found = clips.get(name) or clips.get(Path(name).stem)
    if found is None:
        raise PahaError(f"{path} row {row}: there is no clip '{name}'")
    return found


def _rows(path: Path) -> list[tuple[int, str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            if not {"real", "fake"} <= set(reader.fieldnames or []):
                raise PahaError(f"{path}: its first line must be real,fake")
            return [(reader.line_num, (row["real"] or "").strip(), (row["fake"] or "").strip()) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PahaError(f"cannot read the pairs {path}: {error}") from error
