"""`paha negatives`: the plan, the workers, what it will cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from paha.config import PahaConfig
from paha.dataset.dataset import FeatureDataset
from paha.dataset.features import find_features
from paha.dataset.splits import SplitName
from paha.errors import PahaError
from paha.pipeline.model_folder import load_univdm, read_config
from paha.runtime.device import pick_device
from paha.runtime.engine import run_tasks
from paha.runtime.fingerprint import model_fingerprint
from paha.runtime.progress import tracked
from paha.runtime.threads import torch_threads
from paha.sampling.long_video import plan_segments
from paha.training.pce.negatives import (
    Pair,
    clips_by_id,
    generate_pairs,
    is_whole,
    make_shard,
    pair_lengths,
    plan_pairs,
    shard_path,
    shards_of,
    write_plan,
)

PAPER_PAIRS = 50_000


@dataclass(frozen=True)
class NegativesOptions:
    """Options of `paha negatives`. lengths: frames, None for those of the paper scaled to the model.

    augment: random reference frames and varying lengths; without, Table 3's row. workers: processes. engine: as in
    `paha.runtime.engine.run_tasks`; on Ray a shard asks for a GPU where `device` is one. part: (k, n): only every n-th
    shard from the k-th, to share the work among machines that see one folder. split: of the dataset.
    """

    count: int
    seed: int = 0
    lengths: tuple[int, ...] | None = None
    steps: int = 30
    random_audio: bool = False
    augment: bool = True
    shard_size: int = 32
    batch_size: int = 4
    workers: int = 1
    engine: str = "local"
    part: tuple[int, int] = (0, 1)
    device: str | None = None
    split: SplitName = "train"


@dataclass(frozen=True)
class NegativesPlan:
    """What a set costs. evaluations: of UniVDM on one segment. disk_bytes: of the shards. seconds: on one process."""

    pairs: int
    frames: int
    segments: int
    evaluations: int
    disk_bytes: int
    seconds_per_evaluation: float | None

    @property
    def seconds(self) -> float | None:
        """Wall time of one process, where an evaluation's is known."""
        return None if self.seconds_per_evaluation is None else self.evaluations * self.seconds_per_evaluation


def make_negatives(model: Path, features: Path, out: Path, options: NegativesOptions) -> int:
    """Generate the missing shards of OUT; returns how many were made. Goes on after a failed shard.

    Raises PahaError for options that do not fit what OUT holds and, at the end, with what failed and why.
    """
    model, features, out = model.resolve(), features.resolve(), out.resolve()  # for workers that start elsewhere
    config = read_config(model)
    folder = find_features(features)
    _LOADED.clear()  # a model that was loaded earlier may have been trained on since
    device = options.device if _is_here(options) else "cpu"  # where it is then needed again
    parts = _load(model, folder, device, options.split)
    lengths = _lengths(options, config.num_frames)
    pairs = plan_pairs(
        list(parts["clips"].values()),
        options.count,
        lengths=lengths,
        seed=options.seed,
        random_audio=options.random_audio,
        random_reference=options.augment,
    )
    settings = {
        "count": options.count,
        "seed": options.seed,
        "lengths": list(lengths),
        "steps": options.steps,
        "random_audio": options.random_audio,
        "augment": options.augment,
        "shard_size": options.shard_size,
        "features": folder.name,
        "model": model_fingerprint(parts["univdm"]),
        **parts["own_split"],
    }
    if config.codec.kind == "motion":
        own = config.sample
        settings["sampling"] = [own.lip_noise, own.shift_noise, own.motion_smoothing]
    write_plan(out, pairs, settings)
    k, n = options.part
    shards = shards_of(pairs, options.shard_size)
    missing = [i for i, shard in enumerate(shards) if i % n == k and not is_whole(shard_path(out, i), shard)]
    jobs = [(model, folder, out, index, shards[index], options) for index in missing]
    failed = _run(jobs, options)
    if failed:
        raise PahaError(f"{len(failed)} of {len(jobs)} shards failed, the others are done: {'; '.join(failed)}")
    return len(jobs)


