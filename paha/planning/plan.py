"""Memory and time of training and sampling, worked out from the model on the meta device: nothing is allocated."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from paha.config import PahaConfig
from paha.errors import PahaError
from paha.planning.accounting import Cost, forward_cost, step_cost
from paha.univdm.conditioning import Conditioning
from paha.univdm.svd_weights import new_keys
from paha.univdm.univdm import UniVDM

Precision = Literal["no", "fp16", "bf16"]
LOWER = {"no": None, "fp16": torch.float16, "bf16": torch.bfloat16}
ENCODER_PARAMETERS = {"clip": 632_076_800, "wav2vec2": 94_371_712}
"""CLIP ViT-H/14's image half and wav2vec 2.0 base; their activations are smaller than UniVDM's."""
SAMPLING_GPUS_GB = (12.0, 24.0)
RESERVE = 0.1
"""Part of a GPU's memory left to its context, kernels' workspaces and gaps."""
OPERATION_SECONDS = 30e-6
"""What it takes to tell a GPU of one operation: 26 to 36 us were measured beside an H200. However fast the GPU is and
however few the pixels, a pass takes no less."""
_GB = 1e9


@dataclass(frozen=True)
class Savings:
    """Options that save memory in training; see `TrainConfig`."""

    checkpointing: bool = False
    ema_on_cpu: bool = False
    adamw8bit: bool = False
    sharding: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run needs. Bytes and flops are of one GPU; frozen extractors are left out (their features are cached).

    parameters: of each stage. new_parameters: those that SVD has not (audio). largest_block: parameters that sharding
    gathers at once. clips_per_part, turns: clips of one forward pass, and forward passes of a step. plain,
    checkpointed: of one forward and backward pass, its gradients among the bytes.
    """

    name: str
    height: int
    width: int
    num_frames: int
    steps: int
    gpus: int
    batch_size: int
    clips_per_part: int
    turns: int
    precision: Precision
    gpu_memory_gb: float
    gpu_tflops: float
    utilisation: float
    parameters: dict[str, int]
    new_parameters: int
    largest_block: int
    plain: Cost
    checkpointed: Cost

    @property
    def total_parameters(self) -> int:
        """All parameters."""
        return sum(self.parameters.values())

    def state_bytes(self, savings: Savings = Savings()) -> dict[str, int]:
        """Bytes that stay through the run: weights, gradients, AdamW's two moments, EMA, DDP's buckets; float32, but
        for 8-bit moments (with a scale for each 256)."""
        four = 4 * self.total_parameters
        moments = 2 * (self.total_parameters + four // 256) if savings.adamw8bit else 2 * four
        states = {"weights": four, "gradients": four, "AdamW state": moments, "EMA": 0 if savings.ema_on_cpu else four}
        if savings.sharding:
            shares = {name: math.ceil(count / self.gpus) for name, count in states.items()}
            # A block's weights and gradients are whole while it computes, and the next block's are on their way.
            return shares | {"gathered blocks": 4 * 4 * self.largest_block}
        return states | ({"communication buckets": four} if self.gpus > 1 else {})

    def activation_bytes(self, savings: Savings = Savings()) -> int:
        """Bytes at the peak of a forward and backward pass beyond the states, the gradients among them."""
        cost = self.checkpointed if savings.checkpointing else self.plain
        gradients = 4 * self.total_parameters
        if savings.sharding:  # at the peak, where the backward pass begins, hardly any gradient is there yet
            return cost.peak_bytes - (gradients if self.turns > 1 else 0)
        return max(cost.peak_bytes - gradients, 0)

    def total_bytes(self, savings: Savings = Savings()) -> int:
        """State and activations."""
        return sum(self.state_bytes(savings).values()) + self.activation_bytes(savings)

    def fits(self, savings: Savings = Savings()) -> bool:
        """Whether the total leaves the reserve of the GPU's memory free."""
        return self.total_bytes(savings) < (1 - RESERVE) * self.gpu_memory_gb * _GB

    def seconds_per_step(self, *, checkpointing: bool) -> float:
        """Of a step on this GPU; the optimizer and the exchange of gradients are not counted."""
        cost = self.checkpointed if checkpointing else self.plain
        return self.turns * gpu_seconds(cost, tflops=self.gpu_tflops, utilisation=self.utilisation)


def gpu_seconds(cost: Cost, *, tflops: float, utilisation: float) -> float:
    """The flops at the GPU's speed and the utilisation, or the launches of all operations, whichever takes longer."""
    return max(cost.flops / (tflops * 1e12 * utilisation), cost.operations * OPERATION_SECONDS)


@dataclass(frozen=True)
class SamplingPlan:
    """What sampling one segment needs, in half precision. weights: bytes of each network. univdm, decode, decode_few:
    one evaluation; the decoding as it is and with `--low-vram`. steps: solver steps a segment.
    """

    weights: dict[str, int]
    univdm: Cost
    decode: Cost
    decode_few: Cost
    steps: int

    @property
    def plain_bytes(self) -> int:
        """All networks on the device."""
        return sum(self.weights.values()) + max(self.univdm.peak_bytes, self.decode.peak_bytes)

    @property
    def low_vram_bytes(self) -> int:
        """One network at a time (`paha animate --low-vram`)."""
        work = {"UniVDM": self.univdm.peak_bytes, "codec": self.decode_few.peak_bytes}
        return max(count + work.get(name, 0) for name, count in self.weights.items())


def plan(
    config: PahaConfig,
    *,
    gpus: int = 8,
    gpu_memory_gb: float = 80.0,
    gpu_tflops: float = 312.0,
    utilisation: float = 0.35,
    precision: Precision | None = None,
    steps: int | None = None,
    short_keys: int = 0,
) -> Plan:
    """Plan the training of UniVDM of a preset.

    precision, steps: the preset's if None. gpu_tflops: peak dense TFLOP/s in that precision (312: an A100 in bf16);
    utilisation: the part of it that is reached. short_keys: as in `Kernels`, for a CPU. Raises PahaError on senseless
    numbers.
    """
    for name, value in {"gpus": gpus, "GPU memory": gpu_memory_gb, "TFLOP/s": gpu_tflops}.items():
        if value <= 0:
            raise PahaError(f"plan: {name} must be above 0, not {value}")
    if not 0 < utilisation <= 1:
        raise PahaError(f"plan: utilisation must lie in (0, 1], not {utilisation}")
    precision = config.train.mixed_precision if precision is None else precision
    clips, turns = share_batch(config, gpus=gpus)
    with torch.device("meta"):
        model = UniVDM.from_model_config(config.model)
        z, times, conditioning = example_inputs(config, batch_size=clips)
        cost = partial(
            step_cost,
            model,
            lambda: model(z, times, conditioning).float().mean(),
            lower=LOWER[precision],
            accumulating=turns > 1,
            short_keys=short_keys,
        )
        plain, checkpointed = cost(), cost(checkpointing=True)
    return Plan(
        name=config.name,
        height=config.height,
        width=config.width,
        num_frames=config.num_frames,
        steps=steps or config.train.steps,
        gpus=gpus,
        batch_size=config.train.batch_size * config.train.num_micro_batches,
        clips_per_part=clips,
        turns=turns,
        precision=precision,
        gpu_memory_gb=gpu_memory_gb,
        gpu_tflops=gpu_tflops,
        utilisation=utilisation,
        parameters={name: _count(child) for name, child in model.named_children()},
        new_parameters=sum(model.get_parameter(key).numel() for key in new_keys(model)),
        largest_block=max(_count(block) for block in _blocks(model)),
        plain=plain,
        checkpointed=checkpointed,
    )


def share_batch(config: PahaConfig, *, gpus: int) -> tuple[int, int]:
    """(clips of one part, parts one after the other) of each GPU: as the training shares a step's parts, and for more
    GPUs than parts, which it refuses, with the parts cut up as it says."""
    batch, parts = config.train.batch_size, config.train.num_micro_batches
    if gpus <= parts:
        return batch, math.ceil(parts / gpus)
    return math.ceil(batch * parts / gpus), 1


def plan_sampling(config: PahaConfig, *, precision: torch.dtype = torch.float16) -> SamplingPlan:
    """Plan the sampling of one segment, without guidance."""
    from paha.pipeline.low_vram import DECODE_CHUNK

    half = torch.finfo(precision).bits // 8
    with torch.device("meta"):
        model: Any = UniVDM.from_model_config(config.model)
        model.to(precision)
        z, times, conditioning = example_inputs(config, batch_size=1)
        inputs = z.to(precision), times, conditioning.to("meta", precision)
        univdm = forward_cost(model, lambda: model(*inputs))
        codec, decode = meta_codec(config, precision)
        latents = z[0].to(precision)
        codec_costs = [
            forward_cost(codec, partial(decode, latents[:chunk]))
            for chunk in (_default_chunk(config), min(DECODE_CHUNK, config.num_frames))
        ]
    weights = {"UniVDM": half * _count(model), "codec": half * _count(codec)}
    if config.image.kind == "clip":
        weights["CLIP"] = half * ENCODER_PARAMETERS["clip"]
    if config.audio.kind == "wav2vec2":
        weights["wav2vec 2.0"] = half * ENCODER_PARAMETERS["wav2vec2"]
    return SamplingPlan(weights, univdm, *codec_costs, steps=config.sample.steps)


def _default_chunk(config: PahaConfig) -> int:
    """Frames decoded at once."""
    return min(14, config.num_frames) if config.codec.kind == "svd" else config.num_frames


def meta_codec(config: PahaConfig, dtype: torch.dtype) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The codec without data, on the meta device, and its decoding of one video's latents (T, C, h, w)."""
    with torch.device("meta"):
        return _codec(config, dtype)


def _codec(config: PahaConfig, dtype: torch.dtype) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    if config.codec.kind == "motion":
        from paha.motion.motion_codec import MotionCodec

        return MotionCodec(), lambda z: z  # a photograph is moved without a network
    if config.codec.kind == "pixel":
        from paha.extractors.pixel_codec import PixelCodec

        codec: Any = PixelCodec.from_codec_config(config.codec)
        return codec.to(dtype), codec.decode
    from diffusers import AutoencoderKLTemporalDecoder

    levels = round(math.log2(config.codec.downsample)) + 1
    kinds: Any = ("DownEncoderBlock2D",) * levels
    widths: Any = (128, 256, 512, 512)[:levels]
    vae: Any = AutoencoderKLTemporalDecoder(down_block_types=kinds, block_out_channels=widths, layers_per_block=2)
    vae.to("meta", dtype)  # one of its parameters ignores the default device
    return vae, lambda z: vae.decode(z, num_frames=len(z), return_dict=False)[0]


def _blocks(model: nn.Module) -> list[nn.Module]:
    from paha.univdm.blocks import SpatialBlock, SpatioTemporalResBlock, TemporalBlock

    return [m for m in model.modules() if isinstance(m, SpatialBlock | TemporalBlock | SpatioTemporalResBlock)]


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


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


def step_timer(config: PahaConfig, device: torch.device, *, precision: Precision = "no") -> Callable[[], float]:
    """What times one forward and backward pass of one clip on `device`, in seconds, after one to warm up."""
    model: Any = UniVDM.from_model_config(config.model)
    model.to(device)
    with torch.device(device):
        inputs = example_inputs(config, batch_size=1)
    enabled, lower = LOWER[precision] is not None, LOWER[precision] or torch.float32

    def step() -> float:
        begin = time.perf_counter()
        with torch.autocast(device.type, dtype=lower, enabled=enabled):
            loss = model(*inputs).float().mean()
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - begin
        model.zero_grad(set_to_none=True)
        return seconds

    step()
    return step


def extrapolate(flops: float, *, measured: dict[float, float]) -> float:
    """Seconds of a pass of so many flops, from two measured ones (flops: seconds): a fixed cost and a rate.

    Raises PahaError where the larger one was not the slower: the machine was busy.
    """
    (small, small_s), (large, large_s) = sorted(measured.items())
    if large_s <= small_s:
        raise PahaError("the machine is too busy to be timed; try again")
    return large_s + (flops - large) * (large_s - small_s) / (large - small)
