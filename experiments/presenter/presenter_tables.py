"""Tables of the presenter's report: means and ratios with bootstrap 95 % intervals over clips, as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import typer

from experiments.presenter.presenter_measures import Row
from paha.errors import PahaError
from paha.runtime.atomic import write_bytes
from paha.runtime.statistics import Interval, bootstrap

Line = tuple[str, str, str, str]
"""What is measured, its key in a row, the key that it is divided by ("" for a plain mean), and what is wanted."""

REPORT: tuple[Line, ...] = (
    ("lip r, generated, lag 0", "lip r generated", "", "0.75, aim 0.9"),
    ("lip r, generated, at its best lag", "lip r at best lag", "", ""),
    ("best lag, frames", "best lag", "", "0 or 1"),
    ("share of clips with best lag 0 or 1", "best lag is 0 or 1", "", ""),
    ("lip r, generated against other clips' truth", "lip r other clips", "", "at most the next + 0.05"),
    ("lip r, truth against other clips' truth", "lip r truth, other clips", "", ""),
    ("lip r, reader on true renderings (ceiling)", "lip r renderings", "", "0.95"),
    ("lip r, reader on codec round trips (ceiling)", "lip r round trips", "", "0.9"),
    ("lip r, loudness-only lips", "lip r loudness", "", ""),
    ("lip r, still image", "lip r still image", "", ""),
    ("amplitude of the lips, generated / true", "mouth std", "mouth std true", ""),
    ("mouth in pauses, generated", "mouth in pauses generated", "", "at rest"),
    ("mouth in pauses, read off true frames", "mouth in pauses renderings", "", ""),
    ("mouth in pauses, rig", "mouth in pauses truth", "", ""),
    ("mouth in speech, generated", "mouth in speech generated", "", ""),
    ("mouth in speech, read off true frames", "mouth in speech renderings", "", ""),
    ("mouth in speech, rig", "mouth in speech truth", "", ""),
    ("hands: spread, generated / true", "hand spread", "hand spread true", "0.5 or more"),
    ("wrist speed, generated / true", "wrist speed", "wrist speed true", "0.5 to 2"),
    ("wrist jerk, generated / true", "wrist jerk", "wrist jerk true", ""),
    ("share of hand points seen, generated / true", "hands seen", "hands seen true", ""),
    ("background PSNR, generated, dB", "background PSNR generated", "", "25"),
    ("background PSNR, generated, beside its arms, dB", "background PSNR beside the arms", "", ""),
    ("background PSNR, codec round trips (ceiling), dB", "background PSNR round trips", "", ""),
    ("background PSNR, still image, dB", "background PSNR still image", "", ""),
    ("torso median colour error, generated, grey levels", "torso colour error generated", "", ""),
    ("torso median colour error, round trips", "torso colour error round trips", "", ""),
    ("torso median colour error, still image", "torso colour error still image", "", ""),
    ("seconds of wall time a clip", "seconds", "", ""),
)
ROUND_TRIP: tuple[Line, ...] = (
    ("lip r, reader on true renderings", "lip r renderings", "", "0.95"),
    ("lip r, reader on codec round trips", "lip r round trips", "", "0.9"),
    ("amplitude of the lips, round trips / true", "mouth std", "mouth std true", ""),
    ("PSNR of round trips, dB", "psnr", "", ""),
    ("PSNR in the mouth's rectangle, dB", "psnr_mouth", "", ""),
    ("PSNR in the hands' rectangles, dB", "psnr_hands", "", ""),
)


def summary(rows: Mapping[str, Row], lines: Iterable[Line]) -> dict[str, Interval | None]:
    """Every line's mean, or ratio of means, with its interval; a clip with nothing to measure counts for nothing, and a
    line of such clips alone is None."""
    return {label: _interval(list(rows.values()), key, divisor) for label, key, divisor, _ in lines}


def _interval(rows: list[Row], key: str, divisor: str) -> Interval | None:
    values = np.array([[row.get(key, np.nan), row.get(divisor, 1.0) if divisor else 1.0] for row in rows]).reshape(
        -1, 2
    )
    values = values[np.isfinite(values).all(1)]
    if not len(values):
        return None
    return ratio_of_means(values[:, 0], values[:, 1]) if divisor else bootstrap(values[:, 0].tolist())


def ratio_of_means(values: np.ndarray, divisors: np.ndarray, *, samples: int = 2000, seed: int = 0) -> Interval | None:
    """Mean of values over mean of divisors (N,), clips drawn together: a clip with a small divisor, which would blow up
    a mean of ratios, weighs little. None where the divisors are 0."""
    if divisors.mean() < 1e-9:
        return None
    drawn = np.random.default_rng(seed).integers(len(values), size=(samples, len(values)))
    ratios = values[drawn].mean(1) / np.maximum(divisors[drawn].mean(1), 1e-9)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(values.mean() / divisors.mean()), float(low), float(high), len(values))


def markdown(means: Mapping[str, Interval | None], lines: Iterable[Line]) -> str:
    """A Markdown table, a row a line."""
    wanted = {label: text for label, _, _, text in lines}
    body = [f"| {label} | {interval or '-'} | {wanted[label]} |" for label, interval in means.items()]
    return "\n".join(["| measured | mean [95 %] (clips) | wanted |", "|---|---|---|", *body])


def write_report(
    rows: Mapping[str, Row],
    lines: Iterable[Line],
    protocol: Mapping[str, object],
    out: Path,
    *,
    curves: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> None:
    """OUT/report.md and report.json (protocol, means, every clip's numbers and curves). Raises PahaError without
    clips."""
    if not rows:
        raise PahaError("there are no clips at that place of the manifest; give another --data or --start")
    lines = tuple(lines)
    means = summary(rows, lines)
    table = markdown(means, lines)
    typer.echo(table)
    out.mkdir(parents=True, exist_ok=True)
    settings = "\n".join(f"- {name}: {value}" for name, value in protocol.items())
    write_bytes(out / "report.md", f"{table}\n\n{settings}\n".encode())
    clips = {clip: {k: round(v, 5) if np.isfinite(v) else None for k, v in row.items()} for clip, row in rows.items()}
    stored = {
        "protocol": dict(protocol),
        "means": {label: interval and vars(interval) for label, interval in means.items()},
        "clips": clips,
        "curves": {c: {k: v.round(4).tolist() for k, v in of.items()} for c, of in (curves or {}).items()},
    }
    write_bytes(out / "report.json", json.dumps(stored, indent=1).encode())
