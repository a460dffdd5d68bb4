"""From a model folder to a pipeline on its device; the shipped model where none is named."""

from __future__ import annotations

from pathlib import Path

import torch

from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.device import pick_device

SHIPPED_MODEL = Path(__file__).parents[1] / "assets" / "presenter"


def load_pipeline(
    model: Path | None, *, device: str | None = None, dtype: str = "float32", low_vram: bool = False
) -> PahaPipeline:
    """The pipeline of a model folder, the shipped presenter by default, on its device."""
    place = pick_device(device)
    pipeline = PahaPipeline.from_pretrained(SHIPPED_MODEL if model is None else model, dtype=getattr(torch, dtype))
    if low_vram:
        from paha.pipeline.low_vram import enable_low_vram

        return enable_low_vram(pipeline, place)
    return pipeline.to(place)
