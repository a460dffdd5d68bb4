"""Videos of one setting: clips of a dataset made again from their first frame and their sound, kept on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from paha.errors import PahaError
from paha.evaluation.metrics.cost import record_cost
from paha.guidance.choice import GuidanceChoice, guide
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.media.audio_io import read_audio
from paha.media.video_io import read_video
from paha.media.video_writer import VideoWriter
from paha.pipeline.options import SampleOptions
from paha.runtime.atomic import atomic_path, write_bytes
from paha.runtime.fingerprint import model_fingerprint
from paha.runtime.tensors import save_tensors
from paha.types import ClipRecord

if TYPE_CHECKING:
    from paha.guidance.equations import Observe
    from paha.pipeline.generated import SegmentOutput
    from paha.pipeline.pipeline import PahaPipeline

SETTINGS = "settings.json"
Say = Callable[[str], None]


def make_videos(
    pipeline: PahaPipeline,
    data: Path,
    records: Sequence[ClipRecord],
    folder: Path,
    options: GuidanceOptions,
    sample: SampleOptions = SampleOptions(),
    *,
    keep_latents: bool = False,
    observe: Observe | None = None,
    say: Say = print,
) -> dict[str, str]:
    """FOLDER/<clip_id>.mp4 for every record, from its first frame; returns clip -> reason for those that failed.

    Clip number i of the records has the noise seed sample.seed + i, whatever the guidance: the same noise in every
    setting. Videos that are there are kept, so that a stopped run goes on; the folder may hold those of a run of more
    clips, too. keep_latents: also FOLDER/<clip_id>.safetensors, the diffused latents. Times go to cost.json. Raises
    PahaError where the folder holds videos of other settings, or of clips from another first one on.
    """
    _check_settings(folder, pipeline, records, options, sample.of_preset(pipeline.preset.sample))
    failed: dict[str, str] = {}
    for number, record in enumerate(records):
        path = folder / f"{record.clip_id}.mp4"
        if path.is_file() and (not keep_latents or path.with_suffix(".safetensors").is_file()):
            continue
        try:
            own = replace(sample, seed=sample.seed + number)
            _make(pipeline, data, record, path, options, own, keep_latents, observe)
        except PahaError as error:
            failed[record.clip_id] = str(error)
            say(f"{record.clip_id} failed: {error}")
        else:
            say(f"{folder.name}: {number + 1} of {len(records)}")
    return failed


def _make(
    pipeline: PahaPipeline,
    data: Path,
    record: ClipRecord,
    path: Path,
    options: GuidanceOptions,
    sample: SampleOptions,
    keep_latents: bool,
    observe: Observe | None,
) -> None:
    image, sound = read_video(data / record.video)[0], read_audio(data / record.audio)
    choice = GuidanceChoice(options) if options.active else None
    sample = guide(sample, pipeline, image, choice, observe=observe)
    inputs = pipeline.encode_inputs(image, sound, num_frames=record.num_frames)
    begin = time.perf_counter()
    outputs = list(pipeline.generate(inputs, sample))
    seconds = time.perf_counter() - begin
    if keep_latents:
        _save_latents(path.with_suffix(".safetensors"), outputs)
    frames = np.concatenate([output.frames for output in outputs])
    length = len(frames)
    with VideoWriter(path, width=inputs.width, height=inputs.height, audio=sound, num_frames=length) as writer:
        writer.write(frames)
    record_cost(path.parent, record.clip_id, seconds=seconds, video_seconds=len(frames) / record.fps)


def _save_latents(path: Path, outputs: Sequence[SegmentOutput]) -> None:
    latents = torch.cat([output.latents[output.segment.emitted] for output in outputs])
    with atomic_path(path) as temporary:
        save_tensors({"latents": latents}, temporary)


def _check_settings(
    folder: Path,
    pipeline: PahaPipeline,
    records: Sequence[ClipRecord],
    options: GuidanceOptions,
    sample: SampleOptions,
) -> None:
    """Keep what made the videos beside them, so that a resumed run cannot mix two settings."""
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "guidance": options.settings() if options.active else {"kind": "none"},
        "steps": sample.steps,
        "seed": sample.seed,
        "cfg_scale": sample.cfg_scale,
        # Seeds are counted from it: the same clip has other noise where the run starts elsewhere.
        "first clip": records[0].clip_id if records else None,
        "model": model_fingerprint(pipeline.univdm, pipeline.codec),
        "classifiers": {region: model_fingerprint(pipeline.classifier(region)) for region in options.regions},
    }
    path = folder / SETTINGS
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in settings if before.get(key) != settings[key]]
        if changed:
            raise PahaError(f"{folder} holds videos made with another {changed[0]}; remove it or choose another --out")
    write_bytes(path, json.dumps(settings, indent=1).encode())
