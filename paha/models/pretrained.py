"""Strict loading of diffusers models, ours and theirs: no tensor missing, none left over, one line on failure."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar, cast

import torch
from diffusers.models.modeling_utils import ModelMixin

from paha.errors import PahaError

M = TypeVar("M", bound=ModelMixin)


def load_model(cls: type[M], source: str | Path, *, remedy: str, subfolder: str | None = None) -> M:
    """Load a model by `from_pretrained`: float32, eval mode, without gradients.

    source: a local folder, or a hub name. remedy: what to do, the end of the message. Raises PahaError, one line that
    names the class, the place and the reason (a file missing or damaged, tensors missing or unknown).
    """
    where = f"{source}/{subfolder}" if subfolder else str(source)
    try:
        loaded = cls.from_pretrained(
            str(source), subfolder=subfolder, use_safetensors=True, torch_dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:
        # diffusers raises many unrelated types for a missing, cut or foreign file.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PahaError(f"cannot load the {cls.__name__} from {where}: {reason}; {remedy}") from error
    model, info = cast(tuple[M, dict[str, list[str]]], loaded)
    for what, keys in (("missing", info["missing_keys"]), ("unknown", info["unexpected_keys"])):
        if keys:
            raise PahaError(
                f"{where} holds another model than {cls.__name__}: tensor '{sorted(keys)[0]}' is {what}; {remedy}"
            )
    model.eval().requires_grad_(False)
    return model
