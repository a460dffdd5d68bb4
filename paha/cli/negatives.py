"""`paha negatives`: generates the videos that the PCE classifiers learn to tell from real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paha.cli.features import model_features
from paha.cli.options import FOLDER, MODEL, Device, Engine, PresetName, Split, SplitChoice, parse_part
from paha.errors import PahaError
from paha.runtime.paths import Output

if TYPE_CHECKING:
    from paha.training.pce.negatives_job import NegativesOptions


NEGATIVES = Output("folder", marks=("negatives.json", "pairs.jsonl"))


@dataclass(frozen=True)
class NegativesFlags:
    """The pairs and how they are made."""

    count: Annotated[int, typer.Option(help="How many pairs (the paper has 50000).", min=1, max=1_000_000)] = 50_000
    lengths: Annotated[
        str | None, typer.Option(metavar="N,N...", help="Frames (30,60,90,120 scaled to the model by default).")
    ] = None
    steps: Annotated[int, typer.Option(help="DDIM steps.", min=1, max=1000)] = 30
    seed: Annotated[int, typer.Option(help="Pair i is a function of the seed and i.", min=0)] = 0
    random_audio: Annotated[
        bool, typer.Option("--random-audio", help="Another clip's audio (Fig. 5's caption), not the clip's own.")
    ] = False
    no_augmentation: Annotated[
        bool, typer.Option("--no-augmentation", help="First frame as reference, one length (Table 3's row).")
    ] = False
    batch_size: Annotated[int, typer.Option(help="Videos sampled together (of one length; on a GPU 256).", min=1)] = 4
    shard_size: Annotated[int, typer.Option(help="Pairs of a shard; a batch is of one shard.", min=1)] = 32
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1
    engine: Engine = "local"
    part: Annotated[str, typer.Option(metavar="K/N", help="Only shards K, K+N ..: one machine of N.")] = "0/1"
    device: Device = None
    split: SplitChoice = Split.train

    def options(self) -> NegativesOptions:
        """What the generation takes. Raises PahaError for what cannot be meant."""
        from paha.training.pce.negatives_job import NegativesOptions

        return NegativesOptions(
            count=self.count,
            seed=self.seed,
            lengths=None if self.lengths is None else _lengths(self.lengths),
            steps=self.steps,
            random_audio=self.random_audio,
            augment=not self.no_augmentation,
            shard_size=self.shard_size,
            batch_size=self.batch_size,
            workers=self.workers,
            engine=self.engine,
            part=parse_part(self.part, "--part"),
            device=self.device,
            split=self.split.value,
        )


def negatives(
    *,
    data: Annotated[Path | None, typer.Option("--data", help="Dataset folder (manifest.jsonl)."), FOLDER] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder whose UniVDM makes them."), MODEL] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the shards; goes on where it was."), NEGATIVES
    ] = None,
    flags: NegativesFlags,
    preset: PresetName = "presenter",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it costs.")] = False,
    seconds_per_evaluation: Annotated[
        float | None,
        typer.Option(help="For --plan: of UniVDM on one segment (measured with --model and --data).", min=1e-9),
    ] = None,
) -> None:
    """Generate the classifiers' negatives: for each real clip a video by UniVDM with the same audio (Fig. 5)."""
    from paha.training.pce.negatives_job import make_negatives

    options = flags.options()
    if plan:
        print_plan(preset, model, data, options, seconds=seconds_per_evaluation)
        return
    if data is None or model is None or out is None:
        raise PahaError("give --data DATASET, --model MODEL and --out FOLDER (or --plan)")
    made = make_negatives(model, model_features(data, model, options.device, flags.split), out, options)
    typer.echo(f"{made} shards made; {options.count} pairs planned in {out}")


def print_plan(
    preset: str, model: Path | None, data: Path | None, options: NegativesOptions, *, seconds: float | None
) -> None:
    """Cost of a set; an evaluation is timed where a model and data are given and no `seconds`."""
    from paha.pipeline.model_folder import read_config
    from paha.presets import preset as preset_by_name
    from paha.training.pce.negatives_job import format_negatives_plan, measure_evaluation, plan_negatives

    config = preset_by_name(preset) if model is None else read_config(model)
    if seconds is None and model is not None and data is not None:
        seconds = measure_evaluation(model, model_features(data, model, options.device), device=options.device)
    cost = plan_negatives(config, options.count, lengths=options.lengths, steps=options.steps, seconds=seconds)
    typer.echo(format_negatives_plan(cost, processes=options.workers))


def _lengths(text: str) -> tuple[int, ...]:
    """'15,30' to (15, 30)."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise PahaError(f"--lengths {text}: give numbers of frames, e.g. 15,30") from error
    if min(numbers) < 1:
        raise PahaError(f"--lengths {text}: give numbers of frames, e.g. 15,30")
    return numbers
