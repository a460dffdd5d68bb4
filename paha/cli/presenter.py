"""`paha train codec`, `pose-reader`, `pose-autoencoder`, `keypoint-estimator`, `acoustic-model`, `lip-reader`: small
networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from paha.cli import options as common
from paha.cli.features import load_codec_of


@dataclass(frozen=True)
class SmallTraining:
    """A training on a dataset's frames or keypoints."""

    data: common.Data
    out: common.Run
    split: common.SplitChoice = common.Split.train
    steps: common.Steps = None
    settings: common.Settings = field(default_factory=list)
    stop_after_minutes: common.Minutes = None


def train_codec(*, options: SmallTraining, preset: common.PresetName = "presenter", init: common.Init = None) -> None:
    """Train the small autoencoder on a dataset's frames; OUT/model is then a codec folder."""
    from paha.training.loop import fit
    from paha.training.motion.codec_job import CODEC_TRAIN, codec_job

    config = common.configuration(preset, options.settings, steps=options.steps, train=CODEC_TRAIN)
    stop = common.seconds(options.stop_after_minutes)
    fit(
        codec_job(config, options.data, split=options.split.value),
        config.train,
        options.out,
        init=init,
        stop_after_s=stop,
    )


def train_pose_reader(
    *,
    options: SmallTraining,
    codec: Annotated[
        Path | None, typer.Option(help="Codec folder: train on its round trips too."), common.MODEL
    ] = None,
    init: common.Init = None,
) -> None:
    """Train the reader of keypoints, face box and mouth opening on a presenter corpus."""
    from paha.training.loop import fit
    from paha.training.motion.pose_reader_job import POSE_READER_TRAIN, pose_reader_job

    config = common.configuration("presenter", options.settings, steps=options.steps, train=POSE_READER_TRAIN)
    loaded = None if codec is None else load_codec_of(config, codec)
    size, split = config.train.batch_size, options.split.value
    job = pose_reader_job(options.data, batch_size=size, codec=loaded, split=split)
    fit(job, config.train, options.out, init=init, stop_after_s=common.seconds(options.stop_after_minutes))


@dataclass(frozen=True)
class AcousticTraining:
    """A training on speech."""

    out: common.Run
    speech: common.Speech = None
    steps: common.Steps = None
    settings: common.Settings = field(default_factory=list)
    stop_after_minutes: common.Minutes = None


def train_acoustic_model(*, options: AcousticTraining, init: common.Init = None) -> None:
    """Train the ears of a small UniVDM: what reads phones and lips off speech (then --set audio.name=OUT/model)."""
    from paha.training.loop import fit
    from paha.training.motion.acoustic_job import ACOUSTIC_TRAIN, acoustic_job

    config = common.configuration("presenter", options.settings, steps=options.steps, train=ACOUSTIC_TRAIN)
    speech = None if options.speech is None else str(options.speech)
    job = acoustic_job(speech, config.train)
    fit(job, config.train, options.out, init=init, stop_after_s=common.seconds(options.stop_after_minutes))


def train_lip_reader(*, options: AcousticTraining, init: common.Init = None) -> None:
    """Train a larger acoustic model, for the lips alone; it is shipped beside the ears, and UniVDM stays as it is."""
    from paha.training.loop import fit
    from paha.training.motion.acoustic_job import LIP_READER, LIP_READER_SPEECHES, LIP_READER_TRAIN, acoustic_job

    config = common.configuration("presenter", options.settings, steps=options.steps, train=LIP_READER_TRAIN)
    speech = None if options.speech is None else str(options.speech)
    job = acoustic_job(speech, config.train, name="lip-reader", sizes=LIP_READER, **LIP_READER_SPEECHES)
    fit(job, config.train, options.out, init=init, stop_after_s=common.seconds(options.stop_after_minutes))


@dataclass(frozen=True)
class EstimatorTraining:
    """A training on pictures."""

    stills: Annotated[
        Path, typer.Option(help="Folder of pictures of people; MediaPipe labels them, once."), common.FOLDER
    ]
    out: common.Run
    steps: common.Steps = None
    settings: common.Settings = field(default_factory=list)
    stop_after_minutes: common.Minutes = None


def train_keypoint_estimator(*, options: EstimatorTraining, init: common.Init = None) -> None:
    """Train what reads a photograph's face, body and mask without MediaPipe; labels are kept in OUT/data."""
    from paha.training.loop import fit
    from paha.training.motion.keypoint_estimator_job import ESTIMATOR_TRAIN, keypoint_estimator_job

    config = common.configuration("presenter", options.settings, steps=options.steps, train=ESTIMATOR_TRAIN)
    job = keypoint_estimator_job(options.stills, options.out / "data", batch_size=config.train.batch_size)
    fit(job, config.train, options.out, init=init, stop_after_s=common.seconds(options.stop_after_minutes))


def train_pose_autoencoder(
    *,
    options: SmallTraining,
    fps: Annotated[float, typer.Option(help="Clock of the windows: 15 as published, 25 for the video's own.")] = 15.0,
    frames: Annotated[int, typer.Option(help="Frames of a window.", min=12, max=1000)] = 34,
    linear_slope: Annotated[float, typer.Option(help="Leaky ReLUs behind linear layers: 1 as in HA2G's code.")] = 0.2,
) -> None:
    """Train the autoencoder of FGD and Diversity on a dataset's keypoints (paha evaluate --pose-autoencoder)."""
    from paha.training.loop import fit
    from paha.training.pose_autoencoder import POSE_AUTOENCODER_TRAIN, pose_autoencoder_job

    config = common.configuration("presenter", options.settings, steps=options.steps, train=POSE_AUTOENCODER_TRAIN)
    size, split = config.train.batch_size, options.split.value
    own = {"batch_size": size, "fps": fps, "num_frames": frames, "linear_slope": linear_slope}
    job = pose_autoencoder_job(options.data, split=split, **own)
    fit(job, config.train, options.out, stop_after_s=common.seconds(options.stop_after_minutes))
