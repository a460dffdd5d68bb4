"""What fine-tuning on a film changed: models side by side against the film's own motion.

python -m experiments.footage --data DATA --model shipped --model work/me/model [--split test] [--out TABLE.md]

Windows of 32 frames, the clip's first frame as the reference, the film's own speech, the model's own number of steps,
without guidance. lips r: of the mouth's opening, mean over windows. The others are sizes: the deviation over time of
what is made over that of the film (1 is
right). error: root mean square difference to the film in the latents' units; a still person's is the film's own size.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import typer

from paha.motion.person import PersonMotion
from paha.pipeline.loading import SHIPPED_MODEL
from paha.pipeline.model_folder import load_univdm, read_config
from paha.sampling.schedule import Schedule
from paha.training.univdm.footage import FootageDataset
from paha.training.univdm.motion_probe import STILL, sampled_motion

SIGNALS = {"mouth": "mouth_open", "head": "head_rotation", "shoulders and hands": "parts", "lids": "lids"}


def main(
    data: Annotated[list[Path], typer.Option("--data", help="Datasets of `paha prepare`.")],
    model: Annotated[list[str], typer.Option("--model", help="Model folders, or `shipped`.")],
    split: Annotated[str, typer.Option(help="train, test or all.")] = "test",
    windows: Annotated[int, typer.Option(help="At most so many.", min=1)] = 24,
    seeds: Annotated[int, typer.Option(help="Samples of every window.", min=1)] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write the table there.")] = None,
) -> None:
    """The table, one row a model."""
    first = read_config(_folder(model[0]))
    held_out = FootageDataset(data, config=first, split=split).held_out(windows)  # type: ignore[arg-type]
    lines = ["| | lips r | " + " | ".join(f"{name}, size" for name in SIGNALS) + " | error | N |", "|---" * 8 + "|"]
    still = [true.relative_to(true) for true in held_out.true]
    lines.append(_row("a still person", [held_out.true], [still]))
    for name in model:
        config = read_config(_folder(name))
        univdm = load_univdm(_folder(name), config)
        options = {"config": config, "schedule": Schedule(config.diffusion), "steps": config.sample.steps}
        made = []
        for seed in range(seeds):
            made.append(sampled_motion(univdm, held_out, **options, seed=seed))
        lines.append(_row(name, [held_out.true] * seeds, made))
    lines.append("")
    lines.append(f"{len(held_out.true)} windows of {first.num_frames} frames, {seeds} seeds, split {split}.")
    typer.echo("\n".join(lines))
    if out is not None:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(name: str, true: list[list[PersonMotion]], made: list[list[PersonMotion]]) -> str:
    pairs = [pair for t, m in zip(true, made, strict=True) for pair in zip(t, m, strict=True)]
    spoken = [(t, m) for t, m in pairs if t.mouth_open.std() > STILL]
    moving = [(t, m) for t, m in spoken if m.mouth_open.std() > 1e-6]
    r = np.mean([np.corrcoef(t.mouth_open, m.mouth_open)[0, 1] for t, m in moving]) if moving else 0.0
    sizes = [_size(pairs, signal) for signal in SIGNALS.values()]
    error = np.sqrt(np.mean([np.square(t.to_array() - m.to_array()).mean() for t, m in pairs]))
    cells = [f"{r:.3f}", *(f"{size:.2f}" for size in sizes), f"{error:.4f}", str(len(pairs))]
    return f"| {name} | " + " | ".join(cells) + " |"


def _size(pairs: list[tuple[PersonMotion, PersonMotion]], signal: str) -> float:
    """Deviation over time of what is made over that of the film: root of the means of both variances."""
    variances = [[getattr(motion, signal).reshape(len(motion), -1).var(0).mean() for motion in pair] for pair in pairs]
    true, made = np.mean(variances, 0)
    return float(np.sqrt(made / max(true, 1e-12)))


def _folder(name: str) -> Path:
    return SHIPPED_MODEL if name == "shipped" else Path(name)


if __name__ == "__main__":
    typer.run(main)
