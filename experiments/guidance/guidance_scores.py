"""Scores of `experiments/guidance/guidance_sweep.py`: what each setting changed, clip by clip, against no guidance.

lip_r is the correlation of the mouth that the pose reader reads with the rig signal that drove the real clip;
lip_r_read with the same reader's reading of the real clip; the other scores are those of `paha evaluate`. hand_error:
mean distance of the hands to the real clip's, in frame heights (gestures are one-to-many: it says little alone).
bas_chance: BAS of the same motion beats moved round the clip, which is what their number alone is worth.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.guidance.settings import read_setting
from paha.dataset.manifest import load_annotations
from paha.evaluation.metrics.beats import beat_alignment, motion_beats_s
from paha.evaluation.metrics.clips import Clip, find_clips, speech
from paha.evaluation.metrics.evaluate import measure_set, score_real
from paha.evaluation.metrics.instruments import Instruments, load_instruments
from paha.evaluation.metrics.keypoints import GESTURE, HANDS, fill_unseen
from paha.evaluation.metrics.measured import Measured, load_measured
from paha.evaluation.metrics.onsets import STEP_S, onset_frames
from paha.evaluation.metrics.scores import RowScores
from paha.runtime.atomic import write_bytes
from paha.runtime.statistics import Interval, bootstrap, lip_r
from paha.types import FPS, Keypoints

ByClip = dict[str, dict[str, float]]
"""Metric -> clip -> value."""
BY_CLIP = ("lip_r", "lip_r_read", "bas", "bas_chance", "motion_beats", "jerk", "hand_motion", "hand_error")
OF_SET = ("fgd", "div")
DECIDING = ("lip_r", "bas")
MOVES = 16
"""Places that the motion beats are moved to for `bas_chance`."""


@dataclass(frozen=True)
class Scores:
    """One setting. by_clip: metric -> clip -> value. of_set: metrics of the whole set. leak: how far a region's
    classifier alone moves the other region over its own, by clip; empty where both act."""

    by_clip: ByClip
    of_set: dict[str, Any]
    leak: dict[str, float]


def write_scores(data: Path, out: Path) -> str:
    """OUT/report.json and OUT/report.md; returns the latter."""
    index = json.loads((out / "sweep.json").read_text(encoding="utf-8"))
    names = index["protocol"]["clips"]
    by_name = {clip.clip_id: clip for clip in find_clips(data)}
    reals = [by_name[name] for name in names]
    instruments = load_instruments(real=data)
    real, _ = measure_set(reals, instruments, out / "measured", say=lambda text: None)
    whole, (floor, *_) = score_real(real, instruments, ceilings=False)
    truths = {clip.clip_id: load_measured(real.path(clip)) for clip in reals}
    truth = Scores(floor.by_clip | own_scores(reals, truths), {name: floor.values.get(name) for name in OF_SET}, {})
    found = {
        text: score_setting(out / entry["file"], entry["options"], reals, truths, whole, instruments)
        for text, entry in index["settings"].items()
    }
    plain = found["none"]
    result = {
        "protocol": index["protocol"] | {"instruments": instruments.provenance()},
        "truth": {name: as_plain(mean(truth.by_clip.get(name, {}))) for name in BY_CLIP},
        "settings": {
            text: {
                "seconds": index["settings"][text]["seconds"],
                "update_ratios": index["settings"][text]["update_ratios"],
                "means": {name: as_plain(mean(made.by_clip.get(name, {}))) for name in BY_CLIP},
                "differences": {
                    name: as_plain(paired(made.by_clip.get(name, {}), plain.by_clip.get(name, {}))) for name in BY_CLIP
                },
                "of_set": {name: as_plain(made.of_set.get(name)) for name in OF_SET},
                "leak": as_plain(mean(made.leak)),
                "by_clip": made.by_clip,
            }
            for text, made in found.items()
        },
    }
    write_bytes(out / "report.json", json.dumps(result, indent=1).encode())
    text = markdown(truth, found, index)
    write_bytes(out / "report.md", text.encode())
    return text


def own_scores(reals: list[Clip], truths: dict[str, Measured | None]) -> ByClip:
    """What `RowScores` does not know of the real clips: the reader's lip r, and jerk."""
    found: ByClip = {"lip_r": {}, "jerk": {}, "bas_chance": {}}
    for clip in reals:
        made = truths[clip.clip_id]
        if made is not None:
            found["lip_r"][clip.clip_id] = lip_r(made.mouth, rig_mouth(clip, len(made.mouth)))
            note(found, "jerk", clip.clip_id, jerk(made.keypoints, height=made.height))
            note(found, "bas_chance", clip.clip_id, bas_chance(made.keypoints, speech(clip)))
    return found


