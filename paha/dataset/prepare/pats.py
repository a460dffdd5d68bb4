"""PATS as S2G uses it: PATS's interval csv names stretches of videos, a list of ids the splits. Nothing is fetched.

The csv (`cmu_intervals_df.csv`) has, among others, the columns interval_id, speaker, video_link, start_time and
end_time; S2G's `filtered_intervals.json` has two lists of ids, `train` (4320) and `test` (480).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from paha.dataset.prepare.cutting import Listed
from paha.errors import PahaError

COLUMNS = ("interval_id", "speaker", "video_link", "start_time", "end_time")


def interval_finder(
    intervals: Path, *, splits: Path | None = None, speakers: Collection[str] = ()
) -> Callable[[Path], list[Listed]]:
    """A function from a raw file to the intervals that lie in it, by the file's stem: the end of the interval's link.

    splits: only the intervals that it lists. speakers: only theirs; empty is all. Raises PahaError where a file cannot
    be read or lacks a column.
    """
    wanted = None if splits is None else {key for ids in read_splits(splits).values() for key in ids}
    rows = [
        row
        for row in _rows(intervals)
        if (not speakers or row["speaker"] in speakers) and (wanted is None or row["interval_id"] in wanted)
    ]
    if not rows:
        raise PahaError(f"{intervals} lists nothing of {', '.join(speakers) or 'anybody'} that the splits name")
    by_video: dict[str, list[Listed]] = {}
    for row in rows:
        clip_id = interval_clip_id(row["speaker"], row["interval_id"])
        times = clock_s(row["start_time"], intervals), clock_s(row["end_time"], intervals)
        by_video.setdefault(video_stem(row["video_link"]), []).append(Listed(clip_id, row["speaker"], *times))
    return lambda path: by_video.get(path.stem, [])


def read_splits(path: Path) -> dict[str, list[str]]:
    """`train` and `test` -> ids. Raises PahaError where the file is not of that form."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {name: [str(int(key)) for key in data[name]] for name in ("train", "test")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PahaError(f"{path} holds no lists `train` and `test` of interval ids: {error}") from error


def published_split(splits: Path) -> dict[str, str]:
    """interval id -> `train` or `test`. Raises PahaError as `read_splits`."""
    return {key: name for name, ids in read_splits(splits).items() for key in ids}


def split_by_clip(intervals: Path, splits: Path) -> dict[str, str]:
    """clip id -> `train` or `test`, for every interval of the csv that the splits name."""
    split = published_split(splits)
    return {
        interval_clip_id(row["speaker"], row["interval_id"]): split[row["interval_id"]]
        for row in _rows(intervals)
        if row["interval_id"] in split
    }


def interval_clip_id(speaker: str, interval_id: str) -> str:
    """The name of an interval's clip."""
    return f"{speaker}-{interval_id}"


def video_stem(link: str) -> str:
    """What the file of a link is called: YouTube's 11 characters; of other links (Jon's shows) the last 4."""
    return link[-11:] if "youtu" in link else link[-4:]


def clock_s(text: str, where: Path | str) -> float:
    """Seconds of '0:01:02.5', '00:01:02.500' or '0 days 00:01:02.5'. Raises PahaError for anything else."""
    try:
        hours, minutes, seconds = text.split()[-1].split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except (ValueError, IndexError) as error:
        raise PahaError(f"{where}: '{text}' is no time; hours:minutes:seconds is meant") from error


def _rows(path: Path) -> Iterable[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise PahaError(f"{path} has no column '{missing[0]}'; PATS's interval csv is meant")
            for row in reader:
                yield {name: (row[name] or "").strip() for name in COLUMNS}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PahaError(f"cannot read {path}: {error}") from error
