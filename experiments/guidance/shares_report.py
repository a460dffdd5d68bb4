"""What classifiers of several shares of hard negatives have learned, side by side.

python -m experiments.guidance.shares_report work/pce/face/share_* work/pce/non_face/share_*

Reads each run's report/report.json: AUC of real against generated, shifted and another's sound by noise level, and by
the size of a shift at the lower timestep.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from paha.errors import PahaError
from paha.training.pce.pairs import KINDS
from paha.training.pce.report import BUCKETS, TOLD_SHIFTS


def markdown(reports: dict[str, dict[str, Any]]) -> str:
    """A row for each run and kind of negative."""
    heads = [*(f"t {low}-{high}" for low, high in BUCKETS), *(f"{size} frames" for size in TOLD_SHIFTS)]
    lines = ["| run | real against | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for name, report in reports.items():
        for kind in KINDS:
            values = [report["scores"].get(f"auc/{kind}_{low}") for low, _ in BUCKETS]
            if all(value is None for value in values):
                continue
            curve = report["shift_curves"][0]["auc_by_shift"] if kind == "shifted" and report["shift_curves"] else {}
            values += [curve.get(str(size)) for size in TOLD_SHIFTS]
            cells = ["" if value is None else f"{value:.2f}" for value in values]
            lines.append(f"| {name} | {kind} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def main(runs: Annotated[list[Path], typer.Argument(help="Folders of `paha train classifier`.")]) -> None:
    """Print the table."""
    found = {}
    for run in runs:
        path = run / "report" / "report.json"
        if not path.is_file():
            raise PahaError(f"{run} has no report yet; train it to its end")
        found[f"{run.parent.name}/{run.name}"] = json.loads(path.read_text(encoding="utf-8"))
    typer.echo(markdown(found))


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        raise SystemExit(f"shares_report: error: {error}") from error
