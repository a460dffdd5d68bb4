"""What `benchmarks.gpu` measures of one case. Each part yields (measure, reading), those that matter most first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.device import Bench, Reading, free
from benchmarks.gpu.twin import diffusers_twin
from paha.config import PahaConfig
from paha.extractors.codec import SVDCodec
from paha.guidance.classifier_gradient import GuidanceKind, GuidanceOptions, make_guidance
from paha.pce.classifier import CLASSIFIERS, PCEClassifier
from paha.pce.regions import REGIONS, Region
from paha.planning.accounting import forward_cost
from paha.planning.plan import example_inputs, meta_codec
from paha.sampling.sampler import sample
from paha.sampling.schedule import Schedule
from paha.types import FPS
from paha.univdm.attention import ConditioningCache
from paha.univdm.conditioning import Conditioning
from paha.univdm.univdm import UniVDM

FACE_BOX = (0.35, 0.1, 0.65, 0.45)
KINDS: tuple[GuidanceKind, ...] = ("none", "sg", "dg")
Rows = Iterator[tuple[str, Reading]]


@dataclass(frozen=True)
class Case:
    """A preset at a size; clips: of a forward pass and of a training step."""

    name: str
    config: PahaConfig
    clips: int = 1


def on_device(bench: Bench, make: Callable[[], nn.Module]) -> nn.Module:
    """A network of random weights, made on the device, in evaluation mode and without gradients."""
    torch.manual_seed(0)
    with torch.device(bench.device):
        model = make()
    return model.to(bench.device, bench.dtype).eval().requires_grad_(False)


def univdm(case: Case) -> Any:
    """A new UniVDM of that case."""
    return UniVDM.from_model_config(case.config.model)


def inputs(
    case: Case, bench: Bench, *, clips: int | None = None, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor, Conditioning]:
    """Random ones, on the device. dtype: the networks' by default; a training step is given float32."""
    dtype = dtype or bench.dtype
    with torch.device(bench.device):
        z, times, conditioning = example_inputs(case.config, batch_size=clips or case.clips)
    return z.to(dtype), times, conditioning.to(bench.device, dtype)


def twin_inputs(case: Case, bench: Bench, *, dtype: torch.dtype | None = None) -> tuple[Tensor, ...]:
    """The same for diffusers' network, which sees T + 1 frames."""
    z, times, conditioning = inputs(case, bench, dtype=dtype)
    shape = (len(z), z.shape[1] + 1, 2 * z.shape[2], *z.shape[3:])
    merged = torch.randn(shape, device=bench.device, dtype=z.dtype)
    ids = torch.tensor([[24.0, 127.0, 0.0]]).repeat(len(z), 1)
    return merged, times[0, 0], conditioning.image_tokens, ids.to(merged)


def forward_flops(case: Case) -> int:
    """Of one forward pass of UniVDM, counted on the meta device."""
    with torch.device("meta"):
        meta, given = univdm(case), example_inputs(case.config, batch_size=case.clips)
        return forward_cost(meta, lambda: meta(*given)).flops


def univdm_forward(case: Case, bench: Bench) -> Callable[..., Tensor]:
    """UniVDM on one random batch; takes `cache`."""
    model, given = on_device(bench, lambda: univdm(case)), inputs(case, bench)
    return lambda **options: model(*given, **options)


def twin_forward(case: Case, bench: Bench) -> Callable[[], object]:
    """diffusers' network on one."""
    twin, given = on_device(bench, lambda: diffusers_twin(case.config.model)), twin_inputs(case, bench)
    return lambda: twin(*given, return_dict=False)


@torch.no_grad()
def forward_rows(case: Case, bench: Bench) -> Rows:
    """Forward passes, ours and diffusers'."""
    flops = forward_flops(case)
    compute = univdm_forward(case, bench)
    ours = bench.reading(compute, flops=flops)
    yield "UniVDM forward", ours
    again, _ = bench.median(partial(compute, cache=ConditioningCache()))
    yield "forward, what all steps share cache", Reading(again, ratio=again / (ours.seconds or 1.0))
    del compute
    free()
    theirs = bench.reading(twin_forward(case, bench))
    yield "diffusers forward", theirs
    yield "forward, UniVDM / diffusers", Reading(ratio=_ratio(ours, theirs))


def _ratio(ours: Reading, theirs: Reading) -> float:
    return (ours.seconds or 0.0) / (theirs.seconds or 1.0)


class Trainee:
    """A network in training: mixed precision, float32 weights, fused AdamW, checkpointing as the preset has it."""

    def __init__(self, model: nn.Module, compute: Callable[[nn.Module], Tensor], case: Case, bench: Bench) -> None:
        self.model, self.compute, self.bench = model.train(), compute, bench
        if case.config.train.gradient_checkpointing:
            model.enable_gradient_checkpointing()  # type: ignore[operator]
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
        self.lower, self.cached_casts = bench.dtype, True

    def step(self) -> None:
        """Forward, backward, update."""
        enabled = self.lower != torch.float32
        lower = {"dtype": self.lower if enabled else None, "enabled": enabled, "cache_enabled": self.cached_casts}
        with torch.autocast(self.bench.device.type, **lower):  # type: ignore[arg-type]
            loss = self.compute(self.model).float().square().mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def univdm_trainee(case: Case, bench: Bench) -> Trainee:
    """UniVDM in training on one random batch."""
    torch.manual_seed(0)
    with torch.device(bench.device):
        model = univdm(case)
    z, times, conditioning = inputs(case, bench, dtype=torch.float32)
    return Trainee(model, lambda m: m(z, times, conditioning), case, bench)


