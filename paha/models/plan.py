"""Memory and time of a training run, worked out from the model on the meta device: nothing is allocated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from paha.config import PahaConfig
from paha.errors import PahaError
from paha.models.accounting import StepCost, step_cost
from paha.models.univdm import UniVDM
from paha.models.weights import new_keys
from paha.types import Conditioning

Precision = Literal["no", "fp16", "bf16"]
_LOWER = {"no": None, "fp16": torch.float16, "bf16": torch.bfloat16}
_GB = 1e9


@dataclass(frozen=True)
class Plan:
    """What a run needs. Bytes and flops are of one GPU; frozen extractors are left out (their features are cached).

    parameters: of each stage. new_parameters: those that SVD has not (audio). cost: of one step, see `StepCost`.
    """

    name: str
    height: int
    width: int
    num_frames: int
    steps: int
    gpus: int
    batch_size: int
    precision: Precision
    gpu_memory_gb: float
    gpu_tflops: float
    utilisation: float
    parameters: dict[str, int]
    new_parameters: int
    cost: StepCost

    @property
    def total_parameters(self) -> int:
        """All parameters."""
        return sum(self.parameters.values())

    @property
    def batch_per_gpu(self) -> int:
        """Clips of one GPU's step."""
        return math.ceil(self.batch_size / self.gpus)

    def state_bytes(self) -> dict[str, int]:
        """Bytes that stay through the run, all float32: weights, gradients, AdamW's two moments, EMA, DDP's buckets."""
        four = 4 * self.total_parameters
        buckets = {"communication buckets": four} if self.gpus > 1 else {}
        return {"weights": four, "gradients": four, "AdamW state": 2 * four, "EMA": four, **buckets}

    def activation_bytes(self, *, checkpointing: bool) -> int:
        """Bytes at the start of the backward pass, with room for the gradients of the three largest tensors."""
        kept = self.cost.checkpointed_bytes if checkpointing else self.cost.saved_bytes
        return kept + 3 * self.cost.largest_bytes

    def total_bytes(self, *, checkpointing: bool) -> int:
        """State and activations."""
        return sum(self.state_bytes().values()) + self.activation_bytes(checkpointing=checkpointing)

    def fits(self, *, checkpointing: bool) -> bool:
        """Whether the total stays below 90 % of the GPU's memory: the rest goes to the context, kernels and gaps."""
        return self.total_bytes(checkpointing=checkpointing) < 0.9 * self.gpu_memory_gb * _GB

    def seconds_per_step(self, *, checkpointing: bool) -> float:
        """Flops of a step at the GPU's speed and the utilisation; the exchange of gradients is not counted."""
        flops = self.cost.checkpointed_flops if checkpointing else self.cost.flops
        return flops / (self.gpu_tflops * 1e12 * self.utilisation)


def plan(
    config: PahaConfig,
    *,
    gpus: int = 8,
    batch_size: int | None = None,
    gpu_memory_gb: float = 80.0,
    gpu_tflops: float = 312.0,
    utilisation: float = 0.35,
    precision: Precision = "bf16",
    steps: int | None = None,
) -> Plan:
    """Plan the training of UniVDM of a preset.

    batch_size: clips a step over all GPUs (the preset's if None), steps likewise. gpu_tflops: peak dense TFLOP/s in
    that precision (312: an A100 in bf16); utilisation: the part of it that is reached. Raises PahaError on senseless
    numbers.
    """
    batch_size = config.train.batch_size if batch_size is None else batch_size
    numbers = {"gpus": gpus, "batch size": batch_size, "GPU memory": gpu_memory_gb, "TFLOP/s": gpu_tflops}
    for name, value in numbers.items():
        if value <= 0:
            raise PahaError(f"plan: {name} must be above 0, not {value}")
    if not 0 < utilisation <= 1:
        raise PahaError(f"plan: utilisation must lie in (0, 1], not {utilisation}")
    with torch.device("meta"):
        model = UniVDM.from_model_config(config.model)
        parameters = {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}
        new = sum(model.get_parameter(key).numel() for key in new_keys(model))
        z, time, conditioning = example_inputs(config, batch_size=math.ceil(batch_size / gpus))
        cost = step_cost(model, lambda: model(z, time, conditioning).float().mean(), lower=_LOWER[precision])
    return Plan(
        name=config.name,
        height=config.height,
        width=config.width,
        num_frames=config.num_frames,
        steps=steps or config.train.steps,
        gpus=gpus,
        batch_size=batch_size,
        precision=precision,
        gpu_memory_gb=gpu_memory_gb,
        gpu_tflops=gpu_tflops,
        utilisation=utilisation,
        parameters=parameters,
        new_parameters=new,
        cost=cost,
    )


