"""An evaluation as one HTML page that needs nothing else: tables, plots, the worst clips side by side, provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from paha.errors import PahaError
from paha.evaluation.metrics.evaluate import EvaluatedRow, Evaluation
from paha.evaluation.tables.render import Column, Table, cell_text, number_of
from paha.media.audio_io import read_audio
from paha.media.video_io import iter_video, write_video
from paha.runtime.pages import render_page
from paha.runtime.statistics import Interval
from paha.runtime.workers import num_cores
from paha.types import FPS

WORST_BY: dict[str, tuple[str, bool]] = {
    "sync_c": ("Sync-C", False),
    "lip_r": ("lip r to truth", False),
    "lip_loudness_margin": ("lip margin", False),
    "csim": ("CSIM", False),
    "psnr_frame": ("PSNR of the frame", False),
    "jerk": ("jerk", True),
    "identity_drift": ("identity drift", True),
}
"""Metrics with values by clip, in the order in which they may show their worst one. True where more is worse."""
NUM_WORST = 3
SHOWN_HEIGHT, SHOWN_SECONDS = 256, 6


@dataclass(frozen=True)
class WorstClip:
    """A generated clip beside its real one. video: mp4 with the generated one's sound. sides: what is seen from left to
    right, and how wide it is in pixels."""

    name: str
    why: str
    video: bytes
    sides: tuple[tuple[str, int], ...]


def page(evaluation: Evaluation, tables: Sequence[Table], left_out: Sequence[str]) -> str:
    """The HTML of an evaluation."""
    return render_page(
        "evaluation.html",
        evaluation=evaluation,
        tables=[(table, [metric_row(table, column) for column in table.columns]) for table in tables],
        plots=[plot for table in tables for column in table.columns if (plot := strip(table, column))],
        worst=worst_clips(evaluation),
        left_out=left_out,
        provenance=flattened(evaluation.provenance | dict(tables[0].provenance)),
    )


def metric_row(table: Table, column: Column) -> tuple[str, list[str]]:
    """A metric's title and its cell of every row; the reason in place of a value that is absent."""
    cells = [cell_text(row.measured.get(column.key), column.digits) for row in table.rows]
    return column.title, cells


def strip(table: Table, column: Column) -> tuple[str, list[tuple[str, float, float, float, str]]] | None:
    """A metric as dots on a line: its title, and of every row (name, place, low, high in per cent of the line, value).

    None where fewer than two rows have a value.
    """
    shown = [(row.name, row.measured.get(column.key)) for row in table.rows]
    known = [(name, value, number) for name, value in shown if (number := number_of(value)) is not None]
    if len(known) < 2:
        return None
    bars = [(v.low, v.high) if isinstance(v, Interval) else (n, n) for _, v, n in known]
    low, high = min(min(bar) for bar in bars), max(max(bar) for bar in bars)
    width = (high - low) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - low) / width, 2)

    rows = [
        (name, place(number), place(a), place(b), cell_text(value, column.digits))
        for (name, value, number), (a, b) in zip(known, bars, strict=True)
    ]
    return column.title, rows


def worst_clips(evaluation: Evaluation) -> list[WorstClip]:
    """Up to three clips, each the worst of another metric."""
    found: dict[str, str] = {}
    row = evaluation.rows[0]
    for key, (title, more_is_worse) in WORST_BY.items():
        values = {name: value for name, value in row.by_clip.get(key, {}).items() if name not in found}
        if not values or len(found) == NUM_WORST:
            continue
        name = (max if more_is_worse else min)(values, key=lambda clip: values[clip])
        found[name] = f"{title} {values[name]:.3g} (mean {_mean(row, key):.3g})"
    with ThreadPoolExecutor(num_cores()) as pool:
        videos = [path for name in found for path in evaluation.videos.get(name, ()) if path is not None]
        small = {path: pool.submit(_small, path) for path in videos}  # begun first: six of them leave no core idle
        shown = [pool.submit(_side_by_side, evaluation, name, why, small) for name, why in found.items()]
    return [clip for one in shown if (clip := one.result())]


def _mean(row: EvaluatedRow, key: str) -> float:
    return float(np.mean(list(row.by_clip[key].values())))


def _side_by_side(
    evaluation: Evaluation, name: str, why: str, small: Mapping[Path, Future[np.ndarray]]
) -> WorstClip | None:
    fake, real = evaluation.videos.get(name, (None, None))
    if fake is None:
        return None
    try:
        paths = {"real": real, "generated": fake}
        shown = {side: small[path].result() for side, path in paths.items() if path is not None}
        length = min(map(len, shown.values()))
        frames = np.concatenate([part[:length] for part in shown.values()], axis=2)
        sides = tuple((side, part.shape[2]) for side, part in shown.items())
        with TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            sound, tag = _sound(fake, real, length), "a clip of an evaluation"
            write_video(path, frames, audio=sound, crf=28, preset="veryfast", comment=tag)
            return WorstClip(name, why, path.read_bytes(), sides)
    except (PahaError, OSError):
        return None  # the tables stand without it


def _small(path: Path) -> np.ndarray:
    frames = []
    for frame in islice(iter_video(path), SHOWN_SECONDS * FPS):
        scale = SHOWN_HEIGHT / frame.shape[0]
        width = max(2, round(frame.shape[1] * scale / 2) * 2)
        # Means over areas take ten times as long, and are needed only where between four pixels others would be lost.
        how = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA
        frames.append(cv2.resize(frame, (width, SHOWN_HEIGHT), interpolation=how))
    return np.stack(frames)


def _sound(fake: Path, real: Path | None, length: int) -> tuple[np.ndarray, int] | None:
    for path in (fake, real):
        try:
            samples, rate_hz = read_audio(path) if path is not None else (None, 0)
        except PahaError:
            continue
        if samples is not None:
            return samples[: length * rate_hz // FPS], rate_hz
    return None


def flattened(data: object, prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain data as lines: ('instruments.pose.extractor', 'mediapipe')."""
    if isinstance(data, dict):
        return [line for key, value in data.items() for line in flattened(value, f"{prefix}.{key}".lstrip("."))]
    if isinstance(data, float) and math.isfinite(data):
        return [(prefix, f"{data:.6g}")]
    return [(prefix, str(data))]
