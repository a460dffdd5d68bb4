"""Scores of `motion_guidance`, person by person against no guidance, with intervals over people.

lips r: of the mouth's opening to the rig's. sync: confidence of `sync_instrument`, which no guidance has seen. accents:
z of strokes on accents; jerk, spread: of the wrists, over the true ones. moved: root mean square change of the latents
by the setting, in the face's region and outside. leak: how far a setting is from what each region's guidance alone does
in that region, over what that alone does, in the first segment (Eq. 12 makes it smaller).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.guidance.rig_people import RigPerson, signals_of
from experiments.guidance.sync_instrument import SyncInstrument
from experiments.presenter import scores
from paha.evaluation.metrics.accents import accent_alignment
from paha.evaluation.metrics.beats import bas
from paha.pce.regions import face_mask, grow_box
from paha.runtime.atomic import write_bytes
from paha.runtime.statistics import bootstrap

COLUMNS = ("lips r", "sync", "accents", "BAS", "jerk", "spread", "moved face", "moved rest", "leak face", "leak rest")
SEGMENT = 32
"""Frames of the first segment, in which leaks are told: later ones begin from other frames."""
ALONE = {"face": "nf=0", "rest": "face=0"}
"""Settings in which only one region is guided, after `sg/` or `oracle/`."""
ByPerson = dict[str, np.ndarray]
"""Score -> (B,), NaN where a person has none."""


def write_report(
    out: Path, people: Sequence[RigPerson], made: dict[str, Tensor], index: dict[str, Any], instrument: SyncInstrument
) -> str:
    """OUT/report.json and OUT/report.md; returns the latter. made: latents (B, T, C, G, G) by setting."""
    truth = torch.stack([person.tensors["latents"] for person in people])
    found = {"true motion": score(people, truth, instrument)}
    found |= {text: score(people, z, instrument) | changes(people, text, made) for text, z in made.items()}
    kept = {name: {key: value.tolist() for key, value in row.items()} for name, row in found.items()}
    write_bytes(out / "report.json", json.dumps(index | {"scores": kept}, indent=1).encode())
    text = markdown(found, index)
    write_bytes(out / "report.md", text.encode())
    return text


def score(people: Sequence[RigPerson], latents: Tensor, instrument: SyncInstrument) -> ByPerson:
    """What each person's motion is worth."""
    rows = [_score(person, z, instrument) for person, z in zip(people, latents, strict=True)]
    return {name: np.array([np.nan if row[name] is None else row[name] for row in rows], float) for name in rows[0]}


def _score(person: RigPerson, z: Tensor, instrument: SyncInstrument) -> dict[str, float | None]:
    motion, true, keypoints = person.motion(z), person.motion(), person.keypoints(z)
    wrists = person.grid.geometry.parts_seen[4:6]
    own, real = (np.asarray(m.parts[:, 4:6][:, wrists], float) for m in (motion, true))
    return {
        "lips r": scores.correlation(motion.mouth_open, true.mouth_open),
        "sync": instrument.score(signals_of(motion, instrument.region), person.clip.audio_windows).confidence,
        "accents": accent_alignment(keypoints, person.samples).z,
        "BAS": bas(keypoints, person.samples).score,
        "jerk": scores.jerk(own) / max(scores.jerk(real), 1e-6),
        "spread": scores.spread(own) / max(scores.spread(real), 1e-6),
    }


def changes(people: Sequence[RigPerson], text: str, made: dict[str, Tensor]) -> ByPerson:
    """How far the latents are from the unguided ones, and from those of each region's guidance alone."""
    boxes = torch.stack([person.tensors["face_box"] for person in people])
    z, plain = made[text], made["none"]
    mask = face_mask(grow_box(boxes), height=z.shape[3], width=z.shape[4])
    masks = {"face": mask, "rest": 1 - mask}
    found: ByPerson = {f"moved {name}": _rms(z - plain, m) for name, m in masks.items()}
    family = "oracle" if text.startswith("oracle") else "sg"
    own = {name: f"{family}/{change}" for name, change in ALONE.items()}
    if text == "none" or text in own.values() or not set(own.values()) <= made.keys():
        return found
    first = slice(SEGMENT)
    for name, m in masks.items():
        alone = made[own[name]]
        effect = _rms((alone - plain)[:, first], m)
        found[f"leak {name}"] = _rms((z - alone)[:, first], m) / np.maximum(effect, 1e-9)
    return found


def _rms(z: Tensor, mask: Tensor) -> np.ndarray:
    """(B,) root mean square inside a mask (B, 1, 1, H, W)."""
    total = (z.square() * mask).sum((1, 2, 3, 4)) / mask.expand_as(z).sum((1, 2, 3, 4)).clamp_min(1)
    return total.sqrt().numpy()


def markdown(found: dict[str, ByPerson], index: dict[str, Any]) -> str:
    """Means; after the semicolon the paired difference to none with its interval, in bold where that is off zero."""
    told = ", ".join(f"{name} {value}" for name, value in index["protocol"].items())
    lines = [told, "", "| | " + " | ".join(COLUMNS) + " | CPU s |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name, row in found.items():
        base = None if name in ("none", "true motion") else found["none"]
        seconds = index["settings"].get(name, {}).get("cpu_seconds")
        cells = [_cell(row.get(column), None if base is None else base.get(column)) for column in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {'' if seconds is None else round(seconds)} |")
    return "\n".join([*lines, ""])


def _cell(values: np.ndarray | None, base: np.ndarray | None) -> str:
    if values is None or not np.isfinite(values).any():
        return "-"
    text = f"{np.nanmean(values):.3f}"
    if base is None or not base.any():
        return text
    both = np.isfinite(values) & np.isfinite(base)
    change = bootstrap(list((values - base)[both]))
    sign = "**" if change.low > 0 or change.high < 0 else ""
    return f"{text}; {sign}{change.mean:+.3f}{sign} [{change.low:+.3f}, {change.high:+.3f}]"
