"""Sampling on a small GPU: fp16 throughout, one network at a time on the device, frames decoded a few at a time."""

from __future__ import annotations

from typing import Any

import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from accelerate.utils import send_to_device
from accelerate.utils.memory import clear_device_cache
from torch import nn

from paha.extractors.codec import SVDCodec
from paha.pipeline.pipeline import PahaPipeline

DECODE_CHUNK = 4
"""Frames that SVD's VAE decodes at once; its temporal decoder sees no further."""


class Turns:
    """Networks that take turns on one device: the one that is called is moved there, the one before off it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.current: nn.Module | None = None

    def add(self, module: nn.Module) -> None:
        """Let a network take part: it waits on the CPU until it is called."""
        add_hook_to_module(module.to("cpu"), _TakesTurns(self), append=True)

    def bring(self, module: nn.Module) -> None:
        """Make `module` the one on the device."""
        if self.current is module:
            return
        if self.current is not None:
            self.current.to("cpu")
            clear_device_cache()
        self.current = module.to(self.device)


class _TakesTurns(ModelHook):
    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self.turns.bring(module)
        return send_to_device(args, self.turns.device), send_to_device(kwargs, self.turns.device)


def enable_low_vram(pipeline: PahaPipeline, device: torch.device) -> PahaPipeline:
    """Set the pipeline up to compute on `device` with as little of its memory as can be; returns the pipeline.

    On a CPU, whose half precision is slow and where nothing is to be offloaded, only the decoding changes.
    """
    if isinstance(pipeline.codec, SVDCodec):
        pipeline.codec.decode_chunk = DECODE_CHUNK
    return pipeline.to(device) if device.type == "cpu" else offload(pipeline, device)


def offload(pipeline: PahaPipeline, device: torch.device) -> PahaPipeline:
    """fp16, and one large network at a time on `device`; returns the pipeline."""
    pipeline.to(dtype=torch.float16)
    turns = Turns(device)
    for module in (pipeline.univdm, *_large_parts(pipeline)):
        turns.add(module.half())
    pipeline.compute_on(device)
    if not isinstance(pipeline.codec, SVDCodec):
        pipeline.codec.to(device)  # our own is small, and is called by more than its forward
    return pipeline


def _large_parts(pipeline: PahaPipeline) -> list[nn.Module]:
    parts: list[Any] = [pipeline.codec.vae] if isinstance(pipeline.codec, SVDCodec) else []
    models = (getattr(encoder, "model", None) for encoder in (pipeline.audio_encoder, pipeline.image_encoder))
    return parts + [model for model in models if isinstance(model, nn.Module)]
