"""The PAR experiment on a reduced model: the same training with and without Parts-Aware Re-weighting, and variants.

python -m benchmarks.par_experiment --out work/par_experiment

One corpus, one codec, the same steps; a seed fixes initial weights, batches and noise, so runs of one seed differ in
the loss weight alone. Arms: `no_par`; `par` (the paper: omega_1 = 10, overlap summed); `par_max` (overlap by maximum);
`par_w3`, `par_w30` (omega_1 of 3 and 30). A stopped experiment goes on by the same command; finished runs are kept.

Decided before any run, on clips whose seeds (HELD_OUT_SEEDS) nothing else uses: PAR *wins* if against `no_par` the
denoised pixel error falls in the hands and in the face (both intervals below 0) and the Frechet distance of generated
frames does not rise (interval not above 0). Everything else is reported, not decisive.

Writes OUT/report.md, OUT/report.json, OUT/hands_denoised.png, OUT/hands_generated.png.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import typer
from safetensors.numpy import load_file, save_file

from benchmarks.par_measures import HeldOut, bounds, decode, load_held_out, measure_model
from benchmarks.par_report import Results, hands_picture, write_report
from paha import config as configuration
from paha.config import PahaConfig, override
from paha.data.atomic import write_bytes
from paha.data.dataset import FeatureDataset
from paha.data.features import make_features
from paha.data.image_io import contact_sheet, read_image, save_png
from paha.errors import PahaError
from paha.extractors.audio import load_audio_encoder
from paha.extractors.choose import PRESENTER_READER
from paha.extractors.codec import load_codec
from paha.extractors.pose import PresenterPose
from paha.extractors.weights import file_sha256
from paha.model_folder import load_part
from paha.models.univdm import UniVDM
from paha.presets import preset
from paha.synth.clip import CORPUS_VERSION
from paha.synth.corpus import make_corpus
from paha.training.codec import CODEC_TRAIN, codec_job
from paha.training.loop import fit
from paha.training.univdm import resolve, univdm_job

BASE = "no_par"
ARMS: dict[str, dict[str, object]] = {
    BASE: {"par.enabled": False},
    "par": {},
    "par_max": {"par.overlap": "max"},
    "par_w3": {"par.hand_face_weight": 3.0},
    "par_w30": {"par.hand_face_weight": 30.0},
}
HELD_OUT_SEEDS = 950_000
WINDOWS_PER_CLIP = 3
PICTURE_CLIPS = 6
DONE = "measures.json"


@dataclass(frozen=True)
class Parts:
    """What all runs share."""

    out: Path
    config: PahaConfig
    codec: Any
    pose: PresenterPose
    features: Path
    held: HeldOut


def main(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the experiment; goes on where it was stopped.")],
    arms: Annotated[str, typer.Option(help="Comma-separated; the rest may be added later.")] = ",".join(ARMS),
    seeds: Annotated[int, typer.Option(help="Runs an arm, seeds 0, 1 ...", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Training steps of a run.", min=1)] = 800,
    codec_steps: Annotated[int, typer.Option(help="Training steps of the codec.", min=1)] = 400,
    clips: Annotated[int, typer.Option(help="Training clips.", min=1)] = 240,
    held_out: Annotated[int, typer.Option(help="Held-out clips.", min=1)] = 24,
    size: Annotated[int, typer.Option(help="Pixels of a side.", min=32)] = 64,
    seconds: Annotated[tuple[float, float], typer.Option(help="Shortest and longest clip.")] = (2.0, 3.0),
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Only write the report of what is finished.")
    ] = False,
) -> None:
    """Make what is missing, train and measure every run, write the report."""
    chosen = _arms(arms)
    protocol = {"steps": steps, "codec_steps": codec_steps, "clips": clips, "held_out": held_out, "size": size}
    protocol |= {"seconds": list(seconds), "corpus_version": CORPUS_VERSION, "held_out_seeds": HELD_OUT_SEEDS}
    protocol |= {"reader_sha256": [file_sha256(path) for path in sorted(PRESENTER_READER.glob("*.safetensors"))]}
    _keep_protocol(out, protocol)
    parts = prepare(out, reduced(size=size, steps=steps), protocol)
    for seed in range(seeds):
        for arm in chosen:
            if not report_only:
                run(parts, arm, seed)
    results = collect(parts, seeds=seeds)
    print(write_report(out, results, protocol | {"config": parts.config.model_dump(mode="json")}))
    for kind in ("denoised", "generated"):
        save_png(out / f"hands_{kind}.png", hand_rows(parts, kind))


def reduced(*, size: int, steps: int) -> PahaConfig:
    """The presenter preset made small: 4 px cells, 8 frames, a U-Net of two levels."""
    return override(
        preset("presenter"),
        {
            "name": f"presenter-{size}",
            "height": size,
            "width": size,
            "num_frames": 8,
            "model.block_out_channels": (32, 64),
            "model.attention_levels": (False, True),  # half the time of a step
            "model.num_attention_heads": (2, 4),
            "model.audio_token_dim": 64,
            "model.audio_hidden_dim": 128,
            "codec.downsample": 4,
            "codec.widths": (16, 32),
            "train.batch_size": 4,
            "train.steps": steps,
            "train.learning_rate": 2e-3,
            "train.warmup_steps": min(50, steps),
            "train.cosine_decay": True,
            "train.ema_decay": 0.99,
            "train.checkpoint_every": 200,
            "train.sample_every": 0,
        },
    )


def prepare(out: Path, config: PahaConfig, protocol: dict[str, Any]) -> Parts:
    """Corpora, codec and features, made where they are missing."""
    size, seconds = protocol["size"], tuple(protocol["seconds"])
    for name, clips, seed in (("train", protocol["clips"], 0), ("held_out", protocol["held_out"], HELD_OUT_SEEDS)):
        make_corpus(out / name, clips=clips, seed=seed, size=size, seconds=seconds, workers=2)
    codec_folder = out / "codec"
    if not (codec_folder / "model" / "config.json").is_file() or not (codec_folder / "done").is_file():
        train = CODEC_TRAIN.model_copy(update={"steps": protocol["codec_steps"], "sample_every": 0})
        fit(codec_job(config.model_copy(update={"train": train}), out / "train"), train, codec_folder)
        write_bytes(codec_folder / "done", b"")
    codec = load_codec(config.codec, codec_folder / "model")
    encoders = {"codec": codec, "audio_encoder": load_audio_encoder(config.audio)}
    features, held = (make_features(out / name, config=config, **encoders) for name in ("train", "held_out"))
    config = resolve(config, FeatureDataset(features, config=config))
    truth = load_held_out(out / "held_out", held, config, per_clip=WINDOWS_PER_CLIP)
    return Parts(out, config, codec, PresenterPose.load(PRESENTER_READER), features, truth)


def run(parts: Parts, arm: str, seed: int) -> None:
    """Train and measure one run, unless that was done."""
    folder = run_folder(parts.out, arm, seed)
    if (folder / DONE).is_file():
        return
    print(f"run {folder.name}", file=sys.stderr)
    config, begin = override(parts.config, ARMS[arm] | {"train.seed": seed}), time.monotonic()
    fit(univdm_job(config, parts.features, probe_batches=0, grid_clips=1), config.train, folder)
    trained = configuration.load(folder / "model" / "config.yaml")
    trained_s, begin = time.monotonic() - begin, time.monotonic()
    model: Any = load_part(UniVDM, folder / "model")
    measures, features, frames = measure_model(model, parts.held, config=trained, codec=parts.codec, pose=parts.pose)
    save_file({"generated": features}, folder / "features.safetensors")
    for kind, made in frames.items():
        save_picture(folder / f"{kind}.png", made, parts.held)
    values = {name: [None if np.isnan(x) else float(x) for x in value] for name, value in measures.items()}
    record = {"arm": arm, "seed": seed, "clips": list(parts.held.clip_ids), "measures": values}
    record |= {"train_seconds": round(trained_s, 1), "measure_seconds": round(time.monotonic() - begin, 1)}
    write_bytes(folder / DONE, json.dumps(record, indent=1).encode())


def run_folder(out: Path, arm: str, seed: int) -> Path:
    """Where a run lies."""
    return out / "runs" / f"{arm}-{seed}"


def collect(parts: Parts, *, seeds: int) -> Results:
    """The finished runs' measures by arm, over the seeds that every started arm has finished, and the bounds."""
    finished = {arm: {s for s in range(seeds) if (run_folder(parts.out, arm, s) / DONE).is_file()} for arm in ARMS}
    finished = {arm: found for arm, found in finished.items() if found}
    common = sorted(set.intersection(*finished.values())) if finished else []
    if BASE not in finished or len(finished) < 2 or not common:
        raise PahaError(f"{parts.out} has no seed that {BASE} and another arm have both finished; run more")
    measures: dict[str, dict[str, list[np.ndarray]]] = {}
    features: dict[str, list[np.ndarray]] = {}
    for arm in finished:
        for seed in common:
            folder = run_folder(parts.out, arm, seed)
            record = json.loads((folder / DONE).read_text(encoding="utf-8"))
            for name, values in record["measures"].items():
                measures.setdefault(arm, {}).setdefault(name, []).append(np.array(values, float))
            features.setdefault(arm, []).append(load_file(folder / "features.safetensors")["generated"])
    return Results(
        base=BASE,
        seeds=common,
        measures={arm: {name: np.stack(v) for name, v in named.items()} for arm, named in measures.items()},
        features={arm: np.stack(v) for arm, v in features.items()},
        bounds=bounds(parts.held, parts.codec, parts.pose),
        num_clips=len(parts.held.clip_ids),
    )


