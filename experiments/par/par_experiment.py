"""The PAR experiment on a reduced model: the same training with and without Parts-Aware Re-weighting, and variants.

python -m experiments.par.par_experiment --out work/par_experiment

One corpus, one codec, the same steps; a seed fixes initial weights, batches and noise, so runs of one seed differ in
the loss weight alone. Arms: `no_par`; `par` (the paper: omega_1 = 10, overlap summed); `par_max` (overlap by maximum);
`par_w3`, `par_w30` (omega_1 of 3 and 30). A stopped experiment goes on by the same command; finished runs are kept.

Decided before any run, on clips whose seeds (HELD_OUT_SEEDS) nothing else uses: PAR *wins* if against `no_par` the
denoised pixel error falls in the hands and in the face (both intervals below 0) and the Frechet distance of generated
frames does not rise (interval not above 0). Everything else is reported, not decisive.

Corpus, codec and warmed audio projection are made where they are missing (experiments/par/par_prepare.py); `--parallel`
processes then share one device, a run each at a time, the runs in order of seeds: the arms of a seed are compared.

Writes OUT/results/ARM-SEED/ (small: measures and pictures; weights are in OUT/runs), OUT/report.md, OUT/report.json,
OUT/hands_denoised.png, OUT/hands_generated.png.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import torch
import typer
from accelerate import PartialState
from safetensors.numpy import load_file, save_file

from experiments.par.par_measures import HeldOut, bounds, measure_model
from experiments.par.par_prepare import HELD_OUT_SEEDS, Parts, load_parts, prepare
from experiments.par.par_report import Results, picture_places, pictured_hands, write_report
from paha import config as configuration
from paha.config import override
from paha.dataset.synth.clip import CORPUS_VERSION
from paha.errors import PahaError
from paha.extractors.choose import PRESENTER_READER
from paha.extractors.weights import file_sha256
from paha.media.image_io import contact_sheet, read_image, save_png
from paha.pipeline.model_folder import load_part
from paha.runtime.atomic import write_bytes
from paha.runtime.device import pick_device
from paha.runtime.workers import begin_worker
from paha.training.loop import fit
from paha.training.univdm.job import build_univdm, univdm_job
from paha.univdm.univdm import UniVDM

BASE = "no_par"
ARMS: dict[str, dict[str, object]] = {
    BASE: {"par.enabled": False},
    "par": {},
    "par_max": {"par.overlap": "max"},
    "par_w3": {"par.hand_face_weight": 3.0},
    "par_w30": {"par.hand_face_weight": 30.0},
}
DONE = "measures.json"


class Part(StrEnum):
    """What may be done alone, on a machine of its own."""

    prepare = "prepare"
    runs = "runs"
    report = "report"


@dataclass(frozen=True)
class Plan:
    """How runs are done. device: None for the best there is. deadline: of time.time(), after which no run starts."""

    out: Path
    size: int
    steps: int
    batch_size: int
    device: str | None
    parallel: int
    deadline: float

    def load(self, device: torch.device) -> Parts:
        """What the runs share, on a device."""
        options = {"size": self.size, "steps": self.steps, "batch_size": self.batch_size}
        return load_parts(self.out, **options, device=device)


def main(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the experiment; goes on where it was stopped.")],
    arms: Annotated[
        str, typer.Option(help="Comma-separated; the rest may follow. A report holds these and no_par.")
    ] = ",".join(ARMS),
    seeds: Annotated[int, typer.Option(help="Runs an arm, seeds 0, 1 ...", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Training steps of a run.", min=1)] = 600,
    batch_size: Annotated[int, typer.Option(help="Clips of a step.", min=1)] = 16,
    codec_steps: Annotated[int, typer.Option(help="Training steps of the codec.", min=1)] = 400,
    audio_steps: Annotated[int, typer.Option(help="Steps of the audio pretraining.", min=1)] = 1500,
    clips: Annotated[int, typer.Option(help="Training clips.", min=1)] = 240,
    held_out: Annotated[int, typer.Option(help="Held-out clips.", min=1)] = 48,
    size: Annotated[int, typer.Option(help="Pixels of a side.", min=32)] = 64,
    seconds: Annotated[tuple[float, float], typer.Option(help="Shortest and longest clip.")] = (1.0, 1.6),
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
    parallel: Annotated[int, typer.Option(help="Runs at a time, a process each.", min=1)] = 1,
    deadline: Annotated[float, typer.Option(help="Seconds after which no run is started.", min=0)] = math.inf,
    only: Annotated[Part | None, typer.Option(help="Do this part alone; `report` needs no weights.")] = None,
) -> None:
    """Make what is missing, train and measure every run, write the report."""
    begin, chosen = time.time(), _arms(arms)
    shared = {"codec_steps": codec_steps, "audio_steps": audio_steps, "clips": clips, "held_out": held_out}
    shared |= {"size": size, "seconds": list(seconds), "corpus_version": CORPUS_VERSION}
    shared |= {"held_out_seeds": HELD_OUT_SEEDS}
    _keep(out / "shared.json", shared)
    prepare(out, shared)
    if only is Part.prepare:
        return
    readers = [file_sha256(path) for path in sorted(PRESENTER_READER.glob("diffusion*.safetensors"))]
    protocol = shared | {"steps": steps, "batch_size": batch_size, "reader_sha256": readers}
    _keep(out / "results" / "protocol.json", protocol)
    plan = Plan(out, size, steps, batch_size, device, parallel, begin + deadline)
    if only is not Part.report:
        run_all(plan, [(arm, seed) for seed in range(seeds) for arm in chosen])
    if only is Part.runs:
        return
    parts = plan.load(torch.device("cpu"))
    results = collect(parts, out, arms=[BASE, *(arm for arm in chosen if arm != BASE)], seeds=seeds)
    print(write_report(out, results, protocol | {"config": parts.config.model_dump(mode="json")}))
    for kind in ("denoised", "generated"):
        save_png(out / f"hands_{kind}.png", hand_rows(parts, out, kind))


def run_all(plan: Plan, runs: list[tuple[str, int]]) -> None:
    """Do the runs that are not done, in order, several at a time. Raises PahaError naming those that failed."""
    runs = [(arm, seed) for arm, seed in runs if not (result_folder(plan.out, arm, seed) / DONE).is_file()]
    options = {"mp_context": get_context("spawn"), "initializer": _begin, "initargs": (plan,)}
    with ProcessPoolExecutor(plan.parallel, **options) as pool:
        futures = {pool.submit(_run_here, arm, seed): f"{arm}-{seed}" for arm, seed in runs}
        failed = [name for name, error in _outcomes(futures) if error]
    if failed:
        raise PahaError(f"runs failed: {', '.join(sorted(failed))}; the same command does them again")


def _outcomes(futures: dict[Any, str]) -> Iterator[tuple[str, bool]]:
    """Name of each run as it ends, and whether it failed; tells how it went."""
    for future in as_completed(futures):
        name, error = futures[future], future.exception()
        print(f"run {name}: {f'failed: {error!r}' if error else future.result()}", file=sys.stderr)
        yield name, error is not None


_HERE: dict[str, Any] = {}
"""Of a worker process: its plan and parts."""


def _begin(plan: Plan) -> None:
    """A worker's beginning: its share of the cores, its device, what the runs share."""
    begin_worker()
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // plan.parallel))
    device = pick_device(plan.device)
    PartialState(cpu=device.type == "cpu")  # where the training loop will compute
    _HERE.update(plan=plan, parts=plan.load(device))


