"""`paha evaluate`: generated videos against real ones."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paha.cli.options import FILE, FOLDER, SOURCE, Engine, Overwrite, Split, SplitChoice, tell
from paha.errors import PahaError
from paha.runtime.paths import Output

if TYPE_CHECKING:
    from paha.dataset.splits import SplitName
    from paha.evaluation.metrics.instruments import Instruments

REPORT = Output("folder", marks=("measured", "report.md"), results=("report.html", "report.md", "results.json"))
Workers = Annotated[int | None, typer.Option(help="Clips at a time (one a core by default).", min=1)]


@dataclass(frozen=True)
class InstrumentOptions:
    """What videos are measured with."""

    pose: Annotated[str, typer.Option(help="auto, exact, presenter, mediapipe, dwpose or none.")] = "auto"
    pose_autoencoder: Annotated[Path | None, typer.Option(help="For FGD; shipped for presenters."), SOURCE] = None
    syncnet: Annotated[Path | None, typer.Option(help="syncnet_v2.model, for Sync-C and Sync-D."), FILE] = None
    i3d: Annotated[Path | None, typer.Option(help="I3D as torchscript or state dict, for FVD."), FILE] = None
    inception: Annotated[Path | None, typer.Option(help="StyleGAN's inception-2015-12-05.pt, for FID."), FILE] = None
    arcface: Annotated[Path | None, typer.Option(help="ArcFace as ONNX, e.g. w600k_r50.onnx, for CSIM."), FILE] = None

    def load(self, real: Path, **others: Any) -> Instruments:
        """The instruments for clips of that kind."""
        from paha.evaluation.metrics.instruments import load_instruments

        return load_instruments(**self.arguments(real), **others)

    def arguments(self, real: Path) -> dict[str, Any]:
        """Those of `load_instruments`."""
        files = {"autoencoder": self.pose_autoencoder, "syncnet": self.syncnet, "i3d": self.i3d}
        files |= {"inception": self.inception, "arcface": self.arcface}
        return {"pose": self.pose, "real": real} | files


@dataclass(frozen=True)
class EvaluateOptions:
    """Which clips are compared, and how."""

    name: Annotated[str, typer.Option(help="The method's name in the tables (FAKE's folder name by default).")] = ""
    pairs: Annotated[Path | None, typer.Option(help="CSV with columns real,fake (equal names by default)."), FILE] = (
        None
    )
    fvd_protocol: Annotated[
        str | None, typer.Option(help="stylegan-v, cd-fvd, or a YAML file with frames, stride, size ... of FVD.")
    ] = None
    split: SplitChoice = Split.test
    size: Annotated[
        int | None,
        typer.Option(help="Shorter side to which both sides are brought first (256: the paper).", min=32, max=8192),
    ] = None
    limit: Annotated[int | None, typer.Option(help="Only the first so many clips of each folder.", min=1)] = None
    workers: Workers = None
    engine: Engine = "local"
    seed: Annotated[int, typer.Option(help="Of the corrupted rows.", min=0)] = 0
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="No generated video has a real one of its name: only what needs no pair.")
    ] = False
    ceilings: Annotated[bool, typer.Option(help="Also rows of corrupted real clips.")] = True
    cache: Annotated[
        bool, typer.Option(help="Keep the real clips' measurements in the user's cache for the next evaluation.")
    ] = True
    replicates: Annotated[int, typer.Option(help="Bootstrap replicates of Frechet distances.", min=10, max=100_000)] = (
        100
    )
    overwrite: Overwrite = False


def evaluate(
    real: Annotated[Path, typer.Argument(help="Folder of real videos, or a dataset (manifest.jsonl)."), FOLDER],
    fake: Annotated[Path, typer.Argument(help="Folder of generated videos."), FOLDER],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the report and the measurements."), REPORT],
    options: EvaluateOptions,
    instruments: InstrumentOptions,
) -> None:
    """Measure generated videos against real ones: FVD, BAS, FGD, Sync-C, Diversity, regions, hands, lips, drift."""
    from paha.evaluation.metrics.evaluate import evaluate_videos
    from paha.evaluation.metrics.fvd_protocol import load_protocol
    from paha.evaluation.metrics.instruments import load_instruments
    from paha.evaluation.metrics.measured import MeasurementCache
    from paha.evaluation.tables.evaluation_report import short_table, write_report

    chosen: dict[str, Any] = instruments.arguments(real) | {"fvd_protocol": load_protocol(options.fvd_protocol)}
    chosen["size"] = options.size
    loaded = load_instruments(**chosen, replicates=options.replicates)
    workers = share_cores(options.workers)
    warn_of_training_clips(real, options.split.value)
    if options.engine != "local":
        from paha.evaluation.metrics.evaluate_parts import measure_in_parts

        sides = {
            "pairs": options.pairs,
            "split": options.split.value,
            "limit": options.limit,
            "ceilings": options.ceilings,
            "cache": options.cache,
        }
        measure_in_parts(real, fake, out, chosen, sides, workers=workers, engine=options.engine, say=tell)
    evaluation = evaluate_videos(
        real,
        fake,
        out,
        loaded,
        name=options.name or fake.resolve().name,
        pairs=options.pairs,
        split=options.split.value,
        limit=options.limit,
        workers=workers,
        seed=options.seed,
        ceilings=options.ceilings,
        unpaired=options.unpaired,
        cache=MeasurementCache() if options.cache else None,
        say=tell,
    )
    files = write_report(evaluation, out)
    typer.echo(short_table(evaluation))
    for warning in evaluation.warnings:
        warnings.warn(warning, FewClipsWarning, stacklevel=1)
    tell(f"open {files[0]}; also {files[1].name} and {files[2].name} beside it")
    failed = [f"{clip}: {why}" for found in evaluation.failed.values() for clip, why in found.items()]
    if failed:
        raise PahaError(f"{len(failed)} videos could not be read and were left out: {'; '.join(failed)}")


class FewClipsWarning(UserWarning):
    """So few clips say little."""


def warn_of_training_clips(data: Path, split: SplitName) -> None:
    """Say where REAL's own split.json calls clips training clips and they are asked for all the same."""
    from paha.dataset.splits import read_splits

    trained = [clip for clip, part in read_splits(data).items() if part == "train"]
    if split != "test" and trained:
        from paha.dataset.training_data import TrainedOnWarning

        text = f"--split {split}: {len(trained)} clips of {data} are for training; give --split test for held-out ones"
        warnings.warn(text, TrainedOnWarning, stacklevel=1)


def share_cores(workers: int | None) -> int:
    """Clips measured at a time, one a core by default; each works on one thread, or they would fight for the cores."""
    import cv2

    from paha.runtime.workers import num_cores

    workers = workers or num_cores()
    cv2.setNumThreads(max(1, num_cores() // workers))
    if "torch" in sys.modules:  # else no instrument needs it, and it is seconds of start-up
        import torch

        torch.set_num_threads(max(1, num_cores() // workers))
    return workers