def score_setting(
    path: Path,
    options: dict[str, Any],
    reals: list[Clip],
    truths: dict[str, Measured | None],
    whole: RowScores,
    instruments: Instruments,
) -> Scores:
    """All scores of the clips that a setting's file holds."""
    tracks, mouths, others = read_setting(path)
    row, found = RowScores(instruments), ByClip(lip_r={}, jerk={}, hand_error={})
    for clip, keypoints, mouth in zip(reals, tracks, mouths, strict=True):
        height, true = int(others["height"]), truths[clip.clip_id]
        made = Measured(clip.clip_id, height, height, keypoints, np.zeros((len(mouth), 4)), mouth, np.zeros((0, 2, 3)))
        row.add(made, speech(clip), truth=true)
        found["lip_r"][clip.clip_id] = lip_r(mouth, rig_mouth(clip, len(mouth)))
        note(found, "jerk", clip.clip_id, jerk(keypoints, height=height))
        note(found, "bas_chance", clip.clip_id, bas_chance(keypoints, speech(clip)))
        note(found, "hand_error", clip.clip_id, hand_error(keypoints, clip, height))
    by_clip = row.scalars | {"lip_r_read": row.scalars.get("lip_r", {})} | found
    values = row.results(whole)
    own = {"face": 0, "non_face": 1}
    guided = [region for region in own if options["kind"] != "none" and options[f"{region}_scale"] != 0]
    leak = {}
    if len(guided) == 1:
        moved = others["moved"]
        at, other = own[guided[0]], 1 - own[guided[0]]
        leak = {clip.clip_id: float(row[other] / max(row[at], 1e-12)) for clip, row in zip(reals, moved, strict=True)}
    return Scores(by_clip, {name: values.get(name) for name in OF_SET}, leak)


def rig_mouth(clip: Clip, length: int) -> np.ndarray:
    """The mouth opening that drove a presenter, its first `length` frames."""
    assert clip.annotations is not None
    return np.asarray(load_annotations(clip.annotations).rig["mouth_open"], np.float64)[:length]


def hand_error(keypoints: Keypoints, clip: Clip, height: int) -> float:
    """Mean distance of the hands' points to the real ones, in frame heights."""
    assert clip.annotations is not None
    points = keypoints.points[:, HANDS]
    true = load_annotations(clip.annotations).keypoints.points[: len(points), HANDS]
    return float(np.linalg.norm(points - true, axis=-1).mean() / height)


def bas_chance(keypoints: Keypoints, mono: np.ndarray) -> float | None:
    """Mean BAS of the motion beats moved round the clip by each sixteenth of it; None without an onset."""
    seconds = len(keypoints.scores) / FPS
    onsets = onset_frames(mono) * STEP_S
    onsets, beats = onsets[onsets <= seconds], motion_beats_s(keypoints)
    if not len(onsets):
        return None
    moves = np.arange(1, MOVES) / MOVES * seconds
    return float(np.mean([beat_alignment(onsets, (beats + move) % seconds) for move in moves]))


def note(found: ByClip, metric: str, clip: str, value: float | None) -> None:
    """Keep a value that there is."""
    if value is not None:
        found.setdefault(metric, {})[clip] = value


def markdown(truth: Scores, found: dict[str, Scores], index: dict[str, Any]) -> str:
    """Means with the differences to no guidance; `+` and `-` mark intervals off zero."""
    protocol, plain = index["protocol"], found["none"]
    lines = [
        f"{len(protocol['clips'])} clips, {sum(protocol['frames'])} frames, {protocol['steps']} steps, "
        f"{protocol['device']}. After the semicolon: difference to `none`, clip by clip, 95 %.",
        "",
        "| | " + " | ".join([*BY_CLIP, *OF_SET]) + " | leak | updates (non-face, face) | s |",
        "|---" * (len(BY_CLIP) + len(OF_SET) + 4) + "|",
        "| real clips | " + " | ".join(cell(truth, None, name) for name in (*BY_CLIP, *OF_SET)) + " | | | |",
    ]
    for text, made in found.items():
        entry = index["settings"][text]
        cells = [cell(made, None if text == "none" else plain, name) for name in (*BY_CLIP, *OF_SET)]
        leak = mean(made.leak)
        sizes = ", ".join(f"{entry['update_ratios'][region]:.4f}" for region in ("non_face", "face"))
        cells += [f"{leak.mean:.3f}" if leak else "", sizes, f"{entry['seconds']:.1f}"]
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def cell(made: Scores, plain: Scores | None, name: str) -> str:
    """A mean, and its difference to no guidance."""
    if name in OF_SET:
        value = made.of_set.get(name)
        return f"{value.mean:.2f}" if value is not None and not isinstance(value, str) else "-"
    value = mean(made.by_clip.get(name, {}))
    if value is None:
        return "-"
    change = None if plain is None else paired(made.by_clip.get(name, {}), plain.by_clip.get(name, {}))
    if change is None:
        return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"
    sign = "**" if change.low > 0 or change.high < 0 else ""
    return f"{value.mean:.3f}; {sign}{change.mean:+.3f}{sign} [{change.low:+.3f}, {change.high:+.3f}]"


def jerk(keypoints: Keypoints, *, height: int) -> float | None:
    """None where no arm or hand was seen, or the clip is shorter than four frames."""
    points, seen = fill_unseen(keypoints.points[:, GESTURE], keypoints.scores[:, GESTURE])
    if len(points) < 4 or not seen.any():
        return None
    third = np.diff(points[:, seen], n=3, axis=0) * FPS**3 / height
    return float(np.linalg.norm(third, axis=-1).mean())


def paired(made: dict[str, float], before: dict[str, float]) -> Interval | None:
    """Mean difference over the clips that both have, with its 95 % interval."""
    both = sorted(made.keys() & before.keys())
    return bootstrap([made[clip] - before[clip] for clip in both]) if both else None


def mean(values: dict[str, float]) -> Interval | None:
    """Mean over clips with its interval; None without clips."""
    return bootstrap(list(values.values())) if values else None


def as_plain(value: Interval | str | None) -> Any:
    """For JSON."""
    return vars(value) if isinstance(value, Interval) else value
