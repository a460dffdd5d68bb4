"""diffusers' SVD U-Net of UniVDM's widths, and how many operations a forward pass of either is.

python -m benchmarks.gpu.twin [--preset paper] [--set model...]      which is what a small network's GPU waits for
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
import typer
from diffusers import UNetSpatioTemporalConditionModel

from paha.cli.options import configuration
from paha.config import ModelConfig, PahaConfig
from paha.planning.accounting import Meter
from paha.planning.plan import example_inputs
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


def forwards(config: PahaConfig) -> tuple[Callable[[], object], Callable[[], object]]:
    """UniVDM's forward pass and diffusers', of one clip in 16 bits, on the meta device."""
    with torch.device("meta"):
        ours: Any = UniVDM.from_model_config(config.model).eval().requires_grad_(False)
        theirs: Any = diffusers_twin(config.model).eval().requires_grad_(False)
        z, times, conditioning = example_inputs(config, batch_size=1)
        sample = torch.empty(1, config.num_frames + 1, 2 * z.shape[2], *z.shape[3:], dtype=torch.bfloat16)
        ids = torch.empty(1, 3, dtype=torch.bfloat16)
    ours, theirs = (network.to("meta", torch.bfloat16) for network in (ours, theirs))
    z, conditioning = z.to(torch.bfloat16), conditioning.to("meta", torch.bfloat16)
    tokens = conditioning.image_tokens
    return (
        lambda: ours(z, times, conditioning),
        lambda: theirs(sample, times[0, 0], tokens, ids, return_dict=False),
    )


@torch.no_grad()
def count(config: PahaConfig) -> tuple[int, int]:
    """Operations that make a new tensor, ours and diffusers', in 16 bits on the meta device, attention taken apart."""
    found = []
    for compute in forwards(config):
        with Meter() as meter:
            compute()
        found.append(meter.operations)
    return found[0], found[1]


def main(
    preset: str = "paper",
    settings: Annotated[list[str], typer.Option("--set", help="NAME=VALUE of the preset.")] = [],  # noqa: B006
) -> None:
    """Count both networks' operations on the meta device; widths must be multiples of 32."""
    config = configuration(preset, settings)
    ours, theirs = count(config)
    typer.echo(f"{config.name}: {ours} operations, diffusers {theirs}, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    typer.run(main)