def twin_trainee(case: Case, bench: Bench) -> Trainee:
    """diffusers' network in training."""
    with torch.device(bench.device):
        model: Any = diffusers_twin(case.config.model)
    model.to(bench.device)  # its mix factors ignore the default device
    arguments = twin_inputs(case, bench, dtype=torch.float32)
    return Trainee(model, lambda m: m(*arguments, return_dict=False)[0], case, bench)


def training_rows(case: Case, bench: Bench) -> Rows:
    """Training steps, ours and diffusers'. The flops: three forward passes, or four where one is computed again."""
    passes = 4 if case.config.train.gradient_checkpointing else 3
    trainee = univdm_trainee(case, bench)
    ours = bench.reading(trainee.step, flops=passes * forward_flops(case), items=case.clips)
    yield "UniVDM training step", ours
    del trainee
    free()
    twin = twin_trainee(case, bench)
    theirs = bench.reading(twin.step)
    yield "diffusers training step", theirs
    yield "training step, UniVDM / diffusers", Reading(ratio=_ratio(ours, theirs))


@torch.no_grad()
def sampling_rows(case: Case, bench: Bench, *, steps: int) -> Rows:
    """A segment without guidance, its decoding, then with SG and with DG (rate 50 %)."""
    sampler = Sampler(case, bench)
    emitted = (case.config.num_frames - 1) / FPS
    plain = sampler.seconds("none", steps)
    yield f"sampling, {steps} steps", Reading(plain)
    decode, _ = bench.median(decoder(case, bench))
    yield "decoding a segment", Reading(decode)
    yield "s per s of video", Reading(note=f"{(plain + decode) / emitted:.2f}")
    for kind in KINDS[1:]:
        two = sampler.seconds(kind, 2)
        if steps / 2 * two > bench.left:
            yield f"with {kind.upper()}", Reading(note="no time left")
            continue
        seconds = sampler.seconds(kind, steps)
        yield f"with {kind.upper()}", Reading(seconds, ratio=seconds / plain)


class Sampler:
    """Samples segments of one clip with random networks."""

    def __init__(self, case: Case, bench: Bench) -> None:
        self.case, self.bench = case, bench
        self.schedule = Schedule(case.config.diffusion)
        self.z, _, self.conditioning = inputs(case, bench, clips=1)
        self.model: Any = on_device(bench, lambda: univdm(case))
        self.classifiers: dict[Region, Any] = {}
        self.told: dict[int, tuple[Conditioning, ConditioningCache]] = {}
        self.seconds("none", 2)

    def seconds(self, kind: GuidanceKind, steps: int) -> float:
        """Of one segment."""
        guidance = None if kind == "none" else self._guidance(kind)
        self.told = {}
        options = {"steps": steps, "schedule": self.schedule, "guidance": guidance}
        prediction = self.case.config.diffusion.prediction_type
        return self.bench.timed(
            lambda: sample(self._predict, self.z.float(), prediction_type=prediction, **options)  # type: ignore[arg-type]
        )

    def _guidance(self, kind: GuidanceKind) -> Any:
        options = CLASSIFIERS.get(self.case.config.name, CLASSIFIERS["paper"])
        for region in REGIONS:
            if region not in self.classifiers:
                make = partial(PCEClassifier.from_univdm, self.model, options, region=region)
                self.classifiers[region] = on_device(self.bench, make)
        factory = make_guidance(
            GuidanceOptions(kind=kind),
            self.classifiers,
            box=torch.tensor(FACE_BOX, device=self.bench.device),
            schedule=self.schedule,
            latent_size=(self.z.shape[-2], self.z.shape[-1]),
        )
        return factory(self.conditioning)

    def _predict(self, z_t: Tensor, t: Tensor) -> Tensor:
        copies = len(z_t) // len(self.z)
        if copies not in self.told:
            self.told[copies] = self.conditioning.repeat(copies), ConditioningCache()
        conditioning, cache = self.told[copies]
        return self.model(z_t.to(self.bench.dtype), self.schedule.time_input(t), conditioning, cache=cache).float()


def decoder(case: Case, bench: Bench) -> Callable[[], object]:
    """What decodes all frames of a segment, with random weights."""
    latents = inputs(case, bench, clips=1)[0][0]
    empty, _ = meta_codec(case.config, bench.dtype)
    codec: Any = empty.to_empty(device=bench.device)
    for parameter in codec.parameters():
        nn.init.normal_(parameter, std=0.02)
    if case.config.codec.kind == "svd":
        codec = SVDCodec(codec)
    return lambda: codec.decode(latents)
