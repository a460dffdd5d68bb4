"""The statistics of PAR as files: JSON, a Markdown table and a plot over the threshold."""

from __future__ import annotations

import json
import math
from pathlib import Path

from paha.config import ParConfig
from paha.errors import PahaError
from paha.par.statistics import RELIABLE_SHARE, ParStatistics, RegionStats, as_rows
from paha.runtime.atomic import atomic_path, write_bytes

COLUMNS = {
    "frames_any": "frames with a reliable point",
    "frames_half": f"frames with {RELIABLE_SHARE:.0%} reliable",
    "points": "points reliable",
    "area": "area covered",
    "mean_weight": "mean weight",
    "loss_share": "share of the loss",
}
_PLOTTED = ("frames_half", "area", "mean_weight", "loss_share")
_COLOURS = {"face": "#3ca0ff", "hand": "#ff8c00", "body": "#4caf50", "background": "#777777"}


def write_statistics(
    folder: Path, statistics: ParStatistics, config: ParConfig, *, source: str, origin: str
) -> list[Path]:
    """Write par_stats.json, par_stats.md and par_stats.png into a folder; returns their paths.

    source: what was looked at; origin: where its keypoints come from. Raises PahaError where nothing was added, a file
    cannot be written, or matplotlib is missing.
    """
    if not statistics.num_frames:
        raise PahaError(f"{source} has no frames to count; give another clip or dataset")
    result = statistics.result()
    about = {"source": source, "keypoints": origin, "frames": statistics.num_frames, "par": config.model_dump()}
    rows = [{k: None if _missing(v) else v for k, v in row.items()} for row in as_rows(result)]
    write_bytes(folder / "par_stats.json", json.dumps(about | {"rows": rows}, indent=1).encode())
    write_bytes(
        folder / "par_stats.md", markdown(result, source=source, origin=origin, frames=statistics.num_frames).encode()
    )
    plot(result, folder / "par_stats.png", title=f"{source}: {statistics.num_frames} frames, points: {origin}")
    return [folder / f"par_stats.{ending}" for ending in ("json", "md", "png")]


def markdown(result: dict[str, dict[str, RegionStats]], *, source: str, origin: str, frames: int) -> str:
    """The table, a row a threshold and region."""
    lines = [
        f"PAR on {source}: {frames} frames, keypoints from {origin}. `configured` has the configuration's thresholds.",
        "",
        f"| tau | region | {' | '.join(COLUMNS.values())} |",
        f"|---|---|{'---|' * len(COLUMNS)}",
    ]
    for row in as_rows(result):
        cells = [_cell(name, float(row[name])) for name in COLUMNS]
        lines.append(f"| {row['tau']} | {row['region']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def plot(result: dict[str, dict[str, RegionStats]], path: Path, *, title: str) -> None:
    """What depends on the threshold, a line a region. Raises PahaError where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PahaError("the plot needs matplotlib; install it with `pip install 'paha[train]'`") from error
    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    taus = [name for name in result if name != "configured"]
    for axes, name in zip(figure.subplots(2, 2).flat, _PLOTTED, strict=True):
        for region, colour in _COLOURS.items():
            values = [getattr(result[tau][region], name) for tau in taus]
            if not all(map(_missing, values)):
                axes.plot([float(tau) for tau in taus], values, "o-", label=region, color=colour)
        axes.set(title=COLUMNS[name], xlabel="threshold tau")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90)


def _missing(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _cell(name: str, value: float) -> str:
    if _missing(value):
        return "-"
    return f"{value:.2f}" if name == "mean_weight" else f"{value:.1%}"
