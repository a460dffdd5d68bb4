"""What Parts-Aware Re-weighting costs: the time of M (Eq. 3) at a preset's own size against a training step.

python benchmarks/par.py [--json out.json]

`presenter`: both measured here, in processor seconds of one thread, so that other work on the machine does not count.
`paper`: M of one GPU's clips against the planned step of `paha train univdm --preset paper --plan`: measured on one
thread of this CPU, and worked out for the GPU, where training draws it, from the bytes that it moves. The keypoints are
the hardest there are: all reliable and all over the frame.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import torch
import typer
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from paha.config import PahaConfig
from paha.errors import PahaError
from paha.par import loss_weight as par
from paha.planning.plan import example_inputs, plan
from paha.presets import preset
from paha.runtime.atomic import write_bytes
from paha.sampling.schedule import Schedule
from paha.training.univdm.job import build_univdm, univdm_loss
from paha.types import NUM_KEYPOINTS, ClipBatch

LIMIT = 0.03
"""M must cost less than this part of a step."""


@dataclass(frozen=True)
class Row:
    """Seconds of M and of a step, and how they were found."""

    preset: str
    where: str
    m_s: float
    step_s: float

    @property
    def share(self) -> float:
        """Of the step."""
        return self.m_s / self.step_s


def main(
    repeats: Annotated[int, typer.Option(help="The fastest of so many counts.", min=1)] = 5,
    gpus: Annotated[int, typer.Option(help="Of the planned paper run.", min=1)] = 8,
    gpu_bandwidth_gb_s: Annotated[
        float, typer.Option(help="What a GPU's memory reaches (2039 is an A100's peak).")
    ] = 1400,
    small: Annotated[
        bool, typer.Option("--small", help="debug in the place of presenter and paper (for tests).")
    ] = False,
    out: Annotated[Path | None, typer.Option("--json", help="File for the numbers.")] = None,
) -> None:
    """Measure, print a Markdown table, fail where M costs more than 3 % of a step where it is drawn."""
    torch.set_num_threads(1)
    trained, planned = (preset(name) for name in (("debug", "debug") if small else ("presenter", "paper")))
    rows = [measured_row(trained, repeats=repeats)]
    rows += planned_rows(planned, repeats=repeats, gpus=gpus, bandwidth_b_s=gpu_bandwidth_gb_s * 1e9)
    print(table(rows))
    if out is not None:
        write_bytes(out, json.dumps([asdict(row) | {"share": row.share} for row in rows], indent=1).encode())
    slow = [row for row in (rows[0], rows[-1]) if row.share > LIMIT]
    if slow and not small:
        raise PahaError(
            f"M costs {slow[0].share:.1%} of a step of {slow[0].preset} ({slow[0].where}), over {LIMIT:.0%}"
        )


def measured_row(config: PahaConfig, *, repeats: int) -> Row:
    """A training step (loss, gradients, AdamW; without the log's regions) and M of its batch, on one thread."""
    batch, model = random_batch(config, clips=config.train.batch_size), build_univdm(config).train()
    optimizer, schedule = torch.optim.AdamW(model.parameters(), fused=True), Schedule(config.diffusion)

    def step() -> None:
        generator = torch.Generator().manual_seed(0)
        loss, _ = univdm_loss(model, batch, config=config, schedule=schedule, generator=generator, log_regions=False)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step_s = fastest(step, repeats=min(repeats, 3))
    return Row(
        config.name, "both measured, one CPU thread", fastest(lambda: draw(batch, config), repeats=repeats), step_s
    )


def planned_rows(config: PahaConfig, *, repeats: int, gpus: int, bandwidth_b_s: float) -> list[Row]:
    """M of one GPU's clips, on one CPU thread and on the GPU, against the planned step."""
    planned = plan(config, gpus=gpus)
    step_s = planned.seconds_per_step(checkpointing=not planned.fits())
    batch = random_batch(config, clips=planned.clips_per_part * planned.turns)
    bytes_moved = count_bytes(lambda: draw_at_once(batch, config))
    against = f"step planned, {gpus} GPUs"
    return [
        Row(
            config.name,
            f"M on one CPU thread, {against}",
            fastest(lambda: draw(batch, config), repeats=repeats),
            step_s,
        ),
        Row(
            config.name,
            f"M on the GPU ({bytes_moved / 1e9:.1f} GB moved), {against}",
            bytes_moved / bandwidth_b_s,
            step_s,
        ),
    ]


def random_batch(config: PahaConfig, *, clips: int) -> ClipBatch:
    """A batch of a preset's sizes; keypoints all over the frame, all reliable."""
    torch.manual_seed(0)
    z, _, conditioning = example_inputs(config, batch_size=clips)
    shape = (clips, config.num_frames, NUM_KEYPOINTS)
    return ClipBatch(
        latents=z,
        ref_latent=z[:, 0],
        audio=conditioning.audio,
        image_tokens=conditioning.image_tokens,
        points=torch.rand(*shape, 2),
        scores=0.85 + 0.15 * torch.rand(shape),
        face_box=torch.tensor([[0.3, 0.2, 0.6, 0.6]]).repeat(clips, 1),
        clip_ids=tuple(map(str, range(clips))),
    )


def draw(batch: ClipBatch, config: PahaConfig) -> Tensor:
    """M as training draws it."""
    h, w = batch.latents.shape[-2:]
    size = {"height": config.height, "width": config.width, "latent_height": h, "latent_width": w}
    return par.loss_weight(batch.points, batch.scores, config.par, **size)


def draw_at_once(batch: ClipBatch, config: PahaConfig) -> Tensor:
    """M in pixels by the operations of an accelerator: all frames together. Equal to `draw` before its averaging."""
    size = {"height": config.height, "width": config.width}
    points, scores = par._frames(batch.points, batch.scores, **size)
    confidence = par._reliable(scores, config.par, par.HAND) + par._reliable(scores, config.par, par.FACE)
    body = par._body_rectangle(points, scores, config.par, height=config.height)
    return par._weigh(points, confidence, body, config.par, **size)


def fastest(call: Callable[[], Any], *, repeats: int) -> float:
    """Processor seconds of the fastest of some calls, after one to warm up."""
    call()
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def count_bytes(call: Callable[[], Any]) -> int:
    """Bytes of all tensors that the operations of a call read and write; nothing is fused, nothing stays in a cache."""
    with _BytesMoved() as mode:
        call()
    return mode.total


class _BytesMoved(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(x.nbytes for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor))
        return result


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| preset | | M, ms | step, ms | share |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row.preset} | {row.where} | {1e3 * row.m_s:.1f} | {1e3 * row.step_s:.0f} | {row.share:.2%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        sys.exit(f"par: error: {error}")
