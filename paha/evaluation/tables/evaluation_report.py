"""An evaluation as files: report.md with one table for each kind of question, the same as JSON, and plots."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from paha import __version__
from paha.evaluation.metrics.evaluate import FLOOR, EvaluatedRow, Evaluation
from paha.evaluation.metrics.regions import REGIONS
from paha.evaluation.tables.render import Column, Row, Table, plot_table, to_json, to_markdown
from paha.runtime.atomic import write_bytes

PAPER_COLUMNS = (
    Column("fvd", "FVD", "lower", 1),
    Column("bas", "BAS", "higher", 3),
    Column("fgd", "FGD", "lower", 3),
    Column("sync_c", "Sync-C", "higher", 3),
    Column("div", "Div.", "higher", 2),
)
"""In the order of the paper's tables."""
SPEECH_COLUMNS = (
    Column("sync_d", "Sync-D", "lower", 3),
    Column("lip_r", "lip r to truth", "higher", 3),
    Column("lip_loudness_r", "lip r to loudness", "none", 3),
    Column("lip_loudness_margin", "lip margin", "higher", 3),
    Column("lip_lag", "lip lag", "lower", 1, "frames"),
    Column("mouth_in_silence", "mouth in silence", "lower", 3, "1/s"),
    Column("bas_legacy", "BAS legacy", "none", 3),
    Column("motion_beats", "motion beats", "none", 2, "1/s"),
)
REGION_COLUMNS = (
    *(Column(f"frd_{name}", f"FRD {name}", "lower", 1) for name in REGIONS),
    *(Column(f"psnr_{name}", f"PSNR {name}", "higher", 1, "dB") for name in REGIONS),
    *(Column(f"ssim_{name}", f"SSIM {name}", "higher", 3) for name in REGIONS),
)
PART_COLUMNS = (
    Column("div_l2", "Div. L2", "higher", 3),
    Column("hand_confidence", "hand confidence", "higher", 3),
    Column("hand_confidence_var", "its variance", "lower", 4),
    Column("hand_motion", "hand motion", "none", 3, "shoulder widths"),
    Column("arms_seen", "arms seen", "none", 2),
    Column("identity_drift", "identity drift", "lower", 2, "%"),
    Column("colour_drift_face", "colour drift face", "lower", 2, "Delta E"),
    Column("colour_drift_background", "colour drift background", "lower", 2, "Delta E"),
    Column("tc", "TC", "lower", 1, "s"),
    Column("tc_per_s", "TC per second", "lower", 2),
)
TABLES = {
    "paper": ("the paper's metrics", PAPER_COLUMNS),
    "speech": ("lips and speech", SPEECH_COLUMNS),
    "regions": ("face, hands, body, background", REGION_COLUMNS),
    "parts": ("hands, identity, colour, cost", PART_COLUMNS),
}
NAMED_CLIPS = 5


def tables(evaluation: Evaluation) -> list[Table]:
    """One table for each group of metrics, all with the same rows."""
    provenance = evaluation.provenance | {
        "paha": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    return [
        Table(
            number,
            title,
            columns,
            [Row(row.name, dict(row.values)) for row in evaluation.rows],
            notes=_notes(evaluation) if number == "paper" else (),
            provenance=provenance,
        )
        for number, (title, columns) in TABLES.items()
    ]


def write_report(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write OUT/report.md, results.json and plot_NAME.png; returns the files."""
    made = tables(evaluation)
    text = "\n".join(to_markdown(table) for table in made)
    text = text.replace("- In brackets: the paper's number, on its own data and metrics.\n", "")
    written = [out / "report.md", out / "results.json"]
    write_bytes(written[0], f"# Evaluation\n\n{text}\n{left_out(evaluation)}".encode())
    write_bytes(written[1], json.dumps(as_json(evaluation, made), indent=1, allow_nan=False).encode())
    for table in made if find_spec("matplotlib") else ():  # plots are an extra
        plot = out / f"plot_{table.number}.png"
        plot_table(table, plot)
        written += [plot] if plot.is_file() else []
    return written


def as_json(evaluation: Evaluation, made: Sequence[Table]) -> dict[str, Any]:
    """Every table, what was left out and why, every clip's own values, the provenance."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "provenance": dict(made[0].provenance),
        "paired": evaluation.paired,
        "failed": evaluation.failed,
        "tables": [{k: v for k, v in to_json(table).items() if k != "provenance"} for table in made],
        "dropped": {row.name: row.dropped for row in evaluation.rows if row.dropped},
        "by_clip": {row.name: row.by_clip for row in evaluation.rows[:2]},
    }


def left_out(evaluation: Evaluation) -> str:
    """Markdown: which clips count for which metric, and why not."""
    lines = [
        f"- {side} '{clip}': cannot be read, {reason}"
        for side, found in evaluation.failed.items()
        for clip, reason in found.items()
    ]
    for row in evaluation.rows[:2]:
        lines += [_dropped_line(row, metric) for metric in row.dropped]
    return "\n".join(["## Left out", "", *(lines or ["- nothing"]), ""])


def _dropped_line(row: EvaluatedRow, metric: str) -> str:
    found = row.dropped[metric]
    reasons = "; ".join(dict.fromkeys(found.values()))
    names = ", ".join(list(found)[:NAMED_CLIPS]) + (" ..." if len(found) > NAMED_CLIPS else "")
    return f"- {row.name}, {metric}: {len(found)} of {row.clips} clips ({names}): {reasons}"


def _notes(evaluation: Evaluation) -> list[str]:
    counts = evaluation.provenance["clips"]
    assert isinstance(counts, dict)
    notes = [
        f"{counts['generated']} generated clips, {counts['real']} real ones, {evaluation.paired} of them paired; "
        "in square brackets the bootstrap 95 % interval over clips.",
        f"{FLOOR}: the real set's own values; its Frechet distances are between its two halves, which have half of the "
        "samples, so that they lie above those of two whole sets.",
        "The rows below the floor are the real clips corrupted; definitions, units and traps in docs/metrics.md.",
    ]
    error = evaluation.provenance.get("extractor_error")
    if isinstance(error, dict):
        told = [f"{error['points_px']:.2f} px (median) of the points"]
        told += [f"lip r {error['lip_r']:.3f}"] if "lip_r" in error else []
        told += [f"FGD {error['fgd']:.3f}"] if "fgd" in error else []
        notes.append(f"The pose extractor against the exact keypoints of these real clips: {', '.join(told)}.")
    return notes
