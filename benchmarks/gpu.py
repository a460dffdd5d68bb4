"""What one device does with UniVDM, in one table: forward, training step, sampling with and without guidance, decoding.

python -m benchmarks.gpu [--minutes 8]      presenter and paper at 256 and 512 px, 32 frames, bf16
python -m benchmarks.gpu --toy              the debug preset, for CI

Random weights, no network, no data. Beside UniVDM at T frames and its reference slot stands diffusers' SVD U-Net of the
same widths at T + 1 frames, in the same run. Flops are counted on the meta device (`paha.models.accounting`); the share
is of the matrix rate that the device reaches on one large product in the same run. Cases that do not fit, or for which
no time is left, say so. The numbers are of one clip; SG and DG guide half of the steps, with random classifiers.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import torch
import typer
from torch import Tensor, nn

from benchmarks.forward import diffusers_twin, timed
from paha.classifier_guidance import GuidanceKind, GuidanceOptions, make_guidance
from paha.config import PahaConfig
from paha.diffusion.schedule import Schedule
from paha.extractors.codec import SVDCodec
from paha.masks import REGIONS, Region
from paha.models.accounting import forward_cost, step_cost
from paha.models.classifier import CLASSIFIERS, PCEClassifier
from paha.models.plan import example_inputs, meta_codec
from paha.models.univdm import UniVDM
from paha.presets import preset
from paha.sampling import sample
from paha.types import FPS, Conditioning
from paha.verbs import pick_device

FACE_BOX = (0.35, 0.1, 0.65, 0.45)
Row = dict[str, str]


class Bench:
    """The device, its matrix rate, the type of the networks and the time that is left."""

    def __init__(self, device: torch.device, *, seconds: float) -> None:
        self.device = device
        self.gpu = device.type == "cuda"
        self.dtype = torch.bfloat16 if self.gpu else torch.float32
        self.deadline = time.monotonic() + seconds
        self.tflops = self.matrix_tflops()

    @property
    def name(self) -> str:
        """The device, in words."""
        return torch.cuda.get_device_name(self.device) if self.gpu else f"CPU, {torch.get_num_threads()} threads"

    def matrix_tflops(self) -> float:
        """TFLOP/s of one large matrix product in the networks' type."""
        n = 8192 if self.gpu else 1024
        a = torch.randn(n, n, device=self.device, dtype=self.dtype)
        return 2 * n**3 / self.median(lambda: a @ a, repeats=7) / 1e12

    def median(self, compute: Callable[[], object], *, repeats: int = 3) -> float:
        """Median seconds after one call to warm up; fewer calls where one takes long."""
        timed(compute, self.device)
        first = timed(compute, self.device)
        more = [timed(compute, self.device) for _ in range(repeats - 1 if first < 5 else 0)]
        return statistics.median([first, *more])

    def peak_gb(self, compute: Callable[[], object]) -> float:
        """Peak of torch's memory in a call, the networks included; 0 where the device does not tell."""
        if not self.gpu:
            return 0.0
        torch.cuda.reset_peak_memory_stats(self.device)
        compute()
        return torch.cuda.max_memory_allocated(self.device) / 1e9

    def shown(self, peak_gb: float) -> str:
        """The peak, where it is known."""
        return f", {peak_gb:.1f} GB" if self.gpu else ""

    def rate(self, flops: int, seconds: float) -> str:
        """TFLOP/s and the share of the matrix rate."""
        return f"{flops / seconds / 1e12:.3g} TFLOP/s, {flops / seconds / 1e12 / self.tflops:.0%}"


def free() -> None:
    """Give freed memory back."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def on_device(bench: Bench, make: Callable[[], nn.Module]) -> nn.Module:
    """A network of random weights, without gradients."""
    torch.manual_seed(0)
    with torch.device(bench.device):
        model = make()
    return model.to(bench.device, bench.dtype).eval().requires_grad_(False)


def inputs(config: PahaConfig, bench: Bench) -> tuple[Tensor, Tensor, Conditioning]:
    """Of one clip, on the device."""
    with torch.device(bench.device):
        z, times, conditioning = example_inputs(config, batch_size=1)
    return z.to(bench.dtype), times, conditioning.to(bench.device, bench.dtype)


def twin_inputs(config: PahaConfig, bench: Bench) -> tuple[Tensor, ...]:
    """The same for diffusers' network."""
    z, times, conditioning = inputs(config, bench)
    merged = z.new_zeros(1, z.shape[1] + 1, 2 * z.shape[2], *z.shape[3:]).normal_()
    return merged, times[0, 0], conditioning.image_tokens, torch.tensor([[24.0, 127.0, 0.0]]).to(z)


