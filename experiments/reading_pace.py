"""What it changes that a measurement reads bodies and hands in every n-th frame only: one dataset, several paces.

python -m experiments.reading_pace --data DATA [--data MORE]

Takes clips whose keypoints MediaPipe read in every frame (`paha prepare --pose mediapipe`), leaves frames out as
`paha evaluate` does and measures again. Means over clips; off: how far elbows and wrists lie from where they were read,
in shoulder widths, median and 95 %.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from paha.dataset.manifest import load_annotations, read_manifest
from paha.evaluation.metrics.accents import accent_alignment
from paha.evaluation.metrics.beats import bas
from paha.evaluation.metrics.keypoints import MIN_SCORE
from paha.evaluation.metrics.parts import hand_motion, hkv, jerk
from paha.extractors.mediapipe_points import BODY_POINTS, HAND_POINTS, draw_between, paced
from paha.media.audio_io import read_audio, to_mono_16k
from paha.types import Keypoints

PACES = ((1, 1), (3, 3), (6, 3), (12, 3), (6, 6))
"""Frames between two in which the body is read, and in which hands are."""
SHOULDERS, ARMS = (5, 6), (7, 8, 9, 10)


def main(
    data: Annotated[list[Path], typer.Option("--data", help="Datasets read by MediaPipe in every frame.")],
) -> None:
    """The table."""
    heads = ("BAS", "strokes on accents", "HKV", "jerk", "hand motion", "off, median", "off, 95 %")
    lines = [f"| body, hands in every | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    clips = [
        (load_annotations(folder / r.annotations).keypoints, to_mono_16k(*read_audio(folder / r.audio)), r.height)
        for folder in data
        for r in read_manifest(folder)
    ]
    for pace in PACES:
        values = np.array([measured(*clip, *pace) for clip in clips], float)
        means = np.nanmean(values, axis=0)
        cells = [f"{value:.{digits}f}" for value, digits in zip(means, (3, 2, 0, 0, 3, 3, 3), strict=True)]
        lines.append(f"| {pace[0]}, {pace[1]} | {' | '.join(cells)} |")
    typer.echo("\n".join([*lines, "", f"{len(clips)} clips."]))


def measured(read: Keypoints, mono: np.ndarray, height: int, body: int, hands: int) -> list[float | None]:
    """The table's numbers of a clip at that pace."""
    points, scores = read.points.copy(), read.scores.copy()
    draw_between(points, scores, BODY_POINTS, paced(len(points), every=body))
    draw_between(points, scores, HAND_POINTS, paced(len(points), every=hands))
    thinned = Keypoints(points, scores)
    width = float(np.median(np.linalg.norm(read.points[:, SHOULDERS[0]] - read.points[:, SHOULDERS[1]], axis=-1)))
    off = np.linalg.norm(points - read.points, axis=-1)[:, ARMS][read.scores[:, ARMS] >= MIN_SCORE] / width
    gestures = [bas(thinned, mono).score, accent_alignment(thinned, mono).z, hkv(thinned, height=height)]
    return [*gestures, jerk(thinned), hand_motion(thinned), float(np.median(off)), float(np.quantile(off, 0.95))]


if __name__ == "__main__":
    typer.run(main)
