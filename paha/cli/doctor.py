"""What the verbs of the paper's size do: starting from Stable Video Diffusion, and sharing work over processes."""

from __future__ import annotations

from pathlib import Path

import typer

from paha.cli.checks import examine, format_finding
from paha.config import PahaConfig, override
from paha.errors import PahaError


def with_parts_of(config: PahaConfig, init: Path | None) -> PahaConfig:
    """The configuration with the frozen encoders that lie beside the U-Net in `init`, by their absolute paths.

    init: a folder in diffusers' layout (unet/, vae/, image_encoder/ and, ours, audio_encoder/), or anything else, which
    changes nothing.
    """
    if init is None or not init.is_dir():
        return config
    changes: dict[str, object] = {}
    if config.image.kind == "clip" and (init / "image_encoder").is_dir():
        changes["image.name"] = str(init.resolve())
    if config.audio.kind == "wav2vec2" and (init / "audio_encoder").is_dir():
        changes["audio.name"] = str((init / "audio_encoder").resolve())
    return override(config, changes)


def codec_source(config: PahaConfig, codec: Path | None, init: Path | None) -> Path | None:
    """Where the codec's weights are: the folder given, else SVD's VAE beside its U-Net, else None (the default)."""
    if codec is None and init is not None and config.codec.kind == "svd" and (init / "vae").is_dir():
        return init
    return codec


def doctor(model: Path | None, *, device: str | None = None) -> None:
    """Print every finding. Raises PahaError where the main job cannot run, naming what it lacks."""
    missing = []
    for finding in examine(model, device=device):
        typer.echo(format_finding(finding))
        if finding.needed and not finding.ok:
            missing.append(f"{finding.name}: {finding.detail}")
    if missing:
        raise PahaError(f"videos cannot be made here: {'; '.join(missing)}")
    typer.echo("videos can be made here")
