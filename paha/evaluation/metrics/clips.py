"""The clips of a folder of videos or of a dataset, and which real clip belongs to which generated one."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paha.dataset.manifest import MANIFEST, read_manifest
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


def find_clips(folder: Path) -> list[Clip]:
    """The clips of a dataset (manifest.jsonl) or of a folder of videos, by name; sound lies beside them or inside.

    Raises PahaError for a folder that is missing or without videos.
    """
    if not folder.is_dir():
        raise PahaError(f"{folder} is no folder; give a folder of videos or a dataset")
    if (folder / MANIFEST).is_file():
        records = read_manifest(folder)
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


def speech(clip: Clip) -> np.ndarray:
    """The clip's sound, (M,) float32 at 16 kHz. Raises PahaError where it has none."""
    return to_mono_16k(*read_audio(clip.audio))


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
