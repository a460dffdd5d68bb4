"""Toy-size PCE classifiers that several test files share."""

from __future__ import annotations

import torch
from toy import toy_univdm

from paha.pce.classifier import CLASSIFIERS, PCEClassifier
from paha.pce.regions import Region
from paha.presets import preset

DEBUG = preset("debug")
MODEL = DEBUG.model


def toy_classifier(region: Region = "face", **changes) -> PCEClassifier:
    torch.manual_seed(3)
    config = CLASSIFIERS["debug"].model_copy(update=changes)
    return PCEClassifier.from_univdm(toy_univdm(DEBUG), config, region=region).eval().requires_grad_(False)


def inputs(*, clips=2, frames=5, size=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(clips, frames, MODEL.latent_channels, size, size, generator=generator)
    audio = torch.randn(clips, frames, 5, MODEL.audio_layers, MODEL.audio_dim, generator=generator)
    return z, torch.linspace(-0.5, 0.5, frames).expand(clips, -1), audio
