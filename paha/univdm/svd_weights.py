"""Strict loading of public checkpoints into UniVDM. Only safetensors are read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from paha.errors import PahaError
from paha.runtime.tensors import from_eight_bits

NEW_MODULE_KEYS = (
    "audio_projection.linear_1.weight",
    "audio_projection.linear_1.bias",
    "audio_projection.linear_2.weight",
    "audio_projection.linear_2.bias",
    "audio_projection.norm.weight",
    "audio_projection.norm.bias",
)
"""What UniVDM has once beside SVD's U-Net."""

NEW_BLOCK_KEYS = (
    "audio_norm.weight",
    "audio_norm.bias",
    "audio_attn.to_q.weight",
    "audio_attn.to_k.weight",
    "audio_attn.to_v.weight",
    "audio_attn.to_out.0.weight",
    "audio_attn.to_out.0.bias",
)
"""What it has in every spatial transformer block (16 in the paper's size)."""

NEW_GATE_KEYS = ("conv_gate.weight", "conv_gate.bias")
"""What it has where `ModelConfig.output_gate` is on."""

NEW_AUDIO_TIME_KEYS = ("audio_time_proj.weight",)
"""What it has where `ModelConfig.audio_in_time` is on."""

_FILE_NAMES = (
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors.index.json",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
    "diffusion_pytorch_model.fp16.safetensors",
)
SVD_CLASS = "UNetSpatioTemporalConditionModel"
"""diffusers' class of SVD's U-Net, named in its config.json."""
_NAMED_KEYS = 3
"""So many keys are named in an error; the rest are counted."""


def _spatial_blocks(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((name, module) for name, module in model.named_modules() if hasattr(module, "audio_attn"))


def new_keys(model: nn.Module) -> list[str]:
    """The names of all parameters that UniVDM has and SVD's U-Net has not."""
    blocks = [f"{name}.{key}" for name, _ in _spatial_blocks(model) for key in NEW_BLOCK_KEYS]
    gate = NEW_GATE_KEYS if getattr(model, "conv_gate", None) is not None else ()
    time = NEW_AUDIO_TIME_KEYS if getattr(model, "audio_time_proj", None) is not None else ()
    return [*NEW_MODULE_KEYS, *blocks, *gate, *time]


def init_new_layers(model: nn.Module) -> None:
    """(Re)initialise the new layers. Audio outputs and gate are zero: the model equals SVD until it is trained."""
    projection = model.audio_projection
    for layer in (projection.linear_1, projection.linear_2, projection.norm):  # type: ignore[union-attr]
        layer.reset_parameters()  # type: ignore[union-attr,operator]
    for _, block in _spatial_blocks(model):
        block.init_audio()  # type: ignore[operator]
    model.init_audio_time()  # type: ignore[operator]
    if getattr(model, "conv_gate", None) is not None:
        model.init_gate()  # type: ignore[operator]


def load_svd_unet(model: nn.Module, source: str | Path) -> None:
    """Load SVD's U-Net into a UniVDM, strictly; the layers of `new_keys` are initialised by `init_new_layers`.

    source: a directory in diffusers' layout (the U-Net's own, or the pipeline's with `unet/` in it; one file or shards;
    fp16 is converted) or a hub name. Raises PahaError that names the file or key that is missing or does not fit.
    """
    folder = find_network(source, "unet")
    _check_config(model, folder / "config.json")
    load_strict(model, load_folder(folder), allow_new=new_keys(model))
    init_new_layers(model)


def is_hub_name(source: str | Path) -> bool:
    """Whether `source` reads as OWNER/NAME of a model hub, and is no path."""
    text = str(source)
    return text.count("/") == 1 and not text.startswith(("/", ".", "~")) and not Path(source).exists()


def find_network(source: str | Path, name: str) -> Path:
    """The folder with a network's files: `source`/`name`, `source` itself, or the hub's download of `source`.

    name: unet, vae, ... Raises PahaError where there are no weights.
    """
    path = Path(source)
    if not path.exists():
        path = _download(str(source), name)
    for folder in (path / name, path):
        if any((folder / file).is_file() for file in _FILE_NAMES):
            return folder
    raise PahaError(
        f"no {name} weights in {path}: expected {_FILE_NAMES[1]} (or its index) there or in its folder {name}"
    )


def _download(source: str, name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [f"{name}/config.json", f"{name}/*.safetensors", f"{name}/*.index*.json"]
    try:
        return Path(snapshot_download(source, allow_patterns=patterns, ignore_patterns=["*.fp16.*"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise PahaError(
            f"'{source}' is no local directory and could not be fetched ({reason}); "
            f"give a directory with its {name} folder"
        ) from error


def load_folder(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder in diffusers' layout, one file or the shards that its index names."""
    name = next((name for name in _FILE_NAMES if (folder / name).is_file()), None)
    if name is None:
        raise PahaError(f"no weights in {folder}: expected {_FILE_NAMES[1]} or its index")
    if not name.endswith(".json"):
        return load_state(folder / name)
    try:
        shards = sorted(set(json.loads((folder / name).read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise PahaError(f"{folder / name} is no index of shards ({error}); fetch it again") from error
    return {key: value for shard in shards for key, value in load_state(folder / shard).items()}


def load_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises PahaError where it is missing, truncated or something else."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise PahaError(f"weights file {path} is missing")
    try:
        return from_eight_bits(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise PahaError(f"{path} is truncated or no safetensors file ({error}); fetch or write it again") from error


def load_strict(model: nn.Module, state: Mapping[str, Tensor], *, allow_new: Collection[str] = ()) -> None:
    """Copy `state` into the model: every key must fit, and only the keys of `allow_new` may be missing.

    Values are converted to the model's type (fp16 to fp32 and back). Raises PahaError naming the keys that are missing,
    unexpected, of another shape, or not finite in the model's type; the model is unchanged then.
    """
    own = model.state_dict()
    _refuse("unexpected keys (weights of another model?)", [key for key in state if key not in own])
    _refuse("keys missing", [key for key in own if key not in state and key not in allow_new])
    _refuse(
        "shapes do not fit",
        [f"{k} {tuple(v.shape)} against {tuple(own[k].shape)}" for k, v in state.items() if v.shape != own[k].shape],
    )
    _refuse(
        "values not finite after conversion",
        [f"{k} as {own[k].dtype}" for k, v in state.items() if not torch.isfinite(v.to(own[k].dtype)).all()],
    )
    model.load_state_dict(dict(state), strict=False)


def _refuse(trouble: str, items: list[str]) -> None:
    if items:
        more = f" and {len(items) - _NAMED_KEYS} more" if len(items) > _NAMED_KEYS else ""
        raise PahaError(f"weights do not fit the model: {trouble}: {', '.join(items[:_NAMED_KEYS])}{more}")


def _check_config(model: nn.Module, path: Path) -> None:
    """Numbers that no shape reveals, such as the number of heads, compared where the checkpoint tells them."""
    if not path.is_file():
        return
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PahaError(f"{path} is no JSON file ({error}); fetch it again") from error
    own = model.config  # type: ignore[union-attr]
    for name in ("block_out_channels", "num_attention_heads", "layers_per_block", "cross_attention_dim"):
        ours = own[name]  # type: ignore[index]
        ours = list(ours) if isinstance(ours, tuple) else ours
        if name in theirs and theirs[name] != ours:
            raise PahaError(f"{path}: {name} is {theirs[name]}, the model has {ours}: set model.{name}")
