"""What the shipped presenter is worth: photographs of people it never saw, speech it never heard, read by MediaPipe.

    python -m experiments.presenter.report --stills ../shared/stills --media ../shared/media --speech ../shared/speech

Scores that decide, fixed before any run (the bars are the tables' column "wanted"):

- lips: "lips r", mean over 40 test photographs of Pearson's r between the gap of the inner lips that MediaPipe reads
  off the rendered frames and the rig's mouth opening for that sound; "lips r below the ceiling", paired with the rig's
  own motion rendered and read alike; the share of people with r >= 0.80; "another clip's audio"; amplitude (standard
  deviations) over the rendered true motion's; the share of frames with a face. Loudness is the floor.
- real: mean r between the made and the speaker's own mouth opening on GRID's clips, and their amplitudes' ratio.
- sharp: variance of the Laplacian in the face over the photograph's; the largest change outside the person's reach;
  mean pixel change at segment borders over elsewhere.
- long: the same ratio at borders over a minute, the last segment's sharpness over the first's, and the difference of
  the first and last segments' mean faces beside that of the first two.
- hands: spread and jerk of the wrists over the rig's, ratios of means over half-bodies.
- speed: seconds a second of video, start-up, peak memory of a minute over that of a few seconds.
- everybody: every photograph ends in a video or a clear line; no crash.
- own: the table of the lips with the landmarks of the shipped estimator.

Intervals are bootstrap 95 % over people. Results are kept in OUT/items and reused while settings, model and code of the
renderer and of this report are the same. Nothing made from these photographs may be committed.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import typer

from experiments.presenter.items import ITEMS, Bench, Item
from experiments.presenter.setup import Setup, Store
from experiments.presenter.tables import markdown
from paha.errors import PahaError
from paha.motion.landmarks import DETECTORS
from paha.pipeline.loading import SHIPPED_MODEL
from paha.runtime.atomic import write_bytes

app = typer.Typer(add_completion=False)
SHARED = Path("../shared")


@app.command()
def report(
    stills: Annotated[Path, typer.Option(help="Photographs with index.tsv.")] = SHARED / "stills",
    media: Annotated[Path, typer.Option(help="Real clips, recordings and stills.")] = SHARED / "media",
    speech: Annotated[Path, typer.Option(help="Speech with alignment.jsonl; its held-out voices are used.")] = SHARED
    / "speech",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report.")] = Path("out/presenter_report"),
    model: Annotated[Path, typer.Option("--model", help="Model folder.")] = SHIPPED_MODEL,
    only: Annotated[list[str] | None, typer.Option(help=f"Items to measure, of {', '.join(ITEMS)}.")] = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps (the model's by default).", min=1, max=1000)] = None,
    cfg_scale: Annotated[float | None, typer.Option(help="Audio guidance scale (the model's by default).")] = None,
    landmarks: Annotated[str, typer.Option(help=f"Detector: {', '.join(DETECTORS)}.")] = "auto",
    size: Annotated[int, typer.Option(help="Pixels of the videos' longer side.", min=64)] = 512,
    workers: Annotated[int, typer.Option(help="Processes of one thread each.", min=1)] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="6 people, short videos: minutes.")] = False,
) -> None:
    """Write OUT/report.md, report.json and pictures."""
    find_mediapipe_models(media.parent / "weights")
    setup = Setup(stills, media, speech, model, steps, cfg_scale, size, checked_detector(landmarks), quick)
    store = Store(out / "items", setup)
    bench, items, took = Bench(setup, store, out, workers), {}, {}
    for name in chosen_items(only):
        began = time.monotonic()
        try:
            items[name] = ITEMS[name](bench)
        except PahaError as error:
            typer.echo(f"{name}: skipped: {error}", err=True)
            items[name] = Item(f"{name}: not measured", [], {"skipped": str(error)})
        took[name] = time.monotonic() - began
        write_report(out, store.protocol, items, took)
    typer.echo(f"{out / 'report.md'}")


def chosen_items(only: list[str] | None) -> list[str]:
    """All items, or those named. Raises PahaError for an unknown one."""
    for name in only or []:
        if name not in ITEMS:
            raise PahaError(f"--only {name}: the items are {', '.join(ITEMS)}")
    return [name for name in ITEMS if not only or name in only]


def checked_detector(name: str) -> Any:
    """The detector's name. Raises PahaError for an unknown one."""
    if name not in DETECTORS:
        raise PahaError(f"--landmarks {name}: the detectors are {', '.join(DETECTORS)}")
    return name


def find_mediapipe_models(folder: Path) -> None:
    """Read frames by the models in `folder` where no others are named; workers and `paha animate` inherit it."""
    if folder.is_dir():
        os.environ.setdefault("PAHA_WEIGHTS", str(folder.resolve()))


def write_report(out: Path, protocol: dict[str, str], items: dict[str, Item], took: dict[str, float]) -> None:
    """report.md and report.json of the items so far."""
    text = ["# What the presenter is worth", "", ", ".join(f"{name} {value}" for name, value in protocol.items()), ""]
    for name, item in items.items():
        text += [f"## {item.title}", ""]
        if "skipped" in item.rows:
            text += [f"Skipped: {item.rows['skipped']}", ""]
            continue
        text += [markdown(item.lines), "", f"`--only {name}`, {took[name]:.0f} s (0 where all was kept).", ""]
        text += [f"![{picture}]({picture})" for picture in item.pictures]
        text += [""] if item.pictures else []
    stored = {
        name: {"lines": [line.plain() for line in item.lines], "rows": item.rows, "seconds": took[name]}
        for name, item in items.items()
    }
    write_bytes(out / "report.md", "\n".join(text).encode())
    write_bytes(out / "report.json", json.dumps(plain({"protocol": protocol, "items": stored}), indent=1).encode())


def plain(value: Any) -> Any:
    """What JSON can hold: NaN, which it has not, becomes null."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    try:
        app()
    except PahaError as error:
        sys.exit(f"report: error: {error}")
