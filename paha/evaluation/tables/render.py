"""A table of results as Markdown, JSON and a plot: our numbers beside the paper's, absent rows with the reason.

Any table is a list of `Row`s over a list of `Column`s; what measures them is elsewhere. `write_table` writes all files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from paha.runtime.atomic import atomic_path, write_bytes
from paha.runtime.statistics import Interval

Value: TypeAlias = "float | Interval | str | None"
"""A number, a mean with its interval, or the reason (a string) why there is none; None where nothing was to be said."""

_ARROW = {"higher": " ↑", "lower": " ↓", "none": ""}


@dataclass(frozen=True)
class Column:
    """A metric. key: its name in `Row.measured` and `Row.paper`. better: which way is better, for the arrow and bold.

    digits: after the point. unit: shown after the heading.
    """

    key: str
    heading: str
    better: Literal["higher", "lower", "none"] = "none"
    digits: int = 3
    unit: str = ""

    @property
    def title(self) -> str:
        """Heading with unit and arrow."""
        return self.heading + (f" ({self.unit})" if self.unit else "") + _ARROW[self.better]


@dataclass(frozen=True)
class Row:
    """One method or setting. paper: the paper's numbers by column key. absent: why nothing was measured, else ''.

    x: the row's place on the plot's axis (a guidance rate, a scale), None for named rows. series: rows of one name are
    joined by a line. preset: the table row of the paper that these settings are (design row 20). ranked: False for
    floors and ceilings, which are never the best.
    """

    name: str
    measured: Mapping[str, Value] = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)
    absent: str = ""
    x: float | None = None
    series: str = ""
    preset: str = ""
    ranked: bool = True


@dataclass(frozen=True)
class Table:
    """A table. number: of the paper ("2"), or a word. provenance: plain data on what measured it (hashes, seeds, N).

    notes: sentences under the table. x_label: the plot's axis where rows have an x. head: a line above it, on what
    measured it.
    """

    number: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    x_label: str = ""
    head: str = ""


def to_markdown(table: Table) -> str:
    """The table with the paper's number in brackets after ours, the best of ours in bold, then absent rows and notes.

    "-" where neither was measured. A metric that could not be measured is listed below with its reason.
    """
    best = {column.key: _best(table, column) for column in table.columns}
    lines = [
        f"## Table {table.number}: {table.title}",
        "",
        *([f"*{table.head}*", ""] if table.head else []),
        "| | " + " | ".join(column.title for column in table.columns) + " |",
        "|---" * (len(table.columns) + 1) + "|",
    ]
    for row in table.rows:
        cells = [_cell(row, column, bold=row.ranked and _is_best(row, column, best)) for column in table.columns]
        lines.append(f"| {row.name}{' *(absent)*' if row.absent else ''} | " + " | ".join(cells) + " |")
    notes = [*absences(table), *table.notes, "In brackets: the paper's number, on its own data and metrics."]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), ""])


def to_json(table: Table) -> dict[str, Any]:
    """Plain data: every value, interval, reason, the paper's number and the provenance."""
    return {
        "table": table.number,
        "title": table.title,
        "head": table.head,
        "columns": [vars(column) for column in table.columns],
        "rows": [
            {
                "name": row.name,
                "x": row.x,
                "series": row.series,
                "preset": row.preset,
                "absent": row.absent or None,
                "measured": {key: _plain(value) for key, value in row.measured.items()},
                "paper": dict(row.paper),
            }
            for row in table.rows
        ],
        "notes": list(table.notes),
        "provenance": dict(table.provenance),
    }


def plot_table(table: Table, path: Path | str) -> None:
    """A PNG with one small plot a metric: over x where rows have one, else a point a row; intervals as bars.

    The paper's numbers are drawn in grey on an axis of their own, since its data and metrics are others. Metrics that
    nothing measured are left out.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    shown = [c for c in table.columns if any(number_of(row.measured.get(c.key)) is not None for row in table.rows)]
    if not shown:
        return
    across = min(3, len(shown))
    down = math.ceil(len(shown) / across)
    figure = Figure(figsize=(4.2 * across, 3.2 * down), layout="constrained")
    for number, column in enumerate(shown):
        _plot_metric(figure.add_subplot(down, across, number + 1), table, column)
    figure.suptitle(f"Table {table.number}: {table.title}")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def write_table(table: Table, folder: Path | str) -> list[Path]:
    """Write FOLDER/table_N.md, .json and, where something was measured, .png; returns the files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"table_{table.number}"
    files = [stem.with_suffix(".md"), stem.with_suffix(".json"), stem.with_suffix(".png")]
    write_bytes(files[0], to_markdown(table).encode())
    write_bytes(files[1], json.dumps(to_json(table), indent=1, allow_nan=False).encode())
    plot_table(table, files[2])
    return [file for file in files if file.is_file()]


