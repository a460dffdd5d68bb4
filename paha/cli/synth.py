"""`paha synth`: a presenter corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paha.cli.options import FILE, FOLDER, ModelFolder
from paha.runtime.paths import Output

CORPUS = Output("folder", marks=("synth.json", "features.json"))


def synth(
    out: Annotated[Path, typer.Argument(help="Dataset folder to make or to go on with."), CORPUS],
    clips: Annotated[int, typer.Option(help="How many clips.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Clip i has seed + i; from 900000 on for evaluation only.", min=0)] = 0,
    size: Annotated[
        int, typer.Option(help="Pixels of a side; of a photograph, of its longer side.", min=32, max=4096)
    ] = 128,
    seconds: Annotated[tuple[float, float], typer.Option(help="Shortest and longest clip.")] = (3.0, 6.0),
    characters: Annotated[int | None, typer.Option(help="Only so many characters (one a clip by default).")] = None,
    recording: Annotated[list[Path], typer.Option(help="Real speech that half of the clips use; repeat."), FILE] = [],  # noqa: B006
    speech: Annotated[
        Path | None,
        typer.Option(help="Folder of aligned natural speech (alignment.jsonl) for half of the clips."),
        FOLDER,
    ] = None,
    stills: Annotated[
        Path | None, typer.Option(help="Folder of photographs to move instead of drawing people; mind --size."), FOLDER
    ] = None,
    motion_latents: Annotated[
        bool, typer.Option("--motion-latents", help="No pictures: features of the presenter's motion stream.")
    ] = False,
    model: ModelFolder = None,
    workers: Annotated[int | None, typer.Option(help="Processes (one a core by default).", min=1)] = None,
) -> None:
    """Make a presenter corpus: drawn or photographed people speaking, with their keypoints and the true signals.

    With --motion-latents what `paha negatives` and `paha train classifier` want for --model: its features alone.
    """
    if motion_latents:
        return synth_motion(out, clips=clips, seed=seed, seconds=seconds[1], speech=speech, model=model)
    from paha.dataset.synth.corpus import make_corpus

    records = make_corpus(
        out,
        clips=clips,
        seed=seed,
        size=size,
        seconds=seconds,
        characters=characters,
        recordings=recording or None,
        speech=speech,
        stills=stills,
        workers=workers,
    )
    typer.echo(f"{len(records)} clips, {sum(r.num_frames for r in records)} frames in {out}; look at {out}/sheet.png")


def synth_motion(out: Path, *, clips: int, seed: int, seconds: float, speech: Path | None, model: Path | None) -> None:
    """Features of clips that are as long as the longest."""
    from paha.dataset.synth.motion_features import make_motion_features
    from paha.pipeline.loading import SHIPPED_MODEL
    from paha.pipeline.model_folder import read_config

    model, speech_folder = model or SHIPPED_MODEL, None if speech is None else str(speech)
    options = {"clips": clips, "seconds": seconds, "seed": seed, "speech": speech_folder, "model": model}
    make_motion_features(out, config=read_config(model), **options)
    typer.echo(f"features of {clips} clips of motion in {out}")
