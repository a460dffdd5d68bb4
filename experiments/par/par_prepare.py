"""What all runs of the PAR experiment share, made once: corpora, codec, features, and ears that know speech.

OUT/train, OUT/held_out   the corpora with their features (`paha synth`, `paha features`)
OUT/codec                 the codec, trained on OUT/train
OUT/hearing.safetensors   the audio projection after its warm-up: every run starts with it and leaves it as it is
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from experiments.par.par_measures import HeldOut, load_held_out
from paha.config import PahaConfig, override
from paha.dataset.dataset import FeatureDataset
from paha.dataset.features import find_features, make_features
from paha.dataset.synth.corpus import make_corpus
from paha.extractors.audio import load_audio_encoder
from paha.extractors.choose import PRESENTER_READER
from paha.extractors.codec import load_codec
from paha.extractors.pose import PresenterPose
from paha.presets import preset
from paha.runtime.atomic import write_bytes
from paha.training.loop import fit
from paha.training.motion.codec_job import CODEC_TRAIN, codec_job
from paha.training.univdm.audio_pretraining import pretrain_audio
from paha.training.univdm.job import build_univdm, resolve

HELD_OUT_SEEDS = 950_000
WINDOWS_PER_CLIP = 3
CODEC, HEARING = "codec", "hearing.safetensors"
HEARS = ("audio_projection.", "audio_time_proj.")
"""Prefixes of the weights that the audio pretraining trains."""


@dataclass(frozen=True)
class Parts:
    """What a run needs. features: of the training clips. hearing: the warmed weights by name."""

    config: PahaConfig
    codec: Any
    pose: PresenterPose
    features: Path
    hearing: dict[str, Tensor]
    held: HeldOut
    device: torch.device


def reduced(*, size: int, steps: int, batch_size: int) -> PahaConfig:
    """The presenter preset made small: 4 px cells, 8 frames, a U-Net of two levels. Whole frames only: the preset's
    crops about faces weigh faces too, in every arm."""
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
            "train.batch_size": batch_size,
            "train.steps": steps,
            "train.learning_rate": 2e-3,
            "train.warmup_steps": min(50, steps),
            "train.cosine_decay": True,
            "train.ema_decay": 0.99,
            "train.crop_cells": 0,
            "train.checkpoint_every": steps,
            "train.sample_every": 0,
            "train.log_every": 10,
        },
    )


def prepare(out: Path, protocol: dict[str, Any]) -> None:
    """Make what is missing from the protocol's `size`, `seconds`, `clips`, `held_out`, `codec_steps`, `audio_steps`."""
    size, seconds = protocol["size"], tuple(protocol["seconds"])
    config = reduced(size=size, steps=1, batch_size=1)
    for name, clips, seed in (("train", protocol["clips"], 0), ("held_out", protocol["held_out"], HELD_OUT_SEEDS)):
        make_corpus(out / name, clips=clips, seed=seed, size=size, seconds=seconds, workers=2)
    if not (out / CODEC).is_dir():
        train = CODEC_TRAIN.model_copy(update={"steps": protocol["codec_steps"], "sample_every": 0})
        fit(codec_job(config.model_copy(update={"train": train}), out / "train"), train, out / "codec_run")
        (out / "codec_run" / "model").rename(out / CODEC)
    encoders = {"codec": load_codec(config.codec, out / CODEC), "audio_encoder": load_audio_encoder(config.audio)}
    features, _ = (make_features(out / name, config=config, **encoders) for name in ("train", "held_out"))
    if not (out / HEARING).is_file():
        dataset = FeatureDataset(features, config=config)
        model: Any = build_univdm(resolve(config, dataset))
        explained = pretrain_audio(model, dataset, steps=protocol["audio_steps"], seed=0)
        print(f"audio pretraining: {explained:.0%} of the variance of lips and spectrum explained")
        weights = {name: value for name, value in model.state_dict().items() if name.startswith(HEARS)}
        write_bytes(out / HEARING, save(weights))


def load_parts(out: Path, *, size: int, steps: int, batch_size: int, device: torch.device) -> Parts:
    """What `prepare` made, on a device."""
    config, features = reduced(size=size, steps=steps, batch_size=batch_size), find_features(out / "train")
    config = resolve(config, FeatureDataset(features, config=config))
    pose = PresenterPose.load(PRESENTER_READER)
    codec: Any = load_codec(config.codec, out / CODEC)
    for module in (codec, pose.reader):
        torch.nn.Module.to(module, device)
    return Parts(
        config=config,
        codec=codec,
        pose=pose,
        features=features,
        hearing=load_file(out / HEARING),
        held=load_held_out(out / "held_out", find_features(out / "held_out"), config, per_clip=WINDOWS_PER_CLIP),
        device=device,
    )
