"""Strict loading of one network in diffusers' layout, ours or theirs; each complaint is one line and names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from paha.errors import PahaError
from paha.univdm.svd_weights import load_folder

REMEDY = "copy the model folder again, or train one with `paha train`"
Part = TypeVar("Part")


def load_part(cls: type[Part], folder: Path, *, remedy: str = REMEDY) -> Part:
    """One network out of its config.json and safetensors, in evaluation mode, float32, without gradients.

    cls: a model class of diffusers or of this package. remedy: what to do, the end of a message. Every key and shape
    must fit. Raises PahaError that names the file, and the key where one is missing, extra or of another shape.
    """
    settings = _read_settings(folder / "config.json", cls.__name__, remedy)
    weights = load_folder(folder)
    try:
        with _Uninitialised():
            model: Any = cls.from_config(settings)  # pyright: ignore[reportAttributeAccessIssue]
    except (TypeError, ValueError, KeyError, PahaError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PahaError(f"{folder / 'config.json'} does not describe a {cls.__name__}: {reason}") from error
    _check_weights(weights, model.state_dict(), folder, remedy)
    # Copies: tensors of the mapped file are not aligned, which changes the last bit of what is computed with them.
    copies = {k: v.to(torch.float32 if v.is_floating_point() else v.dtype, copy=True) for k, v in weights.items()}
    model.load_state_dict(copies, strict=True, assign=True)
    return model.eval().requires_grad_(False)


class _Uninitialised(TorchFunctionMode):
    """Weights of modules that are built inside, on this thread, are whatever their memory holds: `torch.nn.init` does
    nothing, which for large networks takes longer than reading them. (accelerate's `init_empty_weights` acts on all
    threads, and takes a tenth of a second to import.)"""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return func(*args, **(kwargs or {}))


def _check_weights(weights: dict[str, Tensor], expected: dict[str, Tensor], folder: Path, remedy: str) -> None:
    """Raises PahaError that names the first key that is missing, of another shape, not finite, or not known."""
    for key, value in expected.items():
        if key not in weights:
            raise PahaError(f"the weights in {folder} have no '{key}'; they are of another model: {remedy}")
        if weights[key].shape != value.shape:
            found, wanted = tuple(weights[key].shape), tuple(value.shape)
            raise PahaError(f"'{key}' in {folder} has shape {found}, the model wants {wanted}; {remedy}")
        if not torch.isfinite(weights[key]).all():
            raise PahaError(f"'{key}' in {folder} holds values that are not numbers; {remedy}")
    unknown = sorted(weights.keys() - expected.keys())
    if unknown:
        raise PahaError(f"'{unknown[0]}' in {folder} is no weight of this model; {remedy}")


def _read_settings(path: Path, class_name: str, remedy: str) -> dict[str, Any]:
    if not path.is_file():
        raise PahaError(f"{path} is missing; {remedy}")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        found = settings["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PahaError(f"{path} is not the configuration of a {class_name}; {remedy}") from error
    if found != class_name:
        raise PahaError(f"{path} describes a {found}, not a {class_name}; {remedy}")
    return settings