@torch.no_grad()
def forward_rows(config: PahaConfig, bench: Bench) -> Row:
    """Forward passes."""

    def measure(make: Callable[[], nn.Module], *given: object) -> tuple[float, float]:
        model = on_device(bench, make)
        return bench.median(lambda: model(*given)), bench.peak_gb(lambda: model(*given))

    seconds, peak = measure(lambda: UniVDM.from_model_config(config.model), *inputs(config, bench))
    free()
    theirs, _ = measure(lambda: diffusers_twin(config.model), *twin_inputs(config, bench))
    with torch.device("meta"):
        meta, on_meta = UniVDM.from_model_config(config.model), example_inputs(config, batch_size=1)
        flops = forward_cost(meta, lambda: meta(*on_meta)).flops
    return {
        "UniVDM forward": f"{1000 * seconds:.1f} ms, {bench.rate(flops, seconds)}{bench.shown(peak)}",
        "diffusers forward": f"{1000 * theirs:.1f} ms",
        "forward, UniVDM / diffusers": f"{seconds / theirs:.2f}",
    }


def training_rows(config: PahaConfig, bench: Bench) -> Row:
    """One training step of one clip: autocast, fp32 weights, AdamW; checkpointing as the preset has it."""
    checkpointing = config.train.gradient_checkpointing
    z, times, conditioning = inputs(config, bench)
    arguments = twin_inputs(config, bench)

    def measure(make: Callable[[], nn.Module], compute: Callable[[nn.Module], Tensor]) -> tuple[float, float]:
        with torch.device(bench.device):
            model = make().train()
        if checkpointing:
            model.enable_gradient_checkpointing()  # type: ignore[operator]
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

        def step() -> None:
            with torch.autocast(bench.device.type, dtype=bench.dtype, enabled=bench.gpu):
                loss = compute(model).float().square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return bench.median(step), bench.peak_gb(step)

    ours, peak = measure(lambda: UniVDM.from_model_config(config.model), lambda m: m(z, times, conditioning))
    free()
    theirs, _ = measure(lambda: diffusers_twin(config.model), lambda m: m(*arguments, return_dict=False)[0])
    with torch.device("meta"):
        meta, on_meta = UniVDM.from_model_config(config.model), example_inputs(config, batch_size=1)
        flops = step_cost(meta, lambda: meta(*on_meta).float().mean(), checkpointing=checkpointing).flops
    return {
        "UniVDM training step": f"{1000 * ours:.0f} ms, {bench.rate(flops, ours)}{bench.shown(peak)}",
        "diffusers training step": f"{1000 * theirs:.0f} ms",
        "training step, UniVDM / diffusers": f"{ours / theirs:.2f}",
    }


@torch.no_grad()
def sampling_rows(config: PahaConfig, bench: Bench, *, steps: int) -> Row:
    """A segment without guidance, with SG and with DG (rate 50 %), and its decoding."""
    seconds = sampling_seconds(config, bench, steps=steps)
    free()
    decode = decoding_seconds(config, bench)
    emitted = (config.num_frames - 1) / FPS
    return {
        f"sampling, {steps} steps": f"{seconds['none']:.2f} s",
        "with SG": f"{seconds['sg']:.2f} s, {seconds['sg'] / seconds['none']:.2f} x",
        "with DG": f"{seconds['dg']:.2f} s, {seconds['dg'] / seconds['none']:.2f} x",
        "decoding a segment": f"{decode:.2f} s",
        "sampling and decoding, s per s of video": f"{(seconds['none'] + decode) / emitted:.1f}",
    }