def plan_negatives(
    config: PahaConfig,
    count: int,
    *,
    lengths: Sequence[int] | None = None,
    steps: int = 30,
    seconds: float | None = None,
) -> NegativesPlan:
    """Expected cost of `count` pairs with lengths drawn uniformly. seconds: of one evaluation on one segment."""
    lengths = lengths or pair_lengths(config.num_frames)
    segments = count * sum(len(plan_segments(length, config.num_frames)) for length in lengths) / len(lengths)
    frames = count * sum(lengths) / len(lengths)
    down = config.codec.downsample
    values = config.model.latent_channels * (config.height // down) * (config.width // down)
    evaluations = round(segments * steps)
    return NegativesPlan(count, round(frames), round(segments), evaluations, round(frames * values * 2), seconds)


def format_negatives_plan(plan: NegativesPlan, *, processes: int = 1) -> str:
    """A few lines for a person."""
    lines = [
        f"{plan.pairs} pairs, {plan.frames} frames, {plan.segments} segments, {plan.evaluations} UniVDM evaluations",
        f"disk: {plan.disk_bytes / 1e9:.1f} GB of fp16 latents",
    ]
    if plan.seconds is not None:
        hours = plan.seconds / processes / 3600
        lines.append(
            f"time: {hours:.1f} h on {processes} processes at {plan.seconds_per_evaluation:.3g} s an evaluation"
        )
    else:
        lines.append("time: give --seconds-per-evaluation (measure one, or see `paha train univdm --plan`)")
    return "\n".join(lines)


def _lengths(options: NegativesOptions, num_frames: int) -> tuple[int, ...]:
    if not options.augment:
        return options.lengths[:1] if options.lengths else (num_frames,)
    return options.lengths or pair_lengths(num_frames)


def _is_here(options: NegativesOptions) -> bool:
    """Whether this process makes the shards itself."""
    return options.workers == 1 and options.engine == "local"


def _run(jobs: list[tuple[Any, ...]], options: NegativesOptions) -> list[str]:
    """Do the jobs here, in processes or on Ray; the reasons of those that failed."""
    gpus = int(pick_device(options.device).type == "cuda")
    outcomes = run_tasks(_make, jobs, workers=options.workers, engine=options.engine, gpus=gpus)
    shown = tracked(outcomes, "negatives", total=len(jobs))
    return [f"shard {jobs[index][3]}: {error}" for index, _, error in shown if error]


_LOADED: dict[str, Any] = {}
"""What a worker has loaded, by the model's and the features' folder."""


def _make(model: Path, features: Path, out: Path, index: int, shard: list[Pair], options: NegativesOptions) -> None:
    """One shard, on one core where others are made beside it."""
    with torch_threads(torch.get_num_threads() if _is_here(options) else 1):
        parts = dict(_load(model, features, options.device, options.split))
        parts.pop("own_split")
        make_shard(out, index, shard, batch_size=options.batch_size, steps=options.steps, **parts)


def _load(model: Path, features: Path, device: str | None, split: SplitName = "train") -> dict[str, Any]:
    key = f"{model}|{features}|{device}|{split}"
    if key not in _LOADED:
        config, place = read_config(model), pick_device(device)
        univdm: Any = load_univdm(model, config)
        dataset = FeatureDataset(features, config=config, split=split)
        _LOADED.clear()
        _LOADED[key] = {
            "univdm": univdm.to(place),
            "clips": clips_by_id(dataset),
            "config": config,
            "channel_scale": dataset.channel_scale,
            "image_encoder": dataset.image_encoder,
            "device": place,
            "own_split": {k: v for k, v in dataset.fingerprint.items() if k.startswith("split")},
        }
    return _LOADED[key]


def measure_evaluation(model: Path, features: Path, *, repeats: int = 3, device: str | None = None) -> float:
    """Seconds of one UniVDM evaluation on one segment, here and now (the fastest of a few)."""
    parts = _load(model, features, device)
    clips = [clip for clip in parts["clips"].values() if clip.num_frames >= parts["config"].num_frames]
    pairs: list[Pair] = plan_pairs(clips, 1, lengths=(parts["config"].num_frames,))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        make = dict(parts)
        make.pop("own_split")
        generate_pairs(make.pop("univdm"), pairs, make.pop("clips"), steps=2, **make)
        times.append((time.perf_counter() - begin) / 2)
    return min(times)
