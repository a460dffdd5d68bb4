"""Peak memory, each case in a process of its own: a training step with and without the savings, and long videos.

python benchmarks/memory.py training [--preset presenter] [--every] [--set ...]     table: the savings, and the plan's
python benchmarks/memory.py video [--model DIR] [--seconds 10 60] [--steps 1]       `paha animate`, short against long
python benchmarks/memory.py speed [--preset presenter]                              the plan's time a step, and measured

On a CPU the peak is the process's resident memory beyond what it had once everything was imported and the inputs were
there; on a GPU what torch has allocated.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
# Freed memory goes back to the system at once: the peak is what was in use, not what the allocator kept.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "65536")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "65536")

import typer

from paha.pipeline.options import SampleOptions

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Peak memory, measured.")
Settings = Annotated[list[str], typer.Option("--set", help="NAME=VALUE of the preset.")]
SAVINGS = {
    "no saving": None,
    "gradient checkpointing": "train.gradient_checkpointing=true",
    "+ bf16": "train.mixed_precision=bf16",
    "+ 8-bit AdamW": "train.optimizer=adamw8bit",
    "+ EMA on the CPU": "train.ema_on_cpu=true",
}
"""Each is added to those before it. bf16 and 8-bit AdamW (which bitsandbytes compiles anew for every shape on a CPU)
cost time where there is no GPU, and are measured there with --every only; EMA on the CPU means nothing there."""


@app.command()
def training(
    preset: str = "presenter",
    settings: Settings = [],  # noqa: B006
    every: Annotated[bool, typer.Option("--every", help="On a CPU, savings that only a GPU gains by as well.")] = False,
) -> None:
    """Two steps of the training loop under each saving; the table has what the plan says beside it."""
    from paha.runtime.device import pick_device

    gpu = pick_device(None).type == "cuda"
    possible = {
        "bf16": gpu or every,
        "ema_on_cpu": gpu,
        "adamw8bit": (gpu or every) and importlib.util.find_spec("bitsandbytes") is not None,
    }
    typer.echo("| savings | measured MB | planned MB | planned / measured |\n|---|---|---|---|")
    taken = list(settings)
    for name, saving in SAVINGS.items():
        if saving is not None:
            if not all(can for word, can in possible.items() if word in saving):
                continue
            taken.append(saving)
        found = alone("step", preset, taken)
        measured, planned = found["measured"] / 1e6, found["planned"] / 1e6
        typer.echo(f"| {name} | {measured:.0f} | {planned:.0f} | {planned / measured:.2f} |")


@app.command()
def video(
    model: Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")] = None,
    seconds: Annotated[tuple[float, float], typer.Option(help="The short and the long recording.")] = (10.0, 60.0),
    steps: Annotated[int, typer.Option(help="DDIM steps.", min=1)] = 1,
) -> None:
    """`paha animate` of a short and of a long recording."""
    peaks = [alone("animate", str(model or ""), [str(length), str(steps)])["measured"] / 1e6 for length in seconds]
    typer.echo("| audio | peak of the whole process MB |\n|---|---|")
    for length, peak in zip(seconds, peaks, strict=True):
        typer.echo(f"| {length:g} s | {peak:.0f} |")
    typer.echo(f"\nlong / short: {peaks[1] / peaks[0]:.3f}")


@app.command()
def speed(
    preset: str = "presenter",
    settings: Settings = [],  # noqa: B006
    repeats: int = 12,
) -> None:
    """Seconds of a forward and backward pass: foretold from clips of a quarter and half the frames, and measured."""
    from paha.cli.options import configuration
    from paha.planning.plan import extrapolate, plan, step_timer
    from paha.runtime.device import pick_device

    device = pick_device(None)
    config = configuration(preset, [*settings, "train.batch_size=1", "train.num_micro_batches=1"])
    cases = [config.model_copy(update={"num_frames": config.num_frames // part}) for part in (4, 2, 1)]
    flops = [plan(case, gpus=1).plain.flops for case in cases]
    timers = [step_timer(case, device) for case in cases]
    # In turn, and the best of each: another process on the machine must not decide.
    seconds = [min(times) for times in zip(*([timer() for timer in timers] for _ in range(repeats)), strict=True)]
    planned = extrapolate(flops[2], measured=dict(zip(flops[:2], seconds[:2], strict=True)))
    typer.echo(f"planned {planned:.3f} s, measured {seconds[2]:.3f} s, planned / measured {planned / seconds[2]:.2f}")


def alone(case: str, name: str, arguments: list[str]) -> dict[str, float]:
    """Run one case in a new process; what it printed."""
    command = [sys.executable, __file__, "case", case, name, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@app.command(hidden=True)
def case(case: str, name: str, arguments: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """One case in this process; prints JSON."""
    found = step_case(name, arguments or []) if case == "step" else animate_case(name, *(arguments or []))
    typer.echo(json.dumps(found))


def step_case(preset: str, settings: list[str]) -> dict[str, float]:
    """Peak of two steps of the training loop on random latents."""
    from paha.cli.options import configuration
    from paha.planning.plan import Savings, plan
    from paha.runtime.device import pick_device
    from paha.univdm.attention import SHORT_KEYS

    device = pick_device(None)
    train_two_steps(configuration("debug", []), device, Peak(device))  # whatever is imported or set up on first use
    config = configuration(preset, settings)
    peak = Peak(device)
    train_two_steps(config, device, peak)
    train, gpu = config.train, device.type == "cuda"
    savings = Savings(train.gradient_checkpointing, train.ema_on_cpu and gpu, train.optimizer == "adamw8bit")
    planned = plan(config, gpus=1, short_keys=0 if gpu else SHORT_KEYS).total_bytes(savings)
    return {"measured": peak.bytes, "planned": planned}


def train_two_steps(config, device, peak: Peak) -> None:
    """Through the training loop; `peak` is stopped before a checkpoint is written."""
    from paha.planning.plan import example_inputs
    from paha.training.job import Job
    from paha.training.loop import fit
    from paha.training.univdm.job import build_univdm

    train = config.train.model_copy(update={"steps": 3, "sample_every": 0, "checkpoint_every": 100, "warmup_steps": 0})
    z, times, conditioning = example_inputs(config, batch_size=train.batch_size)
    inputs = z.to(device), times.to(device), conditioning.to(device)

    def loss(model, context):
        if context.step == 2:
            peak.stop()
        return (model(*inputs) - inputs[0]).square().mean(), {}

    peak.start()
    with tempfile.TemporaryDirectory() as folder:
        fit(Job("memory", build_univdm(config), loss, lambda *_: None), train, Path(folder), progress=False)


class Peak:
    """The most memory between `start` and `stop`, beyond what there was at `start` (on a CPU)."""

    def __init__(self, device) -> None:
        self.device = device
        self.bytes = 0

    def start(self) -> None:
        """Begin."""
        import gc

        import torch

        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            return
        Path("/proc/self/clear_refs").write_text("5")  # resets the kernel's high-water mark
        self.before = memory("VmRSS")

    def stop(self) -> None:
        """End."""
        import torch

        if self.device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self.device)
        elif not self.bytes:  # a step has several parts
            self.bytes = memory("VmHWM") - self.before


def memory(kind: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) * 1024


def animate_case(model: str, seconds: str, steps: str) -> dict[str, float]:
    """Peak of the whole process that animates a shipped image and noise of so many seconds."""
    import numpy as np

    from paha.cli.checks import ASSETS
    from paha.media.audio_io import write_wav
    from paha.pipeline.animate import animate
    from paha.pipeline.loading import load_pipeline

    rate_hz, length = 16_000, float(seconds)
    samples = 0.1 * np.random.default_rng(0).standard_normal((round(length * rate_hz), 1)).astype(np.float32)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        write_wav(Path(folder) / "speech.wav", samples, rate_hz)
        image = next((ASSETS / "presenter_images").glob("*.png"))
        pipeline = load_pipeline(Path(model) if model else None)
        animate(pipeline, image, Path(folder) / "speech.wav", Path(folder) / "out.mp4", SampleOptions(steps=int(steps)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"measured": peak, "seconds": time.monotonic() - begin}


if __name__ == "__main__":
    app()
