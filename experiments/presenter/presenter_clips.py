"""Videos made for a measurement: several at a time, over several processes, each kept as soon as it is done.

Clips of a batch are sampled together, segment by segment; each one's noise is its own, as `PahaPipeline` draws it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import astuple, dataclass
from multiprocessing import get_context
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
import typer
from torch import Tensor

from paha.pipeline.inputs import EncodedInputs
from paha.pipeline.loading import SHIPPED_MODEL, load_pipeline
from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.atomic import atomic_path
from paha.runtime.workers import begin_worker
from paha.sampling.long_video import Segment, segment_noise
from paha.sampling.sampler import sample
from paha.univdm.conditioning import Conditioning

_pipelines: list[PahaPipeline] = []
"""A worker process's own pipeline."""


@dataclass(frozen=True)
class Task:
    """A video to make. image: (H, W, 3) uint8. sound: (N,) or (N, channels) samples at rate_hz. seed: of its noise."""

    name: str
    image: np.ndarray
    sound: np.ndarray
    rate_hz: int
    num_frames: int
    seed: int


@dataclass(frozen=True)
class Sampling:
    """How videos are made; None: the model folder's own setting, which is the demo's. device: None is the best."""

    model: Path = SHIPPED_MODEL
    device: str | None = None
    steps: int | None = None
    cfg_scale: float | None = None
    first_frame_timestep: int | None = None

    def load(self) -> PahaPipeline:
        """The pipeline, on its device, with the settings filled in."""
        pipeline = load_pipeline(self.model, device=self.device)
        config, chosen = pipeline.preset, {"steps": self.steps, "cfg_scale": self.cfg_scale}
        sampling = config.sample.model_copy(update={k: v for k, v in chosen.items() if v is not None})
        diffusion = config.diffusion
        if self.first_frame_timestep is not None:
            diffusion = diffusion.model_copy(update={"first_frame_timestep": self.first_frame_timestep})
        pipeline.preset = config.model_copy(update={"sample": sampling, "diffusion": diffusion})
        return pipeline

    def protocol(self) -> dict[str, object]:
        """The settings in force and the hash of the weights: what decides the videos, beside the device's rounding."""
        preset = self.load().preset
        settings: dict[str, object] = {"steps": preset.sample.steps, "cfg_scale": preset.sample.cfg_scale}
        settings |= {"width": preset.width, "height": preset.height}
        settings["first_frame_timestep"] = preset.diffusion.first_frame_timestep
        return settings | {"weights_sha256": weights_hash(self.model / "univdm", self.model / "codec")}


