"""Puts a trained UniVDM, a keypoint estimator and lip readers where the shipped model lies, in half precision.

python -m paha.training.univdm.ship [--univdm work/univdm] [--keypoint-estimator work/keypoint_estimator]
    [--lip-reader work/lip_reader_1 ...] [--out DIR]
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from paha.errors import PahaError
from paha.extractors.audio import AUDIO_ENCODER_FOLDER, LIP_READER_FOLDER

ESTIMATOR_FOLDER = "keypoint_estimator"


def ship(
    out: Path, *, univdm: Path | None = None, estimator: Path | None = None, lip_readers: Sequence[Path] = ()
) -> Path:
    """Write the models of run folders to `out`; what else lies there stays.

    Raises PahaError where a run has no model yet.
    """
    readers = [(reader, "lip-reader") for reader in lip_readers]
    for run, verb in ((univdm, "univdm"), (estimator, "keypoint-estimator"), *readers):
        if run is not None and not (run / "model").is_dir():
            raise PahaError(f"{run} has no model yet; train it with `paha train {verb} --out {run}`")
    if univdm is not None:
        _ship_univdm(univdm, out)
    if estimator is not None:
        shutil.copytree(estimator / "model", out / ESTIMATOR_FOLDER, dirs_exist_ok=True)
    for number, reader in enumerate(lip_readers, 1):
        folder = out / AUDIO_ENCODER_FOLDER / LIP_READER_FOLDER.format(number)
        shutil.copytree(reader / "model", folder, dirs_exist_ok=True)
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
    lip_reader: Annotated[
        list[Path] | None, typer.Option(help="Run folder of `paha train lip-reader`; again for more.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")] = None,
) -> None:
    """Ship trained models."""
    from paha.pipeline.loading import SHIPPED_MODEL

    shipped = ship(out or SHIPPED_MODEL, univdm=univdm, estimator=keypoint_estimator, lip_readers=lip_reader or ())
    typer.echo(f"{shipped}")


if __name__ == "__main__":
    typer.run(main)
