"""A small folder of random features, so that tests of training need no corpus."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from paha.config import PahaConfig
from paha.dataset.features import FORMAT, INDEX


def write_features(folder: Path, config: PahaConfig, *, lengths=(12, 9, 20), channel_scale: float = 1.0) -> Path:
    """One clip a length. Latents hold 1000 x clip + frame in their first value where `trace` reads them back."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(5)
    names = [f"clip{i}" for i in range(len(lengths))]
    for name, length in zip(names, lengths, strict=True):
        save_file(random_clip(config, length, generator), folder / f"{name}.safetensors", metadata={"source": name})
    index = {
        "format": FORMAT,
        "data": "tiny",
        "width": config.width,
        "height": config.height,
        "channel_scale": channel_scale,
        "codec": config.codec.model_dump(mode="json"),
        "audio": config.audio.model_dump(mode="json"),
        "image": config.image.model_dump(mode="json"),
        "clips": [{"clip_id": name, "identity": name, "split": ""} for name in names],
    }
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def random_clip(config: PahaConfig, length: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """A still latent with some motion that its audio tells, a head above the middle, hands at the sides."""
    model, down = config.model, config.codec.downsample
    size = (model.latent_channels, config.height // down, config.width // down)
    motion = torch.randn(length, 1, 1, 1, generator=generator)
    latents = torch.randn(size, generator=generator) + 0.3 * motion * torch.randn(size, generator=generator)
    audio = torch.randn(length, model.audio_layers, model.audio_dim, generator=generator) * 0.1 + motion[:, :, :, 0]
    centre = torch.full((133, 2), 0.5)
    centre[:91] = torch.tensor([0.5, 0.3])
    points = centre + 0.08 * torch.randn(length, 133, 2, generator=generator)
    return {
        "latents": latents.half(),
        "audio": audio.half(),
        "points": points,
        "scores": torch.rand(length, 133, generator=generator),
        "face_box": torch.tensor([0.3, 0.1, 0.7, 0.5]).repeat(length, 1),
    }
