"""Overlays and statistics of Parts-Aware Re-weighting on a clip or a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from paha.config import PahaConfig
from paha.dataset.par_overlay import draw_clip
from paha.dataset.par_report import write_statistics
from paha.dataset.posed_clips import (
    ANNOTATIONS,
    PosedClip,
    VideoReader,
    annotated_points,
    dataset_of,
    load_annotated,
    view_size,
)
from paha.errors import PahaError
from paha.media.image_io import contact_sheet, save_png
from paha.media.video_writer import write_video
from paha.par.statistics import ParStatistics
from paha.runtime.atomic import temporary_name
from paha.types import ClipRecord

SHEET_MOMENTS = 5
STATISTICS_SIDE = 256
"""Shorter side of the frames that statistics draw M on; what they tell are shares, and lengths scale."""
COMMENT = "made by paha inspect: a clip and the loss weights of its pixels"


@dataclass(frozen=True)
class InspectOptions:
    """Options of `paha inspect`. clips: how many of a dataset are drawn. seconds: of each clip that is drawn.

    frames: how many of a dataset are counted, spread evenly. pose: annotations of a dataset, or the extractor's kind.
    """

    clips: int = 4
    seconds: float = 10.0
    frames: int = 2000
    pose: str = "auto"


def inspect_par(
    source: Path, out: Path, config: PahaConfig, options: InspectOptions, *, say: Callable[[str], None] = print
) -> tuple[list[Path], list[str]]:
    """Draw and count what PAR does to a clip or dataset; returns the files written, and which clips failed and why.

    For each clip drawn OUT/<clip>_par.mp4 and OUT/<clip>_par.png, for all together OUT/par_stats.json, .md and .png.
    Of a dataset with its own annotations all clips are counted, else those drawn. Goes on after a clip that cannot be
    read. say: is told who reads the keypoints.
    """
    dataset, statistics = dataset_of(source), ParStatistics(config.par)
    temporary_name(out / "par_stats.json")  # fails now, not after the work, where the folder cannot be made
    if dataset is not None and options.pose == "auto":
        folder, records = dataset
        loads = {
            r.clip_id: partial(load_annotated, folder, r, seconds=options.seconds)
            for r in spread(records, options.clips)
        }
        written, failed = draw_all(loads, out, config)
        failed += count_dataset(statistics, folder, records, frames=options.frames)
        origin = ANNOTATIONS
    else:
        videos = [source] if dataset is None else [dataset[0] / r.video for r in spread(dataset[1], options.clips)]
        with VideoReader(options.pose) as reader:
            say(_who_reads(reader, chosen=options.pose))
            loads = {video.name: partial(reader.load, video, seconds=options.seconds) for video in videos}
            written, failed = draw_all(loads, out, config, statistics)
        origin = reader.origin
    if statistics.num_frames:
        written += write_statistics(out, statistics, config.par, source=source.resolve().name, origin=origin)
    return written, failed


def draw_all(
    loads: dict[str, Callable[[], PosedClip]], out: Path, config: PahaConfig, statistics: ParStatistics | None = None
) -> tuple[list[Path], list[str]]:
    """Draw every clip, and count it where `statistics` are given; returns the files, and what failed and why."""
    written, failed = [], []
    for name, load in loads.items():
        try:
            clip = load()
            written += draw(clip, out, config)
        except PahaError as error:
            failed.append(f"{name}: {error}")
            continue
        if statistics is not None:
            _count(statistics, clip.points, clip.scores, width=clip.frames.shape[2], height=clip.frames.shape[1])
    return written, failed


def spread(records: list[ClipRecord], count: int) -> list[ClipRecord]:
    """Up to `count` records at even distances: the same ones every time."""
    return [
        records[i] for i in np.unique(np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int))
    ]


def draw(clip: PosedClip, out: Path, config: PahaConfig) -> list[Path]:
    """The video of a clip's overlays and a sheet of some of them."""
    video, sheet = out / f"{clip.name}_par.mp4", out / f"{clip.name}_par.png"
    moments = set(np.linspace(0, len(clip.frames) - 1, SHEET_MOMENTS).round().astype(int).tolist())
    shown: list[np.ndarray] = []

    def frames():
        for t, picture in enumerate(draw_clip(clip, config.par, downsample=config.codec.downsample)):
            if t in moments:
                shown.append(picture)
            yield picture[None]

    write_video(video, frames(), comment=COMMENT)
    save_png(sheet, contact_sheet(shown, columns=1))
    return [video, sheet]


def count_dataset(statistics: ParStatistics, folder: Path, records: list[ClipRecord], *, frames: int) -> list[str]:
    """Add about `frames` frames, spread evenly over a dataset's annotations; returns what could not be read and why."""
    every, failed, start = max(1, sum(r.num_frames for r in records) // frames), [], 0
    for record in records:
        at = slice((-start) % every, None, every)  # counted through all clips, so that short ones have their share
        start += record.num_frames
        try:
            points, scores = annotated_points(folder, record)
        except PahaError as error:
            failed.append(f"{record.clip_id}: {error}")
            continue
        _count(statistics, points[at], scores[at], width=record.width, height=record.height)
    return failed


def _count(statistics: ParStatistics, points: np.ndarray, scores: np.ndarray, *, width: int, height: int) -> None:
    width, height = view_size(width, height, largest=STATISTICS_SIDE)
    if len(points):
        statistics.add(torch.from_numpy(points), torch.from_numpy(scores), height=height, width=width)


def _who_reads(reader: VideoReader, *, chosen: str) -> str:
    note = f"keypoints are read by {reader.origin}"
    if reader.kind == "presenter":
        note += ", which knows drawn presenters only"
        if chosen == "auto":
            note += (
                "; for photographed people `pip install 'paha[extract]'` and set $PAHA_WEIGHTS to the folder of "
                "MediaPipe's task models"
            )
    return note
