"""Model folders: paha.yaml and one subfolder of safetensors a part. Loading is strict; every complaint names the file.

Parts: paha.yaml, model_index.json, univdm/, codec/ (or vae/), and where they are carried along audio_encoder/,
image_encoder/, classifier_face/, classifier_non_face/ and pose_reader/.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from paha import config as configuration
from paha.config import ModelConfig, PahaConfig
from paha.errors import PahaError
from paha.masks import Region
from paha.models.weights import is_hub_name

CONFIG_FILE = "paha.yaml"
UNIVDM_FOLDER = "univdm"
CODEC_FOLDER = "codec"
VAE_FOLDER = "vae"
CLASSIFIER_FOLDERS: dict[str, str] = {"face": "classifier_face", "non_face": "classifier_non_face"}
POSE_READER_FOLDER = "pose_reader"
REMEDY = "copy the model folder again, or train one with `paha train`"
Part = TypeVar("Part")


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
    return configuration.load(path)


def load_univdm(folder: Path, config: PahaConfig) -> Any:
    """The UniVDM in folder/univdm, float32. Raises PahaError where it is not whole or not paha.yaml's."""
    from paha.models.univdm import UniVDM

    univdm = load_part(UniVDM, folder / UNIVDM_FOLDER)
    if ModelConfig(**{name: univdm.config[name] for name in ModelConfig.model_fields}) != config.model:
        part = folder / UNIVDM_FOLDER / "config.json"
        raise PahaError(f"{part} and {folder / CONFIG_FILE} tell of different models; {REMEDY}")
    return univdm


def load_model_codec(folder: Path, config: PahaConfig) -> Any:
    """The codec of a model folder: its own presenter codec, or SVD's VAE from folder/vae, else from the hub."""
    if config.codec.kind == "svd":
        from paha.extractors.codec import load_codec

        return load_codec(config.codec, folder if (folder / VAE_FOLDER).is_dir() else None)
    from paha.models.codec import PresenterCodec

    codec = load_part(PresenterCodec, folder / CODEC_FOLDER)
    if (codec.latent_channels, codec.downsample) != (config.codec.latent_channels, config.codec.downsample):
        part = folder / CODEC_FOLDER / "config.json"
        raise PahaError(f"{part} and {folder / CONFIG_FILE} tell of different codecs; {REMEDY}")
    return codec


def load_classifier(folder: Path, region: Region, config: PahaConfig) -> Any:
    """The PCE classifier of a region in a model folder, float32. Raises PahaError where it is not there, not whole, of
    the other region, or of a model with other latents or audio."""
    from paha.models.classifier import PCEClassifier

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


def load_part(cls: type[Part], folder: Path) -> Part:
    """One network out of its config.json and safetensors, in evaluation mode, float32, without gradients.

    Every key and shape must fit. Raises PahaError that names the file, and the key where one is missing, extra or of
    another shape.
    """
    from accelerate import init_empty_weights

    from paha.models.weights import load_folder

    settings = _read_settings(folder / "config.json", cls.__name__)
    weights = load_folder(folder)
    try:
        with init_empty_weights(include_buffers=False):
            model: Any = cls.from_config(settings)  # pyright: ignore[reportAttributeAccessIssue]
    except (TypeError, ValueError, KeyError, PahaError) as error:
        raise PahaError(f"{folder / 'config.json'} does not describe a {cls.__name__}: {_reason(error)}") from error
    check_weights(weights, model.state_dict(), folder)
    # Copies: tensors of the mapped file are not aligned, which changes the last bit of what is computed with them.
    copies = {key: value.to(torch.float32, copy=True) for key, value in weights.items()}
    model.load_state_dict(copies, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def check_weights(weights: dict[str, Tensor], expected: dict[str, Tensor], folder: Path) -> None:
    """Raises PahaError that names the first key that is missing, of another shape, or not known."""
    for key, value in expected.items():
        if key not in weights:
            raise PahaError(f"the weights in {folder} have no '{key}'; they are of another model: {REMEDY}")
        if weights[key].shape != value.shape:
            found, wanted = tuple(weights[key].shape), tuple(value.shape)
            raise PahaError(f"'{key}' in {folder} has shape {found}, the model wants {wanted}; {REMEDY}")
    unknown = sorted(weights.keys() - expected.keys())
    if unknown:
        raise PahaError(f"'{unknown[0]}' in {folder} is no weight of this model; {REMEDY}")


def _read_settings(path: Path, class_name: str) -> dict[str, Any]:
    if not path.is_file():
        raise PahaError(f"{path} is missing; {REMEDY}")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        found = settings["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PahaError(f"{path} is not the configuration of a {class_name}; {REMEDY}") from error
    if found != class_name:
        raise PahaError(f"{path} describes a {found}, not a {class_name}; {REMEDY}")
    return settings


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
