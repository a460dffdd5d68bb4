"""What one device does with UniVDM, row by row: forward, training step, sampling with and without guidance, decoding.

python -m benchmarks.gpu [--budget-seconds 480]     presenter and paper, 128 to 512 px, bf16
python -m benchmarks.gpu --toy                      the debug preset, for CI
python -m benchmarks.gpu --profile kernels.txt      also the kernels that take most, and what would make steps faster

Random weights, no network, no data. Beside UniVDM at T frames and its reference slot stands diffusers' SVD U-Net of the
same widths at T + 1 frames, in the same run. Flops are counted on the meta device (`paha.planning.accounting`); the
share is of the matrix rate that the device reaches on one large product in the same run. Rows come in the order of
their weight, each is printed and written to --json at once, and those that do not fit or have no time left say so. SG
and DG guide half of the steps, with random classifiers.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.gpu.device import Bench, Table
from benchmarks.gpu.parts import Case, Rows, forward_rows, sampling_rows, training_rows
from benchmarks.gpu.profile import captured_rows, profile_rows, variant_rows
from paha.presets import preset
from paha.runtime.atomic import write_bytes
from paha.runtime.device import pick_device

Part = tuple[Case, str, Callable[[Bench], Rows]]


def sized(name: str, size: int, frames: int, clips: int) -> Case:
    """A preset at that size."""
    config = preset(name).model_copy(update={"height": size, "width": size, "num_frames": frames})
    many = f" x {clips}" if clips > 1 else ""
    return Case(f"{name} {size} px, {frames} f{many}", config, clips)


def toy_paper() -> Case:
    """The paper's parts at toy widths."""
    config = preset("paper")
    widths = {"block_out_channels": (32, 32), "attention_levels": (True, False), "num_attention_heads": (2, 2)}
    model = config.model.model_copy(update=widths | {"cross_attention_dim": 32, "audio_layers": 2, "audio_dim": 16})
    return Case("paper, toy", config.model_copy(update={"model": model, "height": 32, "width": 32, "num_frames": 3}))


def parts(*, toy: bool, steps: int, profile: Path | None) -> list[Part]:
    """What is measured, the most important first."""

    def forward(case: Case) -> Part:
        return case, "forward", partial(forward_rows, case)

    def training(case: Case) -> Part:
        return case, "training", partial(training_rows, case)

    def sampling(case: Case) -> Part:
        return case, "sampling", partial(sampling_rows, case, steps=steps)

    if toy:
        own, small = Case("debug 32 px, 4 f", preset("debug")), toy_paper()
        order = [[forward(own), training(own), sampling(own)], [forward(small), training(small), sampling(small)]]
    else:
        own = sized("presenter", 128, 16, 64)
        small, large = sized("paper", 256, 32, 1), sized("paper", 512, 32, 1)
        wide, widest = sized("presenter", 256, 32, 8), sized("presenter", 512, 32, 2)
        order = [
            [forward(own), training(own)],
            [forward(small), training(small), forward(large), training(large)],
            [sampling(small), sampling(sized("presenter", 128, 16, 1)), forward(wide), training(wide)],
            [sampling(large), forward(widest), training(widest), sampling(sized("presenter", 512, 32, 1))],
        ]
    if profile is not None:
        looks = [(case, "profile", partial(profile_rows, case, out=profile)) for case in (own, small)]
        order.insert(2, [*looks, (own, "variants", partial(variant_rows, own))])
        order.append([(own, "CUDA graph", partial(captured_rows, own))])
    return [part for group in order for part in group]


def main(
    toy: Annotated[bool, typer.Option("--toy", help="The debug preset alone.")] = False,
    steps: Annotated[int | None, typer.Option(help="DDIM steps; 30, or 4 with --toy.")] = None,
    budget_seconds: Annotated[float, typer.Option(help="No row is begun after so long (imports not counted).")] = 480.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
    dtype: Annotated[str | None, typer.Option(help="bfloat16 on a GPU, float32 elsewhere, by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the table, a column a case, to this file at the end.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file as they come.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Profile, and write the top kernels to this file.")] = None,
) -> None:
    """Print the rows, then the table."""
    begin = time.monotonic()
    bench = Bench(pick_device(device), seconds=budget_seconds, dtype=None if dtype is None else getattr(torch, dtype))
    facts: dict[str, object] = {
        "device": bench.name,
        "torch": torch.__version__,
        "dtype": str(bench.dtype).removeprefix("torch."),
        "matrix_tflops": round(bench.tflops, 3),
        "copy_gb_per_s": round(bench.bandwidth_gb, 1),
    }
    head = ", ".join(f"{name} {value}" for name, value in facts.items())
    typer.echo(f"{head}\n\n| case | measure | result |\n|---|---|---|")
    table = Table(facts, json_path=json)
    table.write()
    for case, name, part in parts(toy=toy, steps=steps or (4 if toy else 30), profile=profile):
        table.run(case.name, name, partial(part, bench), bench)
    text = f"{head}\n\n{table.markdown()}\n"
    typer.echo(f"\n{text}\n{time.monotonic() - begin:.0f} s")
    if out is not None:
        write_bytes(out, text.encode())


if __name__ == "__main__":
    typer.run(main)
