"""Puts a trained UniVDM, a keypoint estimator and a lip reader where the shipped model lies, in half precision.

python -m paha.training.univdm.ship [--univdm work/univdm] [--keypoint-estimator work/keypoint_estimator]
    [--lip-reader work/lip_reader] [--out DIR]
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from paha.errors import PahaError
from paha.extractors.audio import AUDIO_ENCODER_FOLDER, LIP_READER_FOLDER

ESTIMATOR_FOLDER = "keypoint_estimator"


def ship(out: Path, *, univdm: Path | None = None, estimator: Path | None = None, reader: Path | None = None) -> Path:
    """Write the models of run folders to `out`; what else lies there stays.

    Raises PahaError where a run has no model yet.
    """
    for run, verb in ((univdm, "univdm"), (estimator, "keypoint-estimator"), (reader, "lip-reader")):
        if run is not None and not (run / "model").is_dir():
            raise PahaError(f"{run} has no model yet; train it with `paha train {verb} --out {run}`")
    if univdm is not None:
        _ship_univdm(univdm, out)
    if estimator is not None:
        shutil.copytree(estimator / "model", out / ESTIMATOR_FOLDER, dirs_exist_ok=True)
    if reader is not None:
        shutil.copytree(reader / "model", out / AUDIO_ENCODER_FOLDER / LIP_READER_FOLDER, dirs_exist_ok=True)
    return out


def _ship_univdm(run: Path, out: Path) -> None:
    from paha.pipeline.pipeline import PahaPipeline

    pipeline: Any = PahaPipeline.from_pretrained(run / "model")
    pipeline.univdm.half()
    pipeline.save_pretrained(out)
    shutil.copy(run / "stats.jsonl", out / "univdm" / "stats.jsonl")


def main(
    univdm: Annotated[Path | None, typer.Option(help="Run folder of `paha train univdm`.")] = None,
    keypoint_estimator: Annotated[Path | None, typer.Option(help="Run folder of the keypoint estimator.")] = None,
    lip_reader: Annotated[Path | None, typer.Option(help="Run folder of `paha train lip-reader`.")] = None,
    out: Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")] = None,
) -> None:
    """Ship trained models."""
    from paha.pipeline.loading import SHIPPED_MODEL

    shipped = ship(out or SHIPPED_MODEL, univdm=univdm, estimator=keypoint_estimator, reader=lip_reader)
    typer.echo(f"{shipped}")


if __name__ == "__main__":
    typer.run(main)
