"""Trained runs to the model folder that is shipped: float16 weights, the calibrated photograph warning, the runs' logs.

python -m paha.training.motion.ship --univdm work/univdm_1 --univdm work/univdm_2 --pose-reader work/pose_reader
    --data work/corpus [--classifier work/classifier_face --classifier work/classifier_non_face]
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from paha.pipeline.loading import SHIPPED_MODEL
from paha.dataset.manifest import read_manifest
from paha.extractors.pose import PresenterPose
from paha.media.video_io import read_video
from paha.pce.classifier import PCEClassifier
from paha.pipeline.model_folder import CLASSIFIER_FOLDERS, load_part
from paha.pipeline.pipeline import PahaPipeline
from paha.media.pixels import image_to_pixels, psnr_db
from paha.training.checkpoint import atomic_folder
from paha.training.motion.fit_out_of_distribution import fit_likeness

WARN_MARGIN_DB = 1.0
"""The warning's threshold lies so far below the worst of the corpus's first frames."""
CALIBRATION_CLIPS = 100


@torch.no_grad()
def reference_psnr_db(pipeline: PahaPipeline, data: Path) -> float:
    """The lowest round-trip PSNR of the codec over first frames of a corpus, less a margin; for model folders without a
    `paha.pipeline.out_of_distribution`."""
    records = read_manifest(data)[:CALIBRATION_CLIPS]
    config = pipeline.preset
    worst = []
    for record in records:
        frame = read_video(data / record.video)[0]
        pixels = image_to_pixels(frame, width=config.width, height=config.height)
        worst.append(psnr_db(pipeline.codec.decode(pipeline.codec.encode(pixels)), pixels))
    return round(float(np.min(worst)) - WARN_MARGIN_DB, 1)


def ship(
    *,
    univdm: Sequence[Path],
    pose_reader: Path,
    data: Path,
    out: Path = SHIPPED_MODEL,
    classifiers: Sequence[Path] = (),
) -> None:
    """Write the model folder `out` from the runs' EMA weights; replaces what is there only once it is whole.

    univdm: runs of `paha train univdm`, each from the weights of the one before: the last one's are shipped, with the
    logs of all. classifiers: runs of `paha train classifier`, at most one a region.
    """
    pipeline = PahaPipeline.from_pretrained(univdm[-1] / "model")
    pipeline.register_to_config(reference_psnr_db=reference_psnr_db(pipeline, data))
    reader = PresenterPose.load(pose_reader / "model").reader
    likeness = fit_likeness(reader, data)
    trained = {run: load_part(PCEClassifier, run / "model") for run in classifiers}
    for classifier in trained.values():
        pipeline.add_classifier(classifier.half())
    with atomic_folder(out) as folder:
        pipeline.to(dtype=torch.float16).save_pretrained(folder)
        reader.half().save_pretrained(folder / "pose_reader", safe_serialization=True)
        likeness.save(folder / "pose_reader")
        (folder / "univdm" / "stats.jsonl").write_text(joined_stats(univdm), encoding="utf-8")
        runs = {CLASSIFIER_FOLDERS[classifier.region]: run for run, classifier in trained.items()}
        for name, run in {"pose_reader": pose_reader, **runs}.items():
            shutil.copyfile(run / "stats.jsonl", folder / name / "stats.jsonl")


def joined_stats(runs: Sequence[Path]) -> str:
    """The lines of all runs' stats.jsonl, each with the name of its run."""
    lines = [(run.name, line) for run in runs for line in (run / "stats.jsonl").read_text("utf-8").splitlines()]
    return "".join(json.dumps({"run": name} | json.loads(line)) + "\n" for name, line in lines)


def main(
    univdm: Annotated[list[Path], typer.Option(help="Run of `paha train univdm`; repeat: the last one is shipped.")],
    pose_reader: Annotated[Path, typer.Option(help="Run folder of `paha train pose-reader`.")],
    data: Annotated[Path, typer.Option(help="The corpus, for calibration.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.")] = SHIPPED_MODEL,
    classifier: Annotated[list[Path], typer.Option(help="Run folder of `paha train classifier`; one a region.")] = [],  # noqa: B006
) -> None:
    """Collect trained runs into the shipped model folder."""
    ship(univdm=univdm, pose_reader=pose_reader, data=data, out=out, classifiers=classifier)
    typer.echo(f"shipped {out}")


if __name__ == "__main__":
    typer.run(main)
