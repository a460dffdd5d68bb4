"""UniVDM on motion latents: the same job, its batches drawn from the endless stream of speech and motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from paha.config import PahaConfig
from paha.dataset.synth.motion_dataset import MotionDataset
from paha.motion.motion_codec import MotionCodec
from paha.training.job import Job
from paha.training.report import say
from paha.training.univdm.audio_pretraining import SPEECHES, SpeechFrames, pretrain_audio
from paha.training.univdm.footage import FootageDataset, FootageMix
from paha.training.univdm.job import build_univdm, univdm_job
from paha.training.univdm.motion_probe import HeldOut

HELD_OUT_CLIPS = 24
PRETRAINING_PER_STEP = 2
"""Most steps of the audio pretraining for a step of the training."""


@dataclass(frozen=True)
class Footage:
    """Filmed clips. test: of those that are not trained on. share: of a batch's clips that are filmed."""

    train: FootageDataset
    test: FootageDataset
    share: float


def motion_job(
    config: PahaConfig,
    *,
    speech: str | None = None,
    workers: int = 1,
    pretrain: bool = True,
    footage: Footage | None = None,
) -> Job:
    """speech: a folder of aligned natural speech, beside espeak-ng. workers: processes that make clips ahead. pretrain:
    run the audio pretraining that the configuration asks for (not where earlier weights are loaded, which have had it).
    footage: filmed people to train on as well, and to probe with.

    Raises PahaError for a folder of speech that cannot be used.
    """
    dataset = MotionDataset(config, speech=speech, seed=config.train.seed, workers=workers)
    probed = MotionDataset(config, speech=speech, seed=config.train.seed, held_out=True, workers=0)
    model: Any = build_univdm(config)
    if config.train.audio_pretraining_steps:
        _pretrain(model, dataset, config, pretrain=pretrain)
    own: dict[str, Any] = {"codec": MotionCodec(), "model": model}
    if footage is None:
        return univdm_job(config, dataset, held_out=HeldOut.of(probed, HELD_OUT_CLIPS), **own)
    mix = FootageMix(footage.train, dataset, share=footage.share)
    return univdm_job(config, mix, held_out=footage.test.held_out(HELD_OUT_CLIPS), probe_batches=0, **own)


def _pretrain(model: Any, dataset: MotionDataset, config: PahaConfig, *, pretrain: bool) -> None:
    model.audio_projection.requires_grad_(False)
    if not pretrain:
        return
    train = config.train
    # A short training, to try something, pays no long pretraining, nor for many speeches to read.
    steps = min(train.audio_pretraining_steps, PRETRAINING_PER_STEP * train.steps)
    frames = SpeechFrames.of(dataset.clips, None if steps >= SPEECHES else steps)
    explained = pretrain_audio(model, frames, steps=steps, seed=train.seed)
    say(f"audio pretraining: {explained:.0%} of the lips' variance explained")