def _run_here(arm: str, seed: int) -> str:
    if time.time() > _HERE["plan"].deadline:
        return "not started, the time is up"
    record = run(_HERE["parts"], _HERE["plan"].out, arm, seed)
    return f"trained {record['train_seconds']} s, measured {record['measure_seconds']} s on {record['device']}"


def run(parts: Parts, out: Path, arm: str, seed: int) -> dict[str, Any]:
    """Train and measure one run; returns its record."""
    folder, result = out / "runs" / f"{arm}-{seed}", result_folder(out, arm, seed)
    config, begin = override(parts.config, ARMS[arm] | {"train.seed": seed}), time.monotonic()
    model: Any = build_univdm(config)
    model.load_state_dict(parts.hearing, strict=False)
    job = univdm_job(config, parts.features, model=model, probe_batches=0, grid_clips=1)
    fit(job, config.train, folder, progress=False)
    trained = configuration.load(folder / "model" / "config.yaml")
    trained_s, begin = time.monotonic() - begin, time.monotonic()
    model = load_part(UniVDM, folder / "model")
    model.to(parts.device)
    options = {"config": trained, "codec": parts.codec, "pose": parts.pose, "device": parts.device}
    measures, features, frames = measure_model(model, parts.held, **options)
    result.mkdir(parents=True, exist_ok=True)
    save_file({"generated": features.astype(np.float16)}, result / "features.safetensors")
    for kind, made in frames.items():
        save_picture(result / f"{kind}.png", made, parts.held)
    values = {name: [None if np.isnan(x) else float(x) for x in value] for name, value in measures.items()}
    record = {"arm": arm, "seed": seed, "clips": list(parts.held.clip_ids), "measures": values}
    record |= {"train_seconds": round(trained_s, 1), "measure_seconds": round(time.monotonic() - begin, 1)}
    record |= {"device": device_name(parts.device)}
    write_bytes(result / DONE, json.dumps(record, indent=1).encode())
    return record


