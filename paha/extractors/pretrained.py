"""Frozen models of the transformers library, from a local directory or a hub name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paha.errors import PahaError
from paha.runtime.faults import is_want_of_memory


def load_pretrained(class_name: str, name: str | Path, *, remedy: str, subfolder: str = "") -> Any:
    """`transformers.<class_name>` in evaluation mode, without gradients.

    Weights come from safetensors, or where there are none through torch.load(weights_only=True). Raises PahaError that
    names the directory or hub name, the reason and the remedy.
    """
    import transformers

    source = f"{name}/{subfolder}" if subfolder else str(name)
    try:
        model, report = getattr(transformers, class_name).from_pretrained(
            str(name), subfolder=subfolder, output_loading_info=True
        )
    except Exception as error:
        if is_want_of_memory(error):
            raise
        # transformers raises a dozen unrelated types for a missing, cut or foreign file.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PahaError(f"cannot load {class_name} from '{source}': {reason}; {remedy}") from error
    # Used in training alone, and left out of some published checkpoints.
    missing = sorted(key for key in report["missing_keys"] if not key.endswith("masked_spec_embed"))
    if missing:
        raise PahaError(f"'{source}' holds no whole {class_name}: '{missing[0]}' is missing; {remedy}")
    return model.eval().requires_grad_(False)