def picture_places(held: HeldOut) -> list[tuple[int, int]]:
    """(window, frame) at which the hands are best seen, one for each of some clips, of the last frames of windows."""
    seen = held.scores[..., 91:133].mean(-1)
    seen[:, : seen.shape[1] // 2] = 0  # the reference is near a window's beginning
    by_clip = held.by_clip(seen).reshape(len(held.clip_ids), -1)
    best = np.argsort(-by_clip.max(1))[:PICTURE_CLIPS]
    frames = held.frames.shape[1]
    places = [int(clip) * held.per_clip * frames + int(by_clip[clip].argmax()) for clip in best]
    return [(place // frames, place % frames) for place in places]


def save_picture(path: Path, frames: np.ndarray, held: HeldOut) -> None:
    """The frames at the pictured places side by side, no gaps."""
    shown = [frames[place] for place in picture_places(held)]
    save_png(path, contact_sheet(shown, columns=len(shown), gap=0))


def hand_rows(parts: Parts, kind: str) -> np.ndarray:
    """The hands of the pictured frames: truth, codec, then the first seed's `par` and `no_par` where finished."""
    held, places = parts.held, picture_places(parts.held)
    size = parts.config.width
    coded = [decode(parts.codec, held.batch.latents[[window]])[0, frame] for window, frame in places]
    rows = {"truth": [held.frames[place] for place in places], "codec": coded}
    for arm in ("par", BASE):
        path = run_folder(parts.out, arm, 0) / f"{kind}.png"
        if path.is_file():
            strip = read_image(path)
            rows[arm] = [strip[:, i * size : (i + 1) * size] for i in range(len(places))]
    boxes = [held.masks["hands"][place].numpy() for place in places]
    return hands_picture(rows, boxes)


def _arms(text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in ARMS]
    if unknown or not chosen:
        raise PahaError(f"unknown arm '{', '.join(unknown)}'; known: {', '.join(ARMS)}")
    return chosen


def _keep_protocol(out: Path, protocol: dict[str, Any]) -> None:
    """Refuse to mix runs of different settings in one folder."""
    path = out / "protocol.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != protocol:
        raise PahaError(f"{out} was begun with other options (see {path}): repeat those, or give another folder")
    write_bytes(path, json.dumps(protocol, indent=1).encode())


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        sys.exit(f"par_experiment: error: {error}")
