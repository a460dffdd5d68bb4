"""`paha inspect`: draws the loss weights of a clip or dataset as the training sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paha.cli.options import Overwrite, PresetName, Settings, configuration, tell
from paha.errors import PahaError
from paha.runtime.paths import Input, Output

LOOKED_AT = Output("folder", marks=("*_par.mp4", "*_par.png", "par_stats.*"), results=("par_stats.*",))


def inspect(
    source: Annotated[
        Path, typer.Argument(metavar="CLIP_OR_DATASET", help="A video, or a folder with manifest.jsonl."), Input("any")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for pictures, videos and tables."), LOOKED_AT],
    par: Annotated[bool, typer.Option("--par", help="Keypoints, areas and loss weights (Eq. 2, 3).")] = False,
    pose: Annotated[
        str,
        typer.Option(help="auto (a dataset's annotations, else the best reader here), presenter, mediapipe, dwpose."),
    ] = "auto",
    clips: Annotated[int, typer.Option(help="How many clips of a dataset to draw.", min=1)] = 4,
    seconds: Annotated[float, typer.Option(help="Seconds of each clip to draw.", min=0.04)] = 10.0,
    frames: Annotated[int, typer.Option(help="Frames of a dataset to count, spread evenly.", min=1)] = 2000,
    preset: PresetName = "presenter",
    settings: Settings = [],  # noqa: B006
    overwrite: Overwrite = False,
) -> None:
    """Look at a clip or dataset as the training does; constants by --set, e.g. --set par.hand_threshold=0.3."""
    from paha.dataset.inspect import InspectOptions, inspect_par

    if not par:
        raise PahaError("say what to look at: --par")
    options = InspectOptions(clips=clips, seconds=seconds, frames=frames, pose=pose)
    written, failed = inspect_par(source, out, configuration(preset, settings), options, say=tell)
    if (out / "par_stats.md") in written:
        typer.echo((out / "par_stats.md").read_text(encoding="utf-8"))
    typer.echo("\n".join(map(str, written)))
    if failed:
        raise PahaError(f"{len(failed)} clips failed: {'; '.join(failed)}")
