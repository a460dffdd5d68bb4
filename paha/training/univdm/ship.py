"""Puts trained networks where the shipped model lies: UniVDM in half precision, classifiers and lip readers in 8 bits.

python -m paha.training.univdm.ship [--univdm work/univdm] [--keypoint-estimator work/keypoint_estimator]
    [--lip-reader work/lip_reader_1 ...] [--classifiers work/guided] [--out DIR]
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from paha.errors import PahaError
from paha.extractors.acoustic_model import AcousticModel
from paha.extractors.audio import AUDIO_ENCODER_FOLDER, LIP_READER_FOLDER
from paha.univdm.pretrained import load_part

ESTIMATOR_FOLDER = "keypoint_estimator"


def ship(
    out: Path,
    *,
    univdm: Path | None = None,
    estimator: Path | None = None,
    lip_readers: Sequence[Path] = (),
    classifiers: Path | None = None,
) -> Path:
    """Write the models of run folders to `out`; what else lies there stays. classifiers: a model folder that has both.

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
        load_part(AcousticModel, reader / "model").half().save_pretrained(folder, eight_bits=True)
    if classifiers is not None:
        _ship_classifiers(classifiers, out)
    return out


def _ship_classifiers(folder: Path, out: Path) -> None:
    from paha.pce.classifier import PCEClassifier
    from paha.pipeline.model_folder import CLASSIFIER_FOLDERS

    for name in CLASSIFIER_FOLDERS.values():
        load_part(PCEClassifier, folder / name).half().save_pretrained(out / name, eight_bits=True)


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
    classifiers: Annotated[Path | None, typer.Option(help="Model folder with both classifiers.")] = None,
    out: Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")] = None,
) -> None:
    """Ship trained models."""
    from paha.pipeline.loading import SHIPPED_MODEL

    shipped = ship(
        out or SHIPPED_MODEL,
        univdm=univdm,
        estimator=keypoint_estimator,
        lip_readers=lip_reader or (),
        classifiers=classifiers,
    )
    typer.echo(f"{shipped}")


if __name__ == "__main__":
    typer.run(main)