def device_name(device: torch.device) -> str:
    """What a person calls it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def result_folder(out: Path, arm: str, seed: int) -> Path:
    """Where the measures of a run lie."""
    return out / "results" / f"{arm}-{seed}"


def collect(parts: Parts, out: Path, *, arms: list[str], seeds: int) -> Results:
    """The finished runs' measures by arm, over the seeds that each started one of `arms` has finished; bounds."""
    finished = {arm: {s for s in range(seeds) if (result_folder(out, arm, s) / DONE).is_file()} for arm in arms}
    finished = {arm: found for arm, found in finished.items() if found}
    common = sorted(set.intersection(*finished.values())) if finished else []
    if BASE not in finished or len(finished) < 2 or not common:
        raise PahaError(f"{out} has no seed that {BASE} and another arm have both finished; run more")
    measures: dict[str, dict[str, list[np.ndarray]]] = {}
    features: dict[str, list[np.ndarray]] = {}
    for arm in finished:
        for seed in common:
            folder = result_folder(out, arm, seed)
            record = json.loads((folder / DONE).read_text(encoding="utf-8"))
            for name, values in record["measures"].items():
                measures.setdefault(arm, {}).setdefault(name, []).append(np.array(values, float))
            features.setdefault(arm, []).append(
                load_file(folder / "features.safetensors")["generated"].astype(np.float32)
            )
    return Results(
        base=BASE,
        seeds=common,
        measures={arm: {name: np.stack(v) for name, v in named.items()} for arm, named in measures.items()},
        features={arm: np.stack(v) for arm, v in features.items()},
        bounds=bounds(parts.held, parts.codec, parts.pose),
        num_clips=len(parts.held.clip_ids),
    )


def save_picture(path: Path, frames: np.ndarray, held: HeldOut) -> None:
    """The frames at the pictured places side by side, no gaps."""
    shown = [frames[place] for place in picture_places(held)]
    save_png(path, contact_sheet(shown, columns=len(shown), gap=0))


def hand_rows(parts: Parts, out: Path, kind: str) -> np.ndarray:
    """The hands of the pictured frames: truth, codec, then the first seed's `par` and `no_par` where finished."""
    size, strips = parts.config.width, {}
    for arm in ("par", BASE):
        path = result_folder(out, arm, 0) / f"{kind}.png"
        if path.is_file():
            strip = read_image(path)
            strips[arm] = [strip[:, i : i + size] for i in range(0, strip.shape[1], size)]
    return pictured_hands(parts.held, parts.codec, strips)


def _arms(text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in ARMS]
    if unknown or not chosen:
        raise PahaError(f"unknown arm '{', '.join(unknown)}'; known: {', '.join(ARMS)}")
    return chosen


def _keep(path: Path, options: dict[str, Any]) -> None:
    """Write down what a folder is made with; refuse to go on with other options."""
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != options:
        raise PahaError(f"{path} says that this was begun with other options: repeat those, or give another folder")
    write_bytes(path, json.dumps(options, indent=1).encode())


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        sys.exit(f"par_experiment: error: {error}")
