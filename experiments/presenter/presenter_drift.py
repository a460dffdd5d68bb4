"""Drift of a long video, segment by segment, against its reference image (design rows 2 and 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from experiments.presenter.presenter_clips import Task
from experiments.presenter.presenter_measures import Row, Truth, colour_error, masked_psnr, read_arms
from paha.extractors.pose import PresenterPose
from paha.runtime.statistics import Interval, lip_r
from paha.sampling.long_video import plan_segments
from paha.types import FPS, SAMPLE_RATE_HZ, ClipRecord

KEYS = ("background PSNR", "mean colour shift", "sharpness", "torso colour error", "face colour error")
ENDS = 0.1
"""First and last share of the segments that are compared: a single segment is 15 frames of chance gestures."""


def long_tasks(truths: Sequence[Truth], *, seconds: float, presenters: int, seed: int, name: str) -> list[Task]:
    """Videos of the first `presenters` clips' people, who say what all clips say, one after another from their own."""
    num_frames = round(seconds * FPS)
    tasks = []
    for number in range(presenters):
        order = [truths[(number + k) % len(truths)].sound for k in range(len(truths))]
        sound = np.resize(np.concatenate(order), num_frames * SAMPLE_RATE_HZ // FPS)
        reference, label = truths[number].images[0], f"{truths[number].clip_id}-{name}"
        tasks.append(Task(label, reference, sound, SAMPLE_RATE_HZ, num_frames, seed + number))
    return tasks


def said(truths: Sequence[Truth], number: int, num_frames: int) -> np.ndarray:
    """The rig's mouth opening (T,) of what the `number`-th long video says."""
    order = [truths[(number + k) % len(truths)].mouth for k in range(len(truths))]
    return np.resize(np.concatenate(order), num_frames)


def segment_rows(
    truth: Truth, frames: np.ndarray, mouth: np.ndarray, pose: PresenterPose, *, segment_frames: int
) -> list[Row]:
    """A row a segment of frames (T, H, W, 3): what it shares with the reference image.

    background PSNR: dB, over pixels where the true clip never shows more than background and the reader sees no
    generated arm. mean colour shift: grey levels, mean over channels of the segment's mean colour less the reference's.
    sharpness: standard deviation of the Laplacian over the reference's. torso, face: median colour, grey levels.
    """
    reference, always = truth.images[0], truth.background.all(0)
    rows = []
    for segment in plan_segments(len(frames), segment_frames):
        first = segment.start + segment.emitted.start
        part = frames[first : segment.start + segment.emitted.stop]
        track = pose.detect(part)
        assert track.mouth_open is not None
        still = np.repeat(reference[None], len(part), 0)
        arms = read_arms(track, reference.shape[0])
        mask = always & ~arms
        colour = part.mean((0, 1, 2)) - reference.mean((0, 1))
        rows.append(
            {
                "segment": float(segment.index),
                "seconds": first / FPS,
                "background PSNR": masked_psnr(part, still, mask),
                "mean colour shift": float(colour.mean()),
                "sharpness": float(np.mean([sharpness(f) for f in part]) / max(sharpness(reference), 1e-6)),
                "torso colour error": colour_error(part, still, truth.torso, arms | truth.arms[:1]),
                "face colour error": colour_error(part, still, truth.face[0].round().astype(int), arms),
                "lip r": lip_r(track.mouth_open, mouth[first : first + len(part)]),
            }
        )
    return rows


def sharpness(frame: np.ndarray) -> float:
    """Standard deviation of the Laplacian of a frame's grey values."""
    return float(cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32), cv2.CV_32F).std())


def mean_segments(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """Mean over presenters of every segment's numbers; NaN counts for nothing."""
    keys = runs[0][0].keys()
    values = np.array([[[row[key] for key in keys] for row in run] for run in runs])
    count = np.isfinite(values).sum(0)
    means = np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)
    return [dict(zip(keys, row.tolist(), strict=True)) for row in means]


def ends(segments: Sequence[Row], key: str) -> tuple[float, float]:
    """Mean of a number over the first and over the last ENDS of the segments, at least one."""
    count = max(1, round(ENDS * len(segments)))
    first, last = ([row[key] for row in part] for part in (segments[:count], segments[-count:]))
    return float(np.mean(first)), float(np.mean(last))


def drift_table(runs: Mapping[str, Sequence[Row]], lips: Mapping[str, Interval | None]) -> str:
    """Markdown: a row a setting, first and last segments; lips over the whole video."""
    head = ["setting", "PSNR, segment 1", "last segment", *(f"{key}, first > last tenth" for key in KEYS), "lip r"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, segments in runs.items():
        single = [f"{segments[at]['background PSNR']:.1f}" for at in (0, -1)]
        pairs = ["{:.2f} > {:.2f}".format(*ends(segments, key)) for key in KEYS]
        lines.append(f"| {' | '.join([name, *single, *pairs, str(lips[name] or '-')])} |")
    return "\n".join(lines)


def choose(records: Sequence[ClipRecord], seconds: float, presenters: int) -> list[ClipRecord]:
    """As few clips from the manifest's start as hold `seconds` of speech, and `presenters` people."""
    chosen, length = [], 0.0
    for record in records:
        if length >= seconds and len(chosen) >= presenters:
            break
        chosen.append(record)
        length += record.num_frames / FPS
    return chosen
