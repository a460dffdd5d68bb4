"""Checkpoints that survive `kill -9`: written beside the old one, checked by hash when read, renamed into place.

checkpoint/            weights, ema and optimizer as safetensors; state.json: step, configuration, hashes
checkpoint.previous/   the one before, read when `checkpoint/` is damaged
checkpoint.partial/    being written; never read
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from paha.errors import PahaError
from paha.runtime.tensors import save_tensors
from paha.training.sharding import placed_like
from paha.univdm.svd_weights import SVD_CLASS, is_hub_name, load_svd_unet

FORMAT = 1
PARTS = ("weights", "ema", "optimizer")
_PLACES = ("processes", "train.sharding", "train.gradient_checkpointing", "train.ema_on_cpu")
MAY_DIFFER = frozenset({"train.steps", "train.checkpoint_every", "train.sample_every", "train.log_every", *_PLACES})
"""Keys that may change between the parts of one run: how long it goes on, when it is looked at and written down, and
what computes it where. (With cosine decay more steps also stretch the rest of the decay.)"""


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on bit-exactly. All randomness is a function of the step, so no random
    state."""

    step: int
    """Completed optimizer steps."""
    weights: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    """Flattened by `optimizer_tensors`."""
    fingerprint: dict[str, object] = field(default_factory=dict)
    """The configuration, nested plain data."""
    scaler: dict[str, float | int] = field(default_factory=dict)
    """State of the fp16 gradient scaler; empty without one."""


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as `folder`, atomically; the one before stays as FOLDER.previous. Raises PahaError (disk
    full ...)."""
    try:
        with atomic_folder(folder, keep_previous=True) as partial:
            for part in PARTS:
                save_tensors(getattr(checkpoint, part), _part_path(partial, part))
            state = {
                "format": FORMAT,
                "step": checkpoint.step,
                "fingerprint": checkpoint.fingerprint,
                "scaler": checkpoint.scaler,
                "sha256": {part: _sha256(_part_path(partial, part)) for part in PARTS},
            }
            (partial / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise PahaError(
            f"cannot write the checkpoint {folder}: {error}; free some space or choose another folder"
        ) from error


def load_checkpoint(
    folder: Path, fingerprint: Mapping[str, object], *, say: Callable[[str], None] = print
) -> Checkpoint | None:
    """The newest readable checkpoint at `folder`, or None where there is none.

    A damaged one is moved to FOLDER.corrupt and the previous one is read, which `say` is called with in one line.
    Raises PahaError when nothing is readable, or when the checkpoint was made with another configuration (the differing
    key is named).
    """
    previous = folder.with_name(folder.name + ".previous")
    damage = ""
    for candidate in (folder, previous):
        if not candidate.exists():
            continue
        try:
            checkpoint = _read(candidate)
        except PahaError as error:
            damage = damage or str(error)
            continue
        _check_fingerprint(checkpoint.fingerprint, fingerprint, candidate, say=say)
        if damage:
            # Out of the way, so that the good one is not taken for the older of two and removed by the next save.
            corrupt = folder.with_name(folder.name + ".corrupt")
            shutil.rmtree(corrupt, ignore_errors=True)
            os.rename(folder, corrupt)
            say(f"{damage}; going on from {previous} at step {checkpoint.step}")
        return checkpoint
    if damage:
        raise PahaError(f"{damage}; remove {folder} to start anew")
    return None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as flat named tensors, `<parameter index>.<state name>`."""
    flat = _flatten({str(index): entry for index, entry in optimizer.state_dict()["state"].items()})
    tensors = {key: torch.as_tensor(value) for key, value in flat.items()}
    first = {value.data_ptr(): key for key, value in reversed(tensors.items())}
    # 8-bit states share their tables of values; a safetensors file holds no tensor twice.
    return {key: v if first[v.data_ptr()] == key or not v.numel() else v.clone() for key, v in tensors.items()}


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Inverse of `optimizer_tensors` on an optimizer of the same parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        index, *path, name = key.split(".")
        entry, parameter = state.setdefault(int(index), {}), parameters[int(index)]
        for part in path:  # bitsandbytes keeps its own states in a dictionary within
            entry = entry.setdefault(part, {})
        if value.shape == parameter.shape:
            # Same memory layout as the parameter (channels-last too), as the optimizer would have made it.
            value = placed_like(value, parameter)
            entry[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        elif value.ndim == 0 and not value.is_floating_point():
            entry[name] = value.item()  # the step count of 8-bit AdamW is a plain number
        else:
            entry[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Copy `tensors` into `model`, strictly. Raises PahaError naming the first missing, foreign or misshapen key."""
    own = model.state_dict()
    for key, value in own.items():
        if key not in tensors:
            raise PahaError(f"{where} has no '{key}': it is not the weights of this {type(model).__name__}")
        if tensors[key].shape != value.shape:
            shapes = f"{tuple(tensors[key].shape)}, needed {tuple(value.shape)}"
            raise PahaError(f"{where}: '{key}' has shape {shapes}; was it trained with another preset?")
    foreign = [key for key in tensors if key not in own]
    if foreign:
        raise PahaError(f"{where} has '{foreign[0]}', which {type(model).__name__} does not know")
    model.load_state_dict(dict(tensors), strict=True)


def init_from(model: nn.Module, path: Path) -> None:
    """Strictly load earlier weights (EMA preferred): a safetensors file, a run's folder, or a folder of
    `save_pretrained`; for UniVDM also SVD's U-Net (a folder or hub name, see `load_svd_unet`)."""
    if _is_svd(model, path):
        load_svd_unet(model, path)
        return
    names = ("checkpoint/ema.safetensors", "model/diffusion_pytorch_model.safetensors")
    names += ("univdm/diffusion_pytorch_model.safetensors",)
    names += ("ema.safetensors", "diffusion_pytorch_model.safetensors", "model.safetensors")
    files = [path] if path.is_file() else [path / name for name in names if (path / name).is_file()]
    if not files:
        raise PahaError(f"no weights to start from in {path}; expected one of {', '.join(names)}")
    load_weights(model, read_tensors(files[0]), where=str(files[0]))


def _is_svd(model: nn.Module, path: Path) -> bool:
    if type(model).__name__ != "UniVDM":
        return False
    if not path.exists():
        return is_hub_name(path)
    configs = [path / "config.json", path / "unet" / "config.json"]
    return any(file.is_file() and SVD_CLASS in file.read_text(encoding="utf-8") for file in configs)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file. Raises PahaError when missing, truncated or foreign."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise PahaError(f"cannot read {path}: {error}") from error


@contextmanager
def atomic_folder(folder: Path, *, keep_previous: bool = False) -> Iterator[Path]:
    """Yield FOLDER.partial to write into; when the block ends well it becomes `folder`, and not before.

    At every moment `folder` or FOLDER.previous is complete, whatever is killed when.
    """
    partial = folder.with_name(folder.name + ".partial")
    previous = folder.with_name(folder.name + ".previous")
    shutil.rmtree(partial, ignore_errors=True)
    if folder.exists():
        shutil.rmtree(previous, ignore_errors=True)  # before writing: at most two copies on the disk
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in (*partial.rglob("*"), partial):
            _fsync(path)
        if folder.exists():
            os.rename(folder, previous)
        os.rename(partial, folder)
        _fsync(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if not keep_previous:
        shutil.rmtree(previous, ignore_errors=True)


def _read(folder: Path) -> Checkpoint:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise PahaError(f"the checkpoint {folder} has format {state['format']}, this version reads {FORMAT}")
        for part in PARTS:
            if _sha256(_part_path(folder, part)) != state["sha256"][part]:
                raise PahaError(f"the checkpoint {folder} is damaged: {part}.safetensors is not what was written")
        tensors = {part: read_tensors(_part_path(folder, part)) for part in PARTS}
        return Checkpoint(step=state["step"], fingerprint=state["fingerprint"], scaler=state["scaler"], **tensors)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PahaError(f"the checkpoint {folder} is damaged: {error!r}") from error


def _check_fingerprint(
    saved: Mapping[str, object], current: Mapping[str, object], folder: Path, *, say: Callable[[str], None]
) -> None:
    # Through JSON, so that tuples compare equal to the lists that they were stored as.
    old, new = _flatten(saved), _flatten(json.loads(json.dumps(current)))
    younger = {key for key in new.keys() - old.keys() if key.rpartition(".")[0] in _sections(old)}
    for key in sorted(old.keys() | new.keys() - younger):
        if key not in MAY_DIFFER and old.get(key) != new.get(key):
            change = f"'{key}' was {old.get(key)!r} and is now {new.get(key)!r}"
            raise PahaError(
                f"{folder} belongs to another configuration: {change}; set it back or choose another folder"
            )
    if younger - MAY_DIFFER:
        told = ", ".join(f"{key} = {new[key]}" for key in sorted(younger - MAY_DIFFER))
        say(f"options that {folder} does not know yet: {told}")


def _sections(flat: Mapping[str, object]) -> set[str]:
    return {key.rpartition(".")[0] for key in flat} - {""}


def _flatten(data: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in data.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat


def _part_path(folder: Path, part: str) -> Path:
    return folder / f"{part}.safetensors"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