def sampling_seconds(config: PahaConfig, bench: Bench, *, steps: int) -> dict[str, float]:
    """Seconds of one segment without guidance, with SG and with DG, after one of each with two steps."""
    z, _, conditioning = inputs(config, bench)
    schedule = Schedule(config.diffusion)
    model = on_device(bench, lambda: UniVDM.from_model_config(config.model))
    options = CLASSIFIERS.get(config.name, CLASSIFIERS["paper"])
    classifiers: dict[Region, Any] = {
        region: on_device(bench, lambda region=region: PCEClassifier.from_univdm(model, options, region=region))
        for region in REGIONS
    }

    def predict(z_t: Tensor, t: Tensor) -> Tensor:
        copies = len(z_t) // len(z)
        told = conditioning if copies == 1 else conditioning.repeat(copies)
        return model(z_t.to(bench.dtype), schedule.time_input(t), told).float()

    def segment(kind: GuidanceKind, num_steps: int) -> float:
        make = make_guidance(
            GuidanceOptions(kind=kind),
            classifiers,
            box=torch.tensor(FACE_BOX, device=bench.device),
            schedule=schedule,
            latent_size=(z.shape[-2], z.shape[-1]),
        )
        guidance = None if kind == "none" else make(conditioning)
        options = {"num_steps": num_steps, "schedule": schedule, "guidance": guidance}
        prediction = config.diffusion.prediction_type
        return timed(lambda: sample(predict, z.float(), prediction_type=prediction, **options), bench.device)

    kinds: tuple[GuidanceKind, ...] = ("none", "sg", "dg")
    for kind in kinds:
        segment(kind, 2)
    return {kind: segment(kind, steps) for kind in kinds}


def decoding_seconds(config: PahaConfig, bench: Bench) -> float:
    """Seconds to decode all frames of a segment."""
    latents = inputs(config, bench)[0][0]
    empty, _ = meta_codec(config, bench.dtype)
    codec: Any = empty.to_empty(device=bench.device)
    for parameter in codec.parameters():
        nn.init.normal_(parameter, std=0.02)
    if config.codec.kind == "svd":
        codec = SVDCodec(codec)
    return bench.median(lambda: codec.decode(latents))


def case_rows(config: PahaConfig, bench: Bench, *, steps: int) -> Row:
    """All rows of one case; what does not fit or has no time left says so."""
    rows: Row = {}
    parts = {
        "forward": lambda: forward_rows(config, bench),
        "training": lambda: training_rows(config, bench),
        "sampling": lambda: sampling_rows(config, bench, steps=steps),
    }
    for name, part in parts.items():
        free()
        if time.monotonic() > bench.deadline:
            rows[f"({name})"] = "no time left"
            continue
        try:
            rows |= part()
        except torch.OutOfMemoryError:
            rows[f"({name})"] = "out of memory"
    return rows


def table(columns: dict[str, Row]) -> str:
    """Markdown: a measure a row, a case a column."""
    names = list(dict.fromkeys(name for rows in columns.values() for name in rows))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += ["| " + " | ".join([name, *(rows.get(name, "") for rows in columns.values())]) + " |" for name in names]
    return "\n".join(lines)


def cases(*, toy: bool) -> dict[str, PahaConfig]:
    """Name to configuration, the cheap ones first."""
    if toy:
        return {"debug 32 px": preset("debug")}
    sizes = ((name, size) for name in ("presenter", "paper") for size in (256, 512))
    changes = {(name, size): {"height": size, "width": size, "num_frames": 32} for name, size in sizes}
    return {f"{name} {size} px": preset(name).model_copy(update=change) for (name, size), change in changes.items()}


def main(
    toy: Annotated[bool, typer.Option("--toy", help="The debug preset alone.")] = False,
    steps: Annotated[int | None, typer.Option(help="DDIM steps; 30, or 4 with --toy.")] = None,
    minutes: Annotated[float, typer.Option(help="No case is begun after so long.")] = 8.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the table to this file.")] = None,
) -> None:
    """Print the table."""
    bench = Bench(pick_device(device), seconds=60 * minutes)
    steps = steps or (4 if toy else 30)
    columns = {name: case_rows(config, bench, steps=steps) for name, config in cases(toy=toy).items()}
    kind = str(bench.dtype).removeprefix("torch.")
    text = (
        f"{bench.name}, torch {torch.__version__}, {kind}, matrix rate {bench.tflops:.3g} TFLOP/s\n\n{table(columns)}"
    )
    typer.echo(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