def _plot_metric(axes: Any, table: Table, column: Column) -> None:
    rows = [row for row in table.rows if number_of(row.measured.get(column.key)) is not None]
    over_x = all(row.x is not None for row in rows)
    places = [row.x if row.x is not None and over_x else float(i) for i, row in enumerate(rows)]
    axes.set_title(column.title, fontsize=9)
    if over_x:
        axes.set_xlabel(table.x_label, fontsize=8)
    else:
        axes.set_xticks(range(len(rows)), [row.name for row in rows], rotation=30, ha="right", fontsize=7)
    style = {"marker": "o", "capsize": 3, "linestyle": "-" if over_x else "none"}
    names = list(dict.fromkeys(row.series for row in rows))
    papers = [row for row in rows if column.key in row.paper]
    other = axes.twinx() if papers else None
    for name in names:
        chosen = [(place, row) for place, row in zip(places, rows, strict=True) if row.series == name]
        bars = [_bar(row.measured[column.key]) for _, row in chosen]
        numbers = [number for number, _, _ in bars]
        errors = [[low for _, low, _ in bars], [high for _, _, high in bars]]
        axes.errorbar([place for place, _ in chosen], numbers, yerr=errors, label=name or None, **style)
        known = [(place, row.paper[column.key]) for place, row in chosen if column.key in row.paper]
        if other is not None and known:
            other.plot(*zip(*known, strict=True), marker="x", color="grey", linestyle=":" if over_x else "none")
            other.tick_params(axis="y", colors="grey", labelsize=7)
    if len(names) > 1:
        axes.legend(fontsize=7)


def _bar(value: Value) -> tuple[float, float, float]:
    """A measured number with the lengths of its error bars."""
    number = number_of(value)
    assert number is not None
    if not isinstance(value, Interval):
        return number, 0.0, 0.0
    # An interval of one clip is a point, up to rounding; a plot takes no negative length.
    return number, max(0.0, number - value.low), max(0.0, value.high - number)


def absences(table: Table) -> list[str]:
    """Absent rows and metrics, each once, with the reason."""
    rows = [f"{row.name}: absent, {row.absent}" for row in table.rows if row.absent]
    reasons: dict[str, list[str]] = {}
    for column in table.columns:
        for row in table.rows:
            value = row.measured.get(column.key)
            if isinstance(value, str) and value not in reasons.setdefault(column.heading, []):
                reasons[column.heading].append(value)
    return rows + [f"{name}: absent, {'; '.join(found)}" for name, found in reasons.items() if found]


def _cell(row: Row, column: Column, *, bold: bool) -> str:
    value, paper = row.measured.get(column.key), row.paper.get(column.key)
    ours = "-" if number_of(value) is None else _format(value, column.digits)
    ours = f"**{ours}**" if bold and ours != "-" else ours
    return ours if paper is None else f"{ours} ({paper:g})"


def cell_text(value: Value, digits: int) -> str:
    """A value as it stands in a cell, with its interval and N; the reason where there is none, "-" where nothing was
    to be said."""
    if isinstance(value, str):
        return value
    return "-" if number_of(value) is None else _format(value, digits)


def _format(value: Value, digits: int) -> str:
    if isinstance(value, Interval):
        between = f" [{value.low:.{digits}f}, {value.high:.{digits}f}]" if value.low < value.high else ""
        return f"{value.mean:.{digits}f}{between}, N {value.num}"
    return f"{value:.{digits}f}"


def number_of(value: Value) -> float | None:
    """The finite number of a value, or None."""
    number = value.mean if isinstance(value, Interval) else value
    return None if number is None or isinstance(number, str) or not math.isfinite(number) else float(number)


def _best(table: Table, column: Column) -> float | None:
    ranked = [row for row in table.rows if row.ranked]
    numbers = [n for row in ranked if (n := number_of(row.measured.get(column.key))) is not None]
    if column.better == "none" or len(numbers) < 2:
        return math.nan
    return max(numbers) if column.better == "higher" else min(numbers)


def _is_best(row: Row, column: Column, best: Mapping[str, float | None]) -> bool:
    return best[column.key] == number_of(row.measured.get(column.key))


def _plain(value: Value) -> Any:
    if isinstance(value, Interval):
        return {name: n if math.isfinite(n) else None for name, n in vars(value).items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