def weights_hash(*folders: Path) -> str:
    """SHA-256 of the folders' weights and configurations, which names what made or measured something."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted([*folder.glob("*.safetensors"), *folder.glob("config.json")]):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def make_videos(
    tasks: Sequence[Task], sampling: Sampling, folder: Path, *, batch_size: int = 1, workers: int = 1
) -> None:
    """Write FOLDER/NAME.npz for every task that has none of these settings yet: `load_video` reads it.

    workers: processes of one thread each; 1 stays in this process, with torch's own threads.
    """
    protocol = sampling.protocol()
    missing = [task for task in tasks if _stored_key(folder / f"{task.name}.npz") != _key(task, protocol)]
    missing.sort(key=lambda task: -task.num_frames)  # clips of one length batch best, and the long ones come first
    batches = [missing[i : i + batch_size] for i in range(0, len(missing), batch_size)]
    done, began_s = len(tasks) - len(missing), time.monotonic()
    for finished in _run(batches, sampling, protocol, folder, min(workers, len(batches))):
        done += finished
        typer.echo(f"{done} of {len(tasks)} videos, {time.monotonic() - began_s:.0f} s", err=True)


def _run(
    batches: list[list[Task]], sampling: Sampling, protocol: dict[str, object], folder: Path, workers: int
) -> Iterator[int]:
    if workers <= 1:
        pipeline = sampling.load() if batches else None
        for batch in batches:
            assert pipeline is not None
            yield make_batch(pipeline, batch, protocol, folder)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(sampling,)) as pool:
        futures = [pool.submit(_in_worker, batch, protocol, folder) for batch in batches]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin(sampling: Sampling) -> None:
    begin_worker()
    torch.set_num_threads(1)
    _pipelines.append(sampling.load())


def _in_worker(batch: list[Task], protocol: dict[str, object], folder: Path) -> int:
    return make_batch(_pipelines[0], batch, protocol, folder)


def make_batch(pipeline: PahaPipeline, batch: list[Task], protocol: dict[str, object], folder: Path) -> int:
    """Make and store the videos of one batch; returns how many."""
    began_s, videos = time.monotonic(), generate_batch(pipeline, batch)
    seconds = (time.monotonic() - began_s) / len(batch)
    folder.mkdir(parents=True, exist_ok=True)
    for task, frames in zip(batch, videos, strict=True):
        with atomic_path(folder / f"{task.name}.npz") as temporary, open(temporary, "wb") as file:
            np.savez(file, frames=frames, key=_key(task, protocol), seconds=seconds)
    return len(batch)


@torch.no_grad()
def generate_batch(pipeline: PahaPipeline, batch: Sequence[Task]) -> list[np.ndarray]:
    """Frames (T, H, W, 3) uint8 of every task, what the pipeline makes of each alone but for rounding."""
    scenes = [pipeline.encode_inputs(t.image, (t.sound, t.rate_hz), num_frames=t.num_frames) for t in batch]
    last: dict[int, Tensor] = {}
    frames: list[list[np.ndarray]] = [[] for _ in batch]
    for index in range(max(len(scene.segments) for scene in scenes)):
        active = [i for i, scene in enumerate(scenes) if index < len(scene.segments)]
        firsts = [last[i] for i in active] if index else None
        latents = _sample(pipeline, [scenes[i] for i in active], index, [batch[i].seed for i in active], firsts)
        for i, z_0 in zip(active, latents, strict=True):
            last[i] = z_0[-1]
            frames[i].append(pipeline.decode(scenes[i], scenes[i].segments[index], z_0))
    return [np.concatenate(parts) for parts in frames]


def _sample(
    pipeline: PahaPipeline, scenes: list[EncodedInputs], index: int, seeds: list[int], firsts: list[Tensor] | None
) -> Tensor:
    """Segment `index` of all scenes, (B, T, C, h, w) float32 on the CPU. firsts: its given first frames (C, h, w)."""
    segments: list[Segment] = [scene.segments[index] for scene in scenes]
    shape = (1, segments[0].length, *scenes[0].ref_latent.shape[1:])
    noise = torch.cat([segment_noise(shape, seed=seed, index=index) for seed in seeds])
    margin, preset = pipeline.preset.model.audio_margin, pipeline.preset
    told = [scene.conditioning(segment, audio_margin=margin) for scene, segment in zip(scenes, segments, strict=True)]
    conditioning = Conditioning.cat(told)
    z_0 = sample(
        pipeline.predictor(conditioning, preset.sample.cfg_scale),
        noise.to(pipeline.device),
        steps=preset.sample.steps,
        schedule=pipeline.schedule,
        prediction_type=preset.diffusion.prediction_type,
        first_frame=None if firsts is None else torch.stack(firsts).to(pipeline.device),
        first_frame_timestep=preset.diffusion.first_frame_timestep,
    )
    return z_0.float().cpu()


def load_video(folder: Path, name: str) -> tuple[np.ndarray, float]:
    """A made video (T, H, W, 3) uint8, and the seconds that it took."""
    with np.load(folder / f"{name}.npz") as stored:
        return stored["frames"], float(stored["seconds"])


def _key(task: Task, protocol: dict[str, object]) -> str:
    digest = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode())
    for value in astuple(task):
        digest.update(np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()


def _stored_key(path: Path) -> str | None:
    try:
        with np.load(path) as stored:
            return str(stored["key"])
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
