"""What our networks have in common: they know their options, and are folders in diffusers' layout.

A folder is config.json and diffusion_pytorch_model.safetensors, as diffusers' ModelMixin writes and reads it, with the
same methods. ModelMixin itself takes three seconds to import (it brings torch._dynamo and transformers), which would be
half of the start of `paha animate`.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from torch import nn

from paha.runtime.tensors import from_eight_bits, save_tensors, to_eight_bits

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
Init = TypeVar("Init", bound=Callable[..., None])


def register_to_config(init: Init) -> Init:
    """Decorates `__init__` of a Network: its arguments, defaults too, become `config`."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapped(self: Network, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        self.config = dict(list(bound.arguments.items())[1:])
        init(self, *args, **kwargs)

    return wrapped  # type: ignore[return-value]


class Network(nn.Module):
    """A module that is built from plain options and kept in a folder. Decorate `__init__` with `register_to_config`."""

    config: dict[str, Any]
    """The arguments it was built with."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A network with random weights. config: of a config.json or another network. Raises TypeError for options that
        it does not know or lacks."""
        return cls(**{name: value for name, value in config.items() if not name.startswith("_")})

    @classmethod
    def from_pretrained(cls, folder: Path | str, *, dtype: torch.dtype = torch.float32) -> Self:
        """The network of a folder, in evaluation mode. `paha.univdm.pretrained.load_part` explains what is wrong with
        one; this raises what files, torch and safetensors raise."""
        from safetensors.torch import load_file

        folder = Path(folder)
        network = cls.from_config(json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8")))
        network.load_state_dict(from_eight_bits(load_file(folder / WEIGHTS_NAME)))
        return network.to(dtype).eval()

    def save_pretrained(self, folder: Path | str, *, eight_bits: bool = False) -> None:
        """Write config.json and the weights into `folder`. eight_bits: half the size of fp16, rounded."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {"_class_name": type(self).__name__} | dict(sorted(self.config.items()))
        (folder / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        state = self.state_dict()
        save_tensors(to_eight_bits(state) if eight_bits else state, folder / WEIGHTS_NAME, metadata={"format": "pt"})

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(chain(self.parameters(), self.buffers())).device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of its weights."""
        return next(value.dtype for value in chain(self.parameters(), self.buffers()) if value.is_floating_point())

    def num_parameters(self) -> int:
        """How many weights it has."""
        return sum(parameter.numel() for parameter in self.parameters())
