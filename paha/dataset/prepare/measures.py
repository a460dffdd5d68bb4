"""What the report of a dataset says in numbers: one of each clip, and what PAR weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from paha.config import ParConfig
from paha.dataset.manifest import load_annotations
from paha.dataset.prepare.sound import levels_db
from paha.media.audio_io import read_audio
from paha.par.statistics import ParStatistics
from paha.types import FACE, LEFT_HAND, RIGHT_HAND, ClipRecord

SEEN = 0.3
"""The threshold at which the field calls a keypoint seen."""
_EVERY, _PAR_SIDE = 5, 128


@dataclass(frozen=True)
class Measures:
    """One number a clip. face: height over the picture's. hands, faces: mean score of the better hand and of the face.
    rate: peaks of loudness a second, near the syllables'. par: what `paha inspect --par` reports for the same clips.
    """

    length_s: list[float]
    face: list[float]
    hands: list[float]
    faces: list[float]
    rate: list[float]
    par: ParStatistics


def measure(out: Path, records: Sequence[ClipRecord]) -> Measures:
    """The numbers of those clips, from their annotations and sound."""
    measures = Measures([], [], [], [], [], ParStatistics(ParConfig(), (SEEN,)))
    for record in records:
        annotations = load_annotations(out / record.annotations)
        scores, box = annotations.keypoints.scores, annotations.face_box
        mono, _ = read_audio(out / record.audio)
        hand = np.maximum(scores[:, LEFT_HAND].mean(1), scores[:, RIGHT_HAND].mean(1))
        measures.length_s.append(record.num_frames / record.fps)
        measures.face.append(float((box[:, 3] - box[:, 1]).mean()) / record.height)
        measures.hands.append(float(hand.mean()))
        measures.faces.append(float(scores[:, FACE].mean()))
        measures.rate.append(speech_rate(levels_db(mono[:, 0], record.num_frames)))
        points = annotations.keypoints.points[::_EVERY] / np.array([record.width, record.height], np.float32)
        scale = _PAR_SIDE / min(record.width, record.height)
        size = {"height": round(record.height * scale), "width": round(record.width * scale)}
        measures.par.add(torch.from_numpy(points), torch.from_numpy(scores[::_EVERY].copy()), **size)
    return measures


def speech_rate(level_db: np.ndarray) -> float:
    """Peaks of loudness a second: near the rate of syllables. level_db: (T,) at 25 a second."""
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(level_db, prominence=3.0, height=float(level_db.max()) - 30)
    return 25 * len(peaks) / max(1, len(level_db))


@dataclass(frozen=True)
class Histogram:
    """Counts of values in equal bins from `low` to `high`. bars: each bin's count over the largest."""

    title: str
    unit: str
    count: int
    median: float
    low: float
    high: float
    bars: list[float]


def histograms(measures: Measures) -> list[Histogram]:
    """The charts of the report."""
    charts = (
        ("face height / picture height", measures.face, ""),
        ("hand confidence (the better hand)", measures.hands, ""),
        ("face confidence", measures.faces, ""),
        ("speech rate", measures.rate, " peaks/s"),
        ("clip length", measures.length_s, " s"),
    )
    return [histogram(title, values, unit=unit) for title, values, unit in charts if values]


def histogram(title: str, values: Sequence[float], *, bins: int = 20, unit: str = "") -> Histogram:
    """The histogram of one value or more."""
    low, high = min(values), max(values)
    if high == low:
        low, high = min(0.0, 2 * low), max(2 * high, 0.0) or 1.0
    counts, _ = np.histogram(values, bins=bins, range=(low, high))
    bars = [float(count) for count in counts / max(1, counts.max())]
    return Histogram(title, unit, len(values), float(np.median(values)), low, high, bars)
