"""`paha train acoustic-model`: phones and lips of speech off its log-mel bands, in voices that it has not heard."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.config import TrainConfig
from paha.extractors.acoustic_model import LIPS, AcousticModel
from paha.extractors.mel import log_mel, mel_filters
from paha.training.job import Job, StepContext
from paha.training.motion.acoustic_examples import Crops, HeardSpeech, hear, inventory

ACOUSTIC_TRAIN = TrainConfig(
    batch_size=8,
    steps=7000,
    learning_rate=2e-3,
    weight_decay=0.05,
    warmup_steps=100,
    cosine_decay=True,
    grad_clip=1.0,
    ema_decay=0.995,
    checkpoint_every=250,
    sample_every=500,
    log_every=10,
)
SPEECHES, HELD_OUT_SPEECHES = 1700, 40
CROP_FRAMES = 150
EARS: dict[str, Any] = {"channels": 288}
"""Sizes of the network whose features UniVDM is trained on."""
LIP_READER_TRAIN = ACOUSTIC_TRAIN.model_copy(update={"steps": 7800})
LIP_READER_SPEECHES: dict[str, Any] = {"speeches": 3300, "natural_share": 0.8, "clean_share": 0.15}
"""What it hears (`paha.training.motion.acoustic_examples.hear`): lips are read off good recordings as well."""
LIP_READER: dict[str, Any] = {
    "stem_channels": 160,
    "channels": 384,
    "dilations": (1, 1, 2, 3, 4, 6, 1),
    "features": 320,
    "reduction": 8,
    "dropout": 0.1,
}
"""Sizes of the network that reads the lips alone, off the same bands: no UniVDM has to be trained on what it hears."""
PHONE_SHARE = 0.3
"""Weight of the phones' cross-entropy beside the lips' squared errors."""
LABEL_SMOOTHING = 0.05


@dataclass(frozen=True)
class AcousticData:
    """crops: to train on. held_out: speeches of the test voices. mean, deviation: (3,) of the training lips."""

    crops: Crops
    held_out: list[HeardSpeech]
    phones: tuple[str, ...]
    mean: Tensor
    deviation: Tensor


def load_data(
    speech: str | None,
    *,
    speeches: int,
    held_out: int,
    seed: int,
    num_frames: int,
    natural_share: float = 0.7,
    clean_share: float = 0.0,
) -> AcousticData:
    """Hear the stream's speeches (`hear`). Raises PahaError for a folder of speech that cannot be used."""
    heard = hear(speeches, speech=speech, seed=seed, natural_share=natural_share, clean_share=clean_share)
    phones, lips = inventory(heard), torch.cat([each.lips for each in heard])
    crops = Crops(heard, phones, num_frames=num_frames, mel_bands=80)
    probed = hear(held_out, speech=speech, seed=seed, held_out=True)
    return AcousticData(crops, probed, phones, lips.mean(0), lips.std(0).clamp_min(1e-6))


def acoustic_job(
    speech: str | None,
    config: TrainConfig,
    *,
    name: str = "acoustic-model",
    sizes: Mapping[str, Any] = EARS,
    speeches: int = SPEECHES,
    held_out: int = HELD_OUT_SPEECHES,
    num_frames: int = CROP_FRAMES,
    **shares: float,
) -> Job:
    """The job; speech: a folder of aligned natural speech, beside espeak-ng. sizes: of the network. shares: the natural
    and the clean one of `load_data`."""
    counts: dict[str, Any] = {"speeches": speeches, "held_out": held_out, "num_frames": num_frames, **shares}
    data = load_data(speech, seed=config.seed, **counts)
    return acoustic_job_on(data, batch_size=config.batch_size, name=name, sizes=sizes)


def acoustic_job_on(data: AcousticData, *, batch_size: int, name: str, sizes: Mapping[str, Any]) -> Job:
    """The same on speech in memory."""
    scale: dict[str, Any] = {"lip_mean": tuple(data.mean.tolist()), "lip_deviation": tuple(data.deviation.tolist())}
    model: Any = AcousticModel(phones=data.phones, **sizes, **scale)
    return Job(
        name=name,
        model=model,
        loss=partial(acoustic_loss, data=data, batch_size=batch_size),
        save=save_acoustic_model,
        sample=partial(save_curves, held_out=data.held_out, data=data),
        probe=partial(probe_acoustic_model, held_out=data.held_out),
        fingerprint={"speeches": len(data.crops.heard), "phones": list(data.phones), **sizes},
    )


def acoustic_loss(
    model: nn.Module, context: StepContext, *, data: AcousticData, batch_size: int
) -> tuple[Tensor, dict[str, float | Tensor]]:
    """Squared errors of the lips, of unit variance, and the cross-entropy of the phones."""
    drawn = data.crops.draw(batch_size, np.random.default_rng(context.hashed_seed("batch")))
    mel, lips, classes = (each.to(context.device) for each in drawn)
    heard = model(mel)
    errors = (heard.lips - (lips - data.mean.to(lips)) / data.deviation.to(lips)).square().mean((0, 1))
    phones = F.cross_entropy(heard.phone_logits.flatten(0, 1), classes.flatten(), label_smoothing=LABEL_SMOOTHING)
    right = (heard.phone_logits.argmax(-1) == classes).float().mean()
    explained = {f"explained_{name}": 1 - error.detach() for name, error in zip(LIPS, errors, strict=True)}
    return errors.mean() + PHONE_SHARE * phones, explained | {"phones_right": right.detach()}


def save_acoustic_model(model: nn.Module, folder: Path) -> None:
    """Write the model as fp16 safetensors."""
    cast(AcousticModel, copy.deepcopy(model)).half().save_pretrained(folder)


@torch.no_grad()
def read_lips(model: nn.Module, speech: HeardSpeech) -> np.ndarray:
    """(T, 3) LIPS as heard, in units of their deviation."""
    filters = mel_filters(cast(AcousticModel, model).config["mel_bands"])
    mel = log_mel(10 ** speech.log_power.float(), filters)
    return model(mel[None].to(next(model.parameters()).device)).lips[0].float().cpu().numpy()


def probe_acoustic_model(model: nn.Module, step: int, *, held_out: Sequence[HeardSpeech]) -> dict[str, float | Tensor]:
    """Mean over held-out speeches of the correlation of what is heard with the true lips."""
    rows = [
        [np.corrcoef(heard, true)[0, 1] for heard, true in zip(read_lips(model, s).T, s.lips.numpy().T, strict=True)]
        for s in held_out
        if s.lips[:, 0].std() > 0
    ]
    return {f"held_out_{name}": float(r) for name, r in zip(LIPS, np.nanmean(rows, axis=0), strict=True)}


def save_curves(
    model: nn.Module, step: int, path: Path, *, held_out: Sequence[HeardSpeech], data: AcousticData
) -> None:
    """Lips of two held-out speeches, true and heard."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 9), layout="constrained")
    axes: Any = figure.subplots(len(LIPS), 2)
    for column, speech in zip(axes.T, held_out, strict=False):
        heard = read_lips(model, speech) * data.deviation.numpy() + data.mean.numpy()
        for axis, name, true, read in zip(column, LIPS, speech.lips.T, heard.T, strict=True):
            axis.plot(true, label="true")
            axis.plot(read, label="heard")
            axis.set_title(name)
    axes[0, 0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
