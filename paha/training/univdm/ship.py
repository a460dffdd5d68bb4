"""Puts a trained UniVDM, and a keypoint estimator, where the shipped model lies, in half precision.

python -m paha.training.univdm.ship --univdm work/univdm [--keypoint-estimator work/keypoint_estimator] [--out DIR]
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from paha.errors import PahaError

ESTIMATOR_FOLDER = "keypoint_estimator"


def ship(univdm: Path, out: Path, *, estimator: Path | None = None) -> Path:
    """Write the model of a run folder, and that of an estimator's, to `out`; what else lies there stays.

    Raises PahaError where a run has no model yet.
    """
    from paha.pipeline.pipeline import PahaPipeline

    model = univdm / "model"
    if not model.is_dir():
        raise PahaError(f"{univdm} has no model yet; train it with `paha train univdm --out {univdm}`")
    if estimator is not None and not (estimator / "model").is_dir():
        raise PahaError(f"{estimator} has no model yet; train it with `paha train keypoint-estimator`")
    pipeline: Any = PahaPipeline.from_pretrained(model)
    pipeline.univdm.half()
    pipeline.save_pretrained(out)
    shutil.copy(univdm / "stats.jsonl", out / "univdm" / "stats.jsonl")
    if estimator is not None:
        shutil.copytree(estimator / "model", out / ESTIMATOR_FOLDER, dirs_exist_ok=True)
    return out


def main(
    univdm: Annotated[Path, typer.Option(help="Run folder of `paha train univdm`.")],
    keypoint_estimator: Annotated[Path | None, typer.Option(help="Run folder of the keypoint estimator.")] = None,
    out: Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")] = None,
) -> None:
    """Ship a trained model."""
    from paha.pipeline.loading import SHIPPED_MODEL

    typer.echo(f"{ship(univdm, out or SHIPPED_MODEL, estimator=keypoint_estimator)}")


if __name__ == "__main__":
    typer.run(main)