def example_inputs(config: PahaConfig, *, batch_size: int) -> tuple[Tensor, Tensor, Conditioning]:
    """Random latents, times and conditioning of a preset's sizes, on the current default device."""
    m = config.model
    size = (m.latent_channels, config.height // config.codec.downsample, config.width // config.codec.downsample)
    num_tokens = config.image.pool**2 if config.image.kind == "pooled" else 1
    conditioning = Conditioning(
        ref_latent=torch.randn(batch_size, *size),
        ref_channels=torch.randn(batch_size, *size),
        image_tokens=torch.randn(batch_size, num_tokens, m.cross_attention_dim),
        audio=torch.randn(batch_size, config.num_frames, 2 * m.audio_margin + 1, m.audio_layers, m.audio_dim),
    )
    return torch.randn(batch_size, config.num_frames, *size), torch.randn(batch_size, config.num_frames), conditioning


def format_plan(plan: Plan) -> str:
    """The plan as text for people."""
    lines = [
        f"{plan.name}: {plan.width} x {plan.height}, {plan.num_frames} frames + reference, batch {plan.batch_size} on "
        f"{plan.gpus} GPU{'s' * (plan.gpus > 1)} ({plan.batch_per_gpu} each), precision {plan.precision}",
        "",
        _row("parameters", f"{plan.total_parameters:,}", f"of them new beside SVD (audio): {plan.new_parameters:,}"),
        *(_row(f"  {name}", f"{count:,}") for name, count in plan.parameters.items()),
        "",
        f"memory of one GPU ({plan.gpu_memory_gb:g} GB)",
        *(_row(f"  {name}", _unit(count, "B")) for name, count in plan.state_bytes().items()),
    ]
    return "\n".join([*lines, *_choice(plan, checkpointing=False), *_choice(plan, checkpointing=True)])


def _choice(plan: Plan, *, checkpointing: bool) -> list[str]:
    seconds = plan.seconds_per_step(checkpointing=checkpointing)
    flops = plan.cost.checkpointed_flops if checkpointing else plan.cost.flops
    verdict = "fits" if plan.fits(checkpointing=checkpointing) else "DOES NOT FIT"
    return [
        "",
        f"{'with' if checkpointing else 'without'} gradient checkpointing",
        _row("  activations", _unit(plan.activation_bytes(checkpointing=checkpointing), "B")),
        _row("  in all", _unit(plan.total_bytes(checkpointing=checkpointing), "B"), verdict),
        _row(
            "  a step",
            _unit(flops, "FLOP"),
            f"a GPU, {_unit(seconds, 's')} at {plan.utilisation:.0%} of {plan.gpu_tflops:g} TFLOP/s",
        ),
        _row(f"  {plan.steps:,} steps", f"{seconds * plan.steps / 3600:,.1f} hours"),
    ]


def _row(name: str, value: str, note: str = "") -> str:
    return f"{name:<26}{value:>15}  {note}".rstrip()


def _unit(value: float, unit: str) -> str:
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")):
        if value >= factor and not (unit == "B" and prefix == "T"):
            return f"{value / factor:.2f} {prefix}{unit}"
    return f"{1000 * value:.3g} m{unit}"
