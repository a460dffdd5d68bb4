"""An evaluation as files: report.html and report.md with one table for each kind of question, and all of it as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from paha import __version__
from paha.evaluation.metrics.evaluate import FLOOR, EvaluatedRow, Evaluation
from paha.evaluation.metrics.regions import FRAME, REGIONS
from paha.evaluation.tables.evaluation_page import metric_row, page
from paha.evaluation.tables.render import Column, Row, Table, absences, cell_text, number_of, to_json
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
    Column("accent_z", "strokes on accents", "higher", 2, "z"),
    Column("bas_motion", "BAS over motion beats", "higher", 3),
    Column("bas_legacy", "BAS legacy", "none", 3),
    Column("motion_beats", "motion beats", "none", 2, "1/s"),
)
REGION_COLUMNS = (
    *(Column(f"frd_{name}", f"FRD {name}", "lower", 1) for name in REGIONS),
    *(Column(f"psnr_{name}", f"PSNR {name}", "higher", 1, "dB") for name in (FRAME, *REGIONS)),
    *(Column(f"ssim_{name}", f"SSIM {name}", "higher", 3) for name in (FRAME, *REGIONS)),
)
PART_COLUMNS = (
    Column("div_l2", "Div. L2", "higher", 3),
    Column("hand_confidence", "hand confidence", "higher", 3),
    Column("hands_seen", "hands seen", "none", 2),
    Column("hand_confidence_variance", "variance of that confidence", "lower", 4),
    Column("hkv", "HKV", "none", 1, "px² at 512"),
    Column("hand_motion", "hand motion", "none", 3, "shoulder widths"),
    Column("arms_seen", "arms seen", "none", 2),
    Column("fid", "FID", "lower", 1),
    Column("csim", "CSIM", "higher", 3),
    Column("e_fid", "E-FID", "lower", 4),
    Column("flicker", "change of frames", "none", 2, "of 255"),
    Column("jerk", "jerk", "lower", 0, "1/s³"),
    Column("identity_drift", "identity drift", "lower", 2, "%"),
    Column("colour_drift_face", "colour drift face", "lower", 2, "Delta E"),
    Column("colour_drift_background", "colour drift background", "lower", 2, "Delta E"),
    Column("tc", "TC", "lower", 1, "s"),
    Column("tc_per_s", "TC per second", "lower", 2),
)
TABLES = {
    "paper": ("The paper's metrics", PAPER_COLUMNS),
    "speech": ("Lips and speech", SPEECH_COLUMNS),
    "regions": ("Face, hands, body, background", REGION_COLUMNS),
    "parts": ("Hands, pictures, smoothness, cost", PART_COLUMNS),
}
NAMED_CLIPS = 5
SHORT = (
    *(
        "fvd",
        "fgd",
        "bas",
        "accent_z",
        "sync_c",
        "div",
        "lip_r",
        "lip_loudness_margin",
        "psnr_frame",
        "ssim_frame",
        "frd_face",
    ),
    *("frd_hands", "fid", "csim", "e_fid", "hand_confidence", "jerk", "identity_drift", "tc_per_s"),
)
"""What is printed; the rest is in the report."""


def tables(evaluation: Evaluation) -> list[Table]:
    """One table for each group of metrics, all with the same rows."""
    provenance = evaluation.provenance | {
        "paha": __version__,
        "torch": version("torch"),
        "python": platform.python_version(),
    }
    return [
        Table(
            number,
            title,
            columns,
            [Row(row.name, dict(row.values), ranked=number == 0) for number, row in enumerate(evaluation.rows)],
            notes=_notes(evaluation) if number == "paper" else (),
            provenance=provenance,
            head=evaluation.heading,
        )
        for number, (title, columns) in TABLES.items()
    ]


def write_report(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write OUT/report.html, report.md and results.json; returns the files."""
    made, lines = tables(evaluation), left_out(evaluation)
    written = [out / name for name in ("report.html", "report.md", "results.json")]
    write_bytes(written[0], page(evaluation, made, lines).encode())
    write_bytes(written[1], markdown(evaluation, made, lines).encode())
    write_bytes(written[2], json.dumps(as_json(evaluation, made), indent=1, allow_nan=False).encode())
    return written


def markdown(evaluation: Evaluation, made: Sequence[Table], lines: Sequence[str]) -> str:
    """The tables as they are read: a metric a line, the generated set beside the floor and the corrupted clips."""
    text = [f"# Evaluation: {evaluation.rows[0].name}", "", f"*{evaluation.heading}*", ""]
    text += [line for warning in evaluation.warnings for line in (f"**{warning}.**", "")]
    names = [row.name for row in evaluation.rows]
    for table in made:
        text += [f"## {table.title}", "", f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
        rows = [(column, *metric_row(table, column)) for column in table.columns]
        measured = [(title, cells) for column, title, cells in rows if _measured(table, column)]
        text += [f"| {title} | {' | '.join(_short(cell) for cell in cells)} |" for title, cells in measured]
        text += ["", *(f"- {note}" for note in [*absences(table), *table.notes]), ""]
    return "\n".join([*text, "## Left out", "", *(f"- {line}" for line in lines), ""])


def short_table(evaluation: Evaluation) -> str:
    """For a terminal: the main metrics of the generated set beside the real one's own."""
    columns = [column for _, group in TABLES.values() for column in group if column.key in SHORT]
    rows = evaluation.rows[:2]
    found = [
        (column.title, [_short(cell_text(row.values.get(column.key), column.digits)) for row in rows])
        for column in columns
        if any(number_of(row.values.get(column.key)) is not None for row in rows)
    ]
    lines = [("", [row.name for row in rows]), *found]
    width = max(len(title) for title, _ in lines) + 2
    cell = max(len(cells[0]) for _, cells in lines) + 3
    table = [f"{title:{width}}{cells[0]:{cell}}{cells[1] if cells[1:] else ''}".rstrip() for title, cells in lines]
    missing = [c.heading for c in columns if all(isinstance(row.values.get(c.key), str) for row in rows)]
    told = [f"absent: {', '.join(missing)} (the report says why)"] if missing else []
    return "\n".join([evaluation.heading, *table, *told])


def _measured(table: Table, column: Column) -> bool:
    return any(number_of(row.measured.get(column.key)) is not None for row in table.rows)


def _short(cell: str) -> str:
    """A reason is told once, below the table."""
    return cell if cell[:1].isdigit() or cell[:1] == "-" else "absent"


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


def left_out(evaluation: Evaluation) -> list[str]:
    """Which clips count for which metric, and why not: a sentence each."""
    lines = [
        f"{side} '{clip}': cannot be read, {reason}"
        for side, found in evaluation.failed.items()
        for clip, reason in found.items()
    ]
    for row in evaluation.rows[:2]:
        lines += _dropped_lines(row)
    return lines or ["nothing"]


def _dropped_lines(row: EvaluatedRow) -> list[str]:
    """One line for all metrics that leave out the same clips for the same reasons."""
    titles = {column.key: column.heading for _, group in TABLES.values() for column in group}
    alike: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for metric, found in row.dropped.items():
        reasons = "; ".join(dict.fromkeys(found.values()))
        alike.setdefault((tuple(found), reasons), []).append(titles.get(metric, metric))
    return [
        f"{row.name}, {', '.join(metrics)}: {len(clips)} of {row.clips} clips ("
        f"{', '.join(clips[:NAMED_CLIPS])}{' ...' if len(clips) > NAMED_CLIPS else ''}): {reasons}"
        for (clips, reasons), metrics in alike.items()
    ]


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
