"""`paha evaluate`: generated videos against real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paha.cli.options import FILE, FOLDER, SOURCE, Engine, Overwrite, tell
from paha.errors import PahaError
from paha.runtime.paths import Output

if TYPE_CHECKING:
    from paha.evaluation.metrics.instruments import Instruments

REPORT = Output("folder", marks=("measured", "report.md"), results=("report.md", "results.json"))
Workers = Annotated[int | None, typer.Option(help="Clips at a time (one a core by default).", min=1)]


@dataclass(frozen=True)
class InstrumentOptions:
    """What videos are measured with."""

    pose: Annotated[str, typer.Option(help="exact, presenter, mediapipe, dwpose or auto.")] = "auto"
    pose_autoencoder: Annotated[Path | None, typer.Option(help="For FGD; shipped for presenters."), SOURCE] = None
    syncnet: Annotated[Path | None, typer.Option(help="syncnet_v2.model, for Sync-C and Sync-D."), FILE] = None
    i3d: Annotated[Path | None, typer.Option(help="I3D as torchscript, for FVD."), FILE] = None

    def load(self, real: Path, **others: Any) -> Instruments:
        """The instruments for clips of that kind."""
        from paha.evaluation.metrics.instruments import load_instruments

        return load_instruments(**self.arguments(real), **others)

    def arguments(self, real: Path) -> dict[str, Any]:
        """Those of `load_instruments`."""
        files = {"autoencoder": self.pose_autoencoder, "syncnet": self.syncnet, "i3d": self.i3d}
        return {"pose": self.pose, "real": real} | files


@dataclass(frozen=True)
class EvaluateOptions:
    """Which clips are compared, and how."""

    name: Annotated[str, typer.Option(help="The method's name in the tables (FAKE's folder name by default).")] = ""
    pairs: Annotated[Path | None, typer.Option(help="CSV with columns real,fake (equal names by default)."), FILE] = (
        None
    )
    fvd_protocol: Annotated[Path | None, typer.Option(help="YAML with frames, stride, size ... of FVD."), FILE] = None
    limit: Annotated[int | None, typer.Option(help="Only the first so many clips of each folder.", min=1)] = None
    workers: Workers = None
    engine: Engine = "local"
    seed: Annotated[int, typer.Option(help="Of the corrupted rows.", min=0)] = 0
    ceilings: Annotated[bool, typer.Option(help="Also rows of corrupted real clips.")] = True
    replicates: Annotated[int, typer.Option(help="Bootstrap replicates of Frechet distances.", min=10)] = 100
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
    from paha.evaluation.metrics.evaluate_parts import measure_in_parts
    from paha.evaluation.metrics.fvd import load_protocol
    from paha.evaluation.metrics.instruments import load_instruments
    from paha.evaluation.tables.evaluation_report import write_report

    chosen: dict[str, Any] = instruments.arguments(real) | {"fvd_protocol": load_protocol(options.fvd_protocol)}
    loaded = load_instruments(**chosen, replicates=options.replicates)
    workers = share_cores(options.workers)
    if options.engine != "local":
        sides = {"pairs": options.pairs, "limit": options.limit, "ceilings": options.ceilings}
        measure_in_parts(real, fake, out, chosen, sides, workers=workers, engine=options.engine, say=tell)
    evaluation = evaluate_videos(
        real,
        fake,
        out,
        loaded,
        name=options.name or fake.resolve().name,
        pairs=options.pairs,
        limit=options.limit,
        workers=workers,
        seed=options.seed,
        ceilings=options.ceilings,
        say=tell,
    )
    files = write_report(evaluation, out)
    typer.echo(files[0].read_text(encoding="utf-8"))
    tell(f"written: {', '.join(str(file) for file in files)}")
    failed = [f"{clip}: {why}" for found in evaluation.failed.values() for clip, why in found.items()]
    if failed:
        raise PahaError(f"{len(failed)} videos could not be read and were left out: {'; '.join(failed)}")


def share_cores(workers: int | None) -> int:
    """Clips measured at a time, one a core by default; each works on one thread, or they would fight for the cores."""
    import torch

    from paha.runtime.workers import num_cores

    workers = workers or num_cores()
    torch.set_num_threads(max(1, num_cores() // workers))
    return workers
