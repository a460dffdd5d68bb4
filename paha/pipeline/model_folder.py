"""Model folders: paha.yaml and one subfolder of safetensors a part. Loading is strict; every complaint names the file.

Parts: paha.yaml, model_index.json, univdm/, codec/ (or vae/), and where they are carried along audio_encoder/,
image_encoder/, classifier_face/ and classifier_non_face/.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paha import config as configuration
from paha.config import ModelConfig, PahaConfig
from paha.errors import PahaError
from paha.pce.regions import Region
from paha.univdm.pretrained import REMEDY, load_part
from paha.univdm.svd_weights import is_hub_name

if TYPE_CHECKING:
    from paha.pce.classifier import PCEClassifier
    from paha.univdm.univdm import UniVDM

CONFIG_FILE = "paha.yaml"
INDEX_FILE = "model_index.json"
UNIVDM_FOLDER = "univdm"
CODEC_FOLDER = "codec"
VAE_FOLDER = "vae"
CLASSIFIER_FOLDERS: dict[str, str] = {"face": "classifier_face", "non_face": "classifier_non_face"}
CARRIED_FOLDERS = ("audio_encoder", "image_encoder", *CLASSIFIER_FOLDERS.values())
"""Parts that are loaded when they are needed."""


def find_model(name: str | Path) -> Path:
    """The local folder of a model: `name` itself, or the download of that hub name. Raises PahaError if neither."""
    folder = Path(name)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise PahaError(f"{folder} is a file; give the model folder")
    if not is_hub_name(name):
        raise PahaError(f"no model folder at {name}; give one that holds {CONFIG_FILE} and {UNIVDM_FOLDER}/")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(name), allow_patterns=["*.json", "*.yaml", "*.safetensors"]))
    except Exception as error:
        # The hub's client raises its own, requests' and httpx's errors.
        raise PahaError(f"no model folder at {name}, and the hub has none to give: {_reason(error)}") from error


def read_config(folder: Path) -> PahaConfig:
    """The configuration in paha.yaml. Raises PahaError that names the file if it is missing or not valid."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise PahaError(f"{path} is missing; {REMEDY}")
    _check_index(folder / INDEX_FILE)
    return configuration.load(path)


def _check_index(path: Path) -> None:
    """A folder put together without the index will do; one with another's will not."""
    if not path.is_file():
        return
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PahaError(f"{path} cannot be read; {REMEDY}") from error
    if kind != "PahaPipeline":
        raise PahaError(f"{path} is the index of a {kind}, not of a PAHA model; {REMEDY}")


def load_univdm(folder: Path, config: PahaConfig) -> UniVDM:
    """The UniVDM in folder/univdm, float32. Raises PahaError where it is not whole or not paha.yaml's."""
    from paha.univdm.univdm import UniVDM

    univdm = load_part(UniVDM, folder / UNIVDM_FOLDER)
    if ModelConfig(**{name: univdm.config[name] for name in ModelConfig.model_fields}) != config.model:
        part = folder / UNIVDM_FOLDER / "config.json"
        raise PahaError(f"{part} and {folder / CONFIG_FILE} tell of different models; {REMEDY}")
    return univdm


def load_model_codec(folder: Path, config: PahaConfig) -> Any:
    """The codec of a model folder: its own, or SVD's VAE from folder/vae, else from the hub."""
    if config.codec.kind == "svd":
        from paha.extractors.codec import load_codec

        return load_codec(config.codec, folder if (folder / VAE_FOLDER).is_dir() else None)
    if config.codec.kind == "motion":
        from paha.motion.motion_codec import MotionCodec as Codec
    else:
        from paha.extractors.pixel_codec import PixelCodec as Codec
    codec: Any = load_part(Codec, folder / CODEC_FOLDER)
    found, wanted = (codec.latent_channels, codec.downsample), (config.codec.latent_channels, config.codec.downsample)
    if found != wanted:
        part = folder / CODEC_FOLDER / "config.json"
        raise PahaError(f"{part} and {folder / CONFIG_FILE} tell of different codecs; {REMEDY}")
    return codec


def check_trainable(folder: Path, config: PahaConfig) -> None:
    """Raises PahaError for a motion model of an earlier version: it makes the videos that it made, but its latents are
    not those that trainings and classifiers would see now."""
    if config.codec.kind == "motion" and not load_model_codec(folder, config).is_todays:
        raise PahaError(
            f"{folder} was trained on motion of an earlier version's scales; it makes videos as before, but nothing is "
            "trained on it: train it anew by `paha train univdm --init shipped`"
        )


def load_classifier(folder: Path, region: Region, config: PahaConfig) -> PCEClassifier:
    """The PCE classifier of a region in a model folder, float32. Raises PahaError where it is not there, not whole, of
    the other region, or of a model with other latents or audio."""
    from paha.pce.classifier import PCEClassifier

    part = folder / CLASSIFIER_FOLDERS[region]
    if not part.is_dir():
        verb = f"`paha train classifier --region {region}`"
        raise PahaError(
            f"{folder} has no {part.name}/, which guidance needs; train it with {verb}, or use --guidance none"
        )
    classifier = load_part(PCEClassifier, part)
    if classifier.region != region:
        raise PahaError(f"{part} holds the {classifier.region} classifier; {REMEDY}")
    names = ("latent_channels", "audio_layers", "audio_dim", "audio_margin")
    trunk, wanted = classifier.config["univdm"], config.model
    bad = [name for name in names if trunk[name] != getattr(wanted, name)]
    if bad:
        told = f"{bad[0]} {trunk[bad[0]]}, the model {getattr(wanted, bad[0])}"
        raise PahaError(f"{part} was trained with {told}; train it on this model")
    return classifier


def carry_along(source: Path, target: Path, *, without: Container[str] = ()) -> None:
    """Copy what a model folder carries along into another one, but for the parts `without`, which are there by now."""
    if source.resolve() == target.resolve():
        return
    for name in CARRIED_FOLDERS:
        if name not in without and (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
