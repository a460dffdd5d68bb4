"""Two trained models, one without Parts-Aware Re-weighting, compared as the PAR experiment compares its runs.

paha train univdm --data work/corpus --codec work/codec/model --out work/pair/no_par --no-par
paha train univdm --data work/corpus --codec work/codec/model --out work/pair/par
P=work/pair; python -m experiments.par.par_pair --base $P/no_par/model --arm $P/par/model --data work/heldout --out $P

At shipped size, where there is time for one seed: the interval is over clips alone. Both trainings share seed, steps
and every other option; the presenter's crops about faces weigh faces in both.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import torch
import typer

from experiments.par.par_measures import bounds, load_held_out, measure_model
from experiments.par.par_prepare import WINDOWS_PER_CLIP
from experiments.par.par_report import Results, picture_places, pictured_hands, write_report
from paha.dataset.features import make_features
from paha.errors import PahaError
from paha.extractors.audio import load_audio_encoder
from paha.extractors.choose import PRESENTER_READER
from paha.extractors.pose import PresenterPose
from paha.media.image_io import save_png
from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.device import pick_device

BASE, ARM = "no_par", "par"


def main(
    base: Annotated[Path, typer.Option(help="Model folder, trained with --no-par.")],
    arm: Annotated[Path, typer.Option(help="Model folder, trained with PAR.")],
    data: Annotated[Path, typer.Option(help="Held-out clips (`paha synth --seed 900000`).")],
    out: Annotated[Path, typer.Option(help="Folder for report.md, report.json and pictures.")],
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
) -> None:
    """Measure both models on the held-out clips and write the report."""
    place = pick_device(device)
    pose = PresenterPose.load(PRESENTER_READER)
    torch.nn.Module.to(pose.reader, place)
    pipelines: dict[str, Any] = {
        name: PahaPipeline.from_pretrained(folder).to(place) for name, folder in ((BASE, base), (ARM, arm))
    }
    config, codec = pipelines[BASE].preset, pipelines[BASE].codec
    encoders = {"codec": codec, "audio_encoder": load_audio_encoder(config.audio)}
    held = load_held_out(
        data, make_features(data, config=config, device=place, **encoders), config, per_clip=WINDOWS_PER_CLIP
    )
    made = {
        name: measure_model(pipeline.univdm, held, config=pipeline.preset, codec=codec, pose=pose, device=place)
        for name, pipeline in pipelines.items()
    }
    results = Results(
        base=BASE,
        seeds=[config.train.seed],
        measures={name: {key: value[None] for key, value in values.items()} for name, (values, _, _) in made.items()},
        features={name: features[None] for name, (_, features, _) in made.items()},
        bounds=bounds(held, codec, pose),
        num_clips=len(held.clip_ids),
    )
    print(write_report(out, results, {"base": str(base), "arm": str(arm), "config": config.model_dump(mode="json")}))
    for kind in ("denoised", "generated"):
        rows = {name: [made[name][2][kind][place] for place in picture_places(held)] for name in (ARM, BASE)}
        save_png(out / f"hands_{kind}.png", pictured_hands(held, codec, rows))


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        sys.exit(f"par_pair: error: {error}")
