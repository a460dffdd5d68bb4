"""The frozen encoders and the VAE that come with a Stable Video Diffusion U-Net from which UniVDM starts."""

from __future__ import annotations

from pathlib import Path

from paha.config import PahaConfig, override


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
