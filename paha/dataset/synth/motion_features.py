"""Clips of the stream of speech and motion as cached features, for what needs the same clips again: negatives, tables.

OUT/features.json, OUT/<clip>.safetensors, as `paha.dataset.features` writes them, without videos. A clip of motion
latents brings its own reference: `ref_channels` (1, C, h, w), since what its latents count from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from paha.config import AudioConfig, PahaConfig
from paha.dataset.features import INDEX, features_index, save_clip, stored_source
from paha.dataset.synth.motion_clips import MotionClip, MotionClips, MotionStream, speech_of
from paha.dataset.synth.motion_dataset import motion_tensors
from paha.errors import PahaError
from paha.extractors.audio import AUDIO_ENCODER_FOLDER
from paha.motion.geometry import Geometry
from paha.motion.motion_codec import PersonGrid
from paha.runtime.atomic import write_bytes
from paha.runtime.progress import tracked
from paha.types import FPS

SPEECH_CLIPS = 3
"""A speech is so many clips long, so that the windows cut from it are not all the same few seconds."""


def make_motion_features(
    out: Path,
    *,
    config: PahaConfig,
    clips: int,
    seconds: float = 6.0,
    seed: int = 0,
    speech: str | None = None,
    model: Path | None = None,
) -> Path:
    """Write the first `clips` clips of a stream to OUT, each of a person of its own; returns OUT.

    A clip's identity is its speech, whose sound and motion several clips share: what is held out by identity is new to
    who hears it. model: a model folder with an audio encoder of its own. What is there of the same stream is kept.
    Raises PahaError for a preset that does not diffuse motion, and where OUT holds another stream's clips.
    """
    if config.codec.kind != "motion":
        raise PahaError(f"the preset {config.name} does not diffuse motion; its features are made of videos")
    count = round(seconds * FPS)
    stream = MotionStream(
        seed=seed, num_frames=count, audio_margin=0, speech=speech, speech_seconds=SPEECH_CLIPS * seconds + 2.0
    )
    source = MotionClips(stream, encoder_config(config, model))
    told = asdict(replace(stream, speech=None)) | {"natural": speech is not None}
    _check_same(out / INDEX, told)
    out.mkdir(parents=True, exist_ok=True)
    names = [f"clip_{seed:04d}_{index:05d}" for index in range(clips)]
    text = json.dumps(told, sort_keys=True)
    for index, name in _track(names):
        path = out / f"{name}.safetensors"
        if stored_source(path) != text:
            save_clip(path, tensors_of(source[index]), text)
    listed = [
        {"clip_id": name, "identity": f"speech_{seed:04d}_{speech_of(index):05d}", "split": ""}
        for index, name in enumerate(names)
    ]
    index = features_index(config, listed, channel_scale=1.0, data=out.resolve().name) | {"stream": told}
    write_bytes(out / INDEX, json.dumps(index, indent=1).encode())
    return out


def tensors_of(clip: MotionClip) -> dict[str, Tensor]:
    """`CLIP_TENSORS` and ref_channels (1, C, h, w) of a clip made without audio margin."""
    tensors = motion_tensors(PersonGrid(Geometry.of(clip.points, clip.scores)), clip)
    return {
        "latents": tensors["latents"].half(),
        "audio": clip.audio.half(),
        "points": tensors["points"].clone(),
        "scores": tensors["scores"].clone(),
        "face_box": tensors["face_box"].expand(len(clip.motion), 4).clone(),
        "ref_channels": tensors["ref_channels"][None].half(),
    }


def encoder_config(config: PahaConfig, model: Path | None) -> AudioConfig:
    """The audio configuration that names the encoder a model folder carries, where it carries one."""
    inside = None if model is None else model / AUDIO_ENCODER_FOLDER
    carried = inside is not None and inside.is_dir()
    return config.audio.model_copy(update={"name": str(inside)}) if carried else config.audio


def _check_same(path: Path, told: dict[str, Any]) -> None:
    if not path.is_file():
        return
    before = json.loads(path.read_text(encoding="utf-8")).get("stream")
    if before != json.loads(json.dumps(told)):
        raise PahaError(f"{path.parent} holds other features; choose another folder")


def _track(names: list[str]) -> Iterator[tuple[int, str]]:
    return tracked(enumerate(names), "clips", total=len(names))
