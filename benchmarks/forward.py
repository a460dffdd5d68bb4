"""UniVDM's forward pass beside diffusers' SVD U-Net of the same widths, both at T + 1 frames, in one run.

python benchmarks/forward.py [--preset presenter] [--repeats 7] [--set model...]
python benchmarks/forward.py --count [--preset paper]    operations instead, which a small network's GPU waits for

UniVDM sees T frames and its reference slot, diffusers' network T + 1 frames; the same threads, type and device. The two
are timed in turn; the ratio is that of the medians, its interval the quartiles of the paired ratios.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import torch
import typer
from diffusers import UNetSpatioTemporalConditionModel

from paha.cli.options import configuration
from paha.config import ModelConfig, PahaConfig
from paha.planning.accounting import Meter
from paha.planning.plan import example_inputs
from paha.runtime.device import pick_device
from paha.univdm.univdm import UniVDM


def diffusers_twin(model: ModelConfig) -> UNetSpatioTemporalConditionModel:
    """diffusers' network of the same widths, heads and levels, without audio and reference slot."""

    def kinds(way: str) -> tuple[str, ...]:
        names = [f"{'CrossAttn' * attends}{way}BlockSpatioTemporal" for attends in model.attention_levels]
        return tuple(names if way == "Down" else names[::-1])

    return UNetSpatioTemporalConditionModel(
        in_channels=2 * model.latent_channels,
        out_channels=model.latent_channels,
        down_block_types=kinds("Down"),
        up_block_types=kinds("Up"),
        block_out_channels=model.block_out_channels,
        layers_per_block=model.layers_per_block,
        cross_attention_dim=model.cross_attention_dim,
        num_attention_heads=model.num_attention_heads,
    )


def forwards(
    config: PahaConfig, *, device: torch.device, dtype: torch.dtype
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Our forward pass and diffusers', on random inputs of one clip."""
    torch.manual_seed(0)
    with torch.device(device):
        ours: Any = UniVDM.from_model_config(config.model).eval().requires_grad_(False)
        theirs: Any = diffusers_twin(config.model).eval().requires_grad_(False)
        z, times, conditioning = example_inputs(config, batch_size=1)
        sample = torch.randn(1, config.num_frames + 1, 2 * z.shape[2], *z.shape[3:]).to(dtype)
        ids = torch.tensor([[24.0, 127.0, 0.0]]).to(dtype)
    ours, theirs = ours.to(device, dtype), theirs.to(device, dtype)
    z, conditioning = z.to(dtype), conditioning.to(device, dtype)
    tokens = conditioning.image_tokens
    return (
        lambda: ours(z, times, conditioning),
        lambda: theirs(sample, times[0, 0], tokens, ids, return_dict=False),
    )


def timed(compute: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    compute()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


@torch.no_grad()
def compare(config: PahaConfig, *, device: torch.device, dtype: torch.dtype, repeats: int) -> dict[str, float]:
    """Medians in seconds, their ratio, and the quartiles of the paired ratios."""
    ours, theirs = forwards(config, device=device, dtype=dtype)
    for compute in (ours, theirs):
        timed(compute, device)
    pairs = [(timed(ours, device), timed(theirs, device)) for _ in range(repeats)]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    ratios = sorted(a / b for a, b in pairs)
    low, _, high = statistics.quantiles(ratios, n=4) if repeats > 1 else (ratios[0],) * 3
    return {"ours": medians[0], "theirs": medians[1], "ratio": medians[0] / medians[1], "low": low, "high": high}


@torch.no_grad()
def count(config: PahaConfig) -> tuple[int, int]:
    """Operations that make a new tensor, ours and diffusers', in 16 bits on the meta device, attention taken apart."""
    found = []
    for compute in forwards(config, device=torch.device("meta"), dtype=torch.bfloat16):
        with Meter() as meter:
            compute()
        found.append(meter.operations)
    return found[0], found[1]


def main(
    preset: str = "presenter",
    settings: Annotated[list[str], typer.Option("--set", help="NAME=VALUE of the preset.")] = [],  # noqa: B006
    repeats: int = 7,
    device: str | None = None,
    dtype: str = "float32",
    out: Annotated[Path | None, typer.Option(help="Also append the row to this file.")] = None,
    counted: Annotated[bool, typer.Option("--count", help="Count operations; nothing is timed.")] = False,
) -> None:
    """Print one row of a Markdown table."""
    config, place = configuration(preset, settings), pick_device(device)
    if counted:
        ours, theirs = count(config)
        typer.echo(f"{config.name}: {ours} operations, diffusers {theirs}, ratio {ours / theirs:.2f}")
        return
    found = compare(config, device=place, dtype=getattr(torch, dtype), repeats=repeats)
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    what = f"{config.name} {config.model.block_out_channels}, {config.height} px, {config.num_frames} + 1 frames"
    row = (
        f"| {what} | {name}, {dtype} | {1000 * found['ours']:.0f} | {1000 * found['theirs']:.0f} | "
        f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f}) |"
    )
    typer.echo("| network | device | UniVDM ms | diffusers ms | ratio (quartiles) |\n|---|---|---|---|---|\n" + row)
    if out is not None:
        with out.open("a", encoding="utf-8") as file:
            file.write(row + "\n")


if __name__ == "__main__":
    typer.run(main)
