"""The paper's tables out of `MotionRow`s: which rows, which columns, and which of its relative gains hold here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from experiments.paper.arms import Arm
from experiments.paper.motion_scores import MotionRow, difference
from paha.evaluation.tables.evaluation_report import PAPER_COLUMNS
from paha.evaluation.tables.paper import METRICS, ablation
from paha.evaluation.tables.render import Column, Row, Table
from paha.evaluation.tables.table1 import PAPER_ROWS
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.runtime.statistics import Interval

COLUMNS = (
    *PAPER_COLUMNS,
    Column("tc", "TC", "lower", 1, "CPU s"),
    Column("lip_r", "lips r", "higher", 3),
    Column("sync", "lip sync, own instrument", "higher", 3),
    Column("accent_z", "strokes on accents", "higher", 2, "z"),
    Column("motion_beats", "motion beats", "none", 2, "1/s"),
    Column("spread", "wrists' spread / true", "none", 2),
    Column("jerk", "wrists' jerk / true", "none", 2),
)
"""The paper's, then ours."""
HEADINGS = {column.key: column.heading for column in COLUMNS}
BETTER = {column.key: column.better for column in COLUMNS}
STANDS_FOR = {"sync_c": "sync"}
"""Our score that a claim of the paper's is held against, where its own is absent."""
OURS = ("lip_r", "accent_z")
SMALL = 0.005
"""Relative change in the paper that is no claim."""
NONE, WITH_PAR, WITHOUT_PAR = "PAHA without classifiers", "short training with PAR", "short training w/o PAR"
CONTRASTS: dict[str, tuple[tuple[str, str], ...]] = {
    "1": (("PAHA-SG", NONE), ("PAHA-DG", NONE), ("PAHA-DG", "PAHA-SG"), (NONE, "retrieval by audio")),
    "2": (
        ("50 % PAHA-SG", "0 % PAHA-SG"),
        ("50 % PAHA-DG", "0 % PAHA-DG"),
        ("50 % PAHA-DG", "50 % PAHA-SG"),
        ("100 % PAHA-SG", "50 % PAHA-SG"),
        ("100 % PAHA-DG", "50 % PAHA-DG"),
    ),
    "3": (
        ("Ours", "w/o non-face classifier"),
        ("Ours", "w/o face classifier"),
        ("Ours", "w/o augmentation"),
        ("Ours", "w/o PAR"),
        (WITH_PAR, WITHOUT_PAR),
    ),
    "5": (("1.2", "0.8"), ("1", "0.8")),
    "6": (("0.1", "0.05"), ("0.25", "0.1")),
    "7": (("0.25", "0.15"), ("0.35", "0.25")),
}
"""Row and the one it is held against, by table."""
LIKE_PAPER = {(WITH_PAR, WITHOUT_PAR): ("Ours", "w/o PAR")}
"""Contrasts whose numbers in the paper stand in other rows."""


@dataclass(frozen=True)
class Wanted:
    """A row to be: its arm, or motions that are there already (arm None)."""

    name: str
    paper: Mapping[str, float]
    arm: Arm | None = None
    absent: str = ""
    x: float | None = None
    series: str = ""
    reference: str = ""


def wanted_rows(number: str, base: GuidanceOptions) -> list[Wanted]:
    """The rows of a table around `base`, whose scales stand for the paper's (1, 0.1, 0.25)."""
    if number == "1":
        return _table_1(base)
    rows = []
    for s in ablation(number, base).settings:
        arm = Arm(s.guidance, s.variant)
        rows.append(Wanted(s.name, s.paper, arm, x=s.x, series=s.series, reference=s.reference))
    return rows


def _table_1(base: GuidanceOptions) -> list[Wanted]:
    numbers: dict[str, dict[str, float]] = {
        name: dict(zip((str(m) for m in METRICS), rows[0], strict=False)) for name, rows in PAPER_ROWS.items()
    }
    others = [
        Wanted(name, paper, absent="its videos are not within reach", reference=f"Table 1, {name}")
        for name, paper in numbers.items()
        if not name.startswith("PAHA")
    ]
    own = [Wanted(f"PAHA-{k.upper()}", numbers[f"PAHA-{k.upper()}"], Arm(replace(base, kind=k))) for k in ("sg", "dg")]
    unguided = ablation("2", base).settings[0]
    plain = Wanted(NONE, unguided.paper, Arm(GuidanceOptions()), reference=unguided.reference)
    return [*others, plain, *own]


def make_table(number: str, rows: Sequence[tuple[Wanted, MotionRow | None]], notes: Sequence[str]) -> Table:
    """The table with a line for each claim that its rows can be held against."""
    shown = [
        Row(
            w.name,
            {} if row is None else {key: row.values[key] for key in HEADINGS if key in row.values},
            w.paper,
            absent=w.absent,
            x=w.x,
            series=w.series,
            preset=w.reference,
            ranked=w.name != "true motion",
        )
        for w, row in rows
    ]
    title, x_label = _title(number)
    told = [*notes, *claims(number, rows)]
    return Table(number, title, COLUMNS, shown, notes=told, x_label=x_label)


def _title(number: str) -> tuple[str, str]:
    if number == "1":
        return "methods on one set of people", ""
    plan = ablation(number, GuidanceOptions(kind="dg"))
    return plan.title, plan.x_label


def claims(number: str, rows: Sequence[tuple[Wanted, MotionRow | None]]) -> list[str]:
    """What the paper says of a row against another, in per cent, and what holds here."""
    known = {w.name: (w, row) for w, row in rows if row is not None}
    paper = {w.name: w.paper for w, _ in rows}
    lines = []
    for name, against in CONTRASTS[number]:
        if name not in known or against not in known:
            continue
        like = LIKE_PAPER.get((name, against), (name, against))
        own, base = (paper.get(each, {}) for each in like)
        told = [_claim(key, own, base, known[name][1], known[against][1]) for key in (*METRICS[:-1], *OURS)]
        lines.append(f"{name} against {against}: " + "; ".join(text for text in told if text))
    return lines


def _claim(
    key: str, own: Mapping[str, float], base: Mapping[str, float], row: MotionRow | None, other: MotionRow | None
) -> str:
    assert row is not None
    assert other is not None
    change = own[key] / base[key] - 1 if key in own and key in base else None
    if change is not None and abs(change) < SMALL:
        return ""
    said = "" if change is None else f" (paper {change:+.1%})"
    seen = STANDS_FOR.get(key, key)
    found = difference(row, other, seen)
    if found is None:
        return f"{HEADINGS[key]}{said} not measured" if change is not None else ""
    name = HEADINGS[key] if seen == key else f"{HEADINGS[key]}, by our instrument"
    return f"{name}{said} {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] {verdict(key, change, found)}"


def verdict(key: str, change: float | None, found: Interval) -> str:
    """Whether the interval is off zero, and on the side that the paper or the metric has for the better one."""
    if found.low <= 0 <= found.high:
        return "not shown"
    if change is not None:
        return "**holds**" if (found.mean > 0) == (change > 0) else "**the other way round**"
    return "**better**" if (found.mean > 0) == (BETTER[key] == "higher") else "**worse**"
