"""TC, the time cost (5.5): seconds to generate a video, kept beside a folder of videos by whatever made them.

FOLDER/cost.json: {"machine": "...", "seconds": {"clip name": seconds, ...}, "video_seconds": {...}}
"""

from __future__ import annotations

import json
import platform
from collections.abc import Collection
from pathlib import Path

from paha.errors import PahaError
from paha.runtime.atomic import write_bytes
from paha.runtime.statistics import Interval, bootstrap
from paha.runtime.workers import num_cores

COST_FILE = "cost.json"


def record_cost(folder: Path, clip_id: str, *, seconds: float, video_seconds: float) -> None:
    """Add one video's wall-clock time to FOLDER/cost.json, atomically. video_seconds: the video's length."""
    known = _read(folder) or {"machine": machine(), "seconds": {}, "video_seconds": {}}
    known["seconds"][clip_id] = seconds
    known["video_seconds"][clip_id] = video_seconds
    write_bytes(folder / COST_FILE, json.dumps(known, indent=1).encode())


def time_cost(folder: Path, clips: Collection[str] | None = None) -> Interval | str:
    """Mean seconds of computing for a video of the folder, or why it is not known. clips: the names that count, all by
    default; a folder may hold videos of earlier runs too."""
    known = _read(folder)
    seconds = [] if known is None else [float(v) for k, v in known["seconds"].items() if clips is None or k in clips]
    if not seconds:
        return f"no {COST_FILE} beside the videos (clip name: seconds)"
    return bootstrap(seconds)


def time_cost_per_second(folder: Path, clips: Collection[str] | None = None) -> Interval | str:
    """The same for a second of video, which compares clips of different length."""
    known = _read(folder)
    lengths = {} if known is None else known.get("video_seconds", {})
    wanted = {name: length for name, length in lengths.items() if length > 0 and (clips is None or name in clips)}
    if known is None or not wanted:
        return f"no {COST_FILE} with video_seconds beside the videos"
    return bootstrap([known["seconds"][name] / length for name, length in wanted.items()])


def machine() -> str:
    """The processor and how many cores of it this process may use."""
    return f"{platform.processor() or platform.machine()}, {num_cores()} cores"


def _read(folder: Path) -> dict | None:
    path = folder / COST_FILE
    if not path.is_file():
        return None
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        {name: float(value) for name, value in known["seconds"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PahaError(f"cannot read {path}: {error}; it must hold seconds by clip name") from error
    return known
