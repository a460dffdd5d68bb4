"""Looking at a UniVDM of motion latents while it trains: do held-out people's lips follow held-out speech?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from paha.config import PahaConfig
from paha.dataset.synth.motion_clips import MotionClip
from paha.dataset.synth.motion_dataset import MotionDataset, clip_tensors
from paha.motion.geometry import Geometry
from paha.motion.motion_codec import PersonGrid
from paha.motion.person import PersonMotion
from paha.sampling.schedule import Schedule
from paha.training.univdm.probe import PROBE_SEED, generate
from paha.types import ClipBatch

STILL = 0.004
"""Face heights: lips that move less say nothing of a correlation."""
SHOWN = 4


@dataclass(frozen=True)
class HeldOut:
    """Held-out clips: their batch, their grids and the true motion since each reference."""

    batch: ClipBatch
    grids: list[PersonGrid]
    true: list[PersonMotion]

    @classmethod
    def of(cls, dataset: MotionDataset, count: int) -> HeldOut:
        """The first clips of a held-out stream."""
        clips: list[MotionClip] = [dataset.clips[i] for i in range(count)]
        grids = [PersonGrid(Geometry.of(clip.points, clip.scores)) for clip in clips]
        true = [clip.motion.relative_to(clip.reference) for clip in clips]
        return cls(dataset.collate([clip_tensors(clip) for clip in clips]), grids, true)


@torch.no_grad()
def sampled_motion(
    model: nn.Module, held_out: HeldOut, *, config: PahaConfig, schedule: Schedule, steps: int, seed: int = PROBE_SEED
) -> list[PersonMotion]:
    """What the model makes of the held-out speech, unguided, from the noise of a seed."""
    own = {"config": config, "schedule": schedule, "steps": steps, "seed": seed}
    latents = generate(model, held_out.batch, channel_scale=1.0, **own)
    return [grid.read(z) for grid, z in zip(held_out.grids, latents, strict=True)]


def lip_scores(true: list[PersonMotion], made: list[PersonMotion]) -> dict[str, float]:
    """Pearson's r of the mouth's opening (mean and worst), its amplitude, and the head's, over the true ones."""
    spoken = [(t, m) for t, m in zip(true, made, strict=True) if t.mouth_open.std() > STILL]
    r = [float(np.corrcoef(t.mouth_open, m.mouth_open)[0, 1]) for t, m in spoken]
    size = [float(m.mouth_open.std() / t.mouth_open.std()) for t, m in spoken]
    head = [float(m.head_rotation.std(0).mean() / max(t.head_rotation.std(0).mean(), 1e-4)) for t, m in spoken]
    return {
        "probe/lips_r": float(np.nanmean(r)),
        "probe/lips_r_worst": float(np.nanmin(r)),
        "probe/lips_amplitude": float(np.mean(size)),
        "probe/head_amplitude": float(np.median(head)),
    }


def save_curves(path: Path, true: list[PersonMotion], made: list[PersonMotion]) -> None:
    """Mouth opening, lids and yaw of a few clips, true and made."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 2.2 * SHOWN), layout="constrained")
    axes: Any = figure.subplots(SHOWN, 3)
    for row, t, m in zip(axes, true, made, strict=False):
        for axis, name in zip(row, ("mouth_open", "lids", "head_rotation"), strict=True):
            curves = [getattr(x, name).reshape(len(x), -1)[:, 0] for x in (t, m)]
            axis.plot(curves[0], label="true")
            axis.plot(curves[1], label="made")
            axis.set_title(name)
    axes[0, 0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
