"""Lips over solver steps, audio guidance and share of heard lips, off latents of random people and of voices that the
report never uses.

    python -m experiments.presenter.sampling_sweep --clips 24 --steps 1,2,4 --cfg-scales 1,1.5,2 --heard-lips 0,0.7

People are drawn at random (no photograph), speech is espeak-ng's held-out variants: neither trained on nor in the
report, so that settings chosen here are free to be judged there. Clips are several segments long, silent ones left out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import torch
import typer
from torch import Tensor

from experiments.presenter import scores
from experiments.presenter.videos import borders_of, sample_latents
from paha.config import AudioConfig
from paha.dataset.synth.motion_clips import MotionClip, MotionClips, MotionStream
from paha.dataset.synth.motion_dataset import clip_tensors
from paha.dataset.synth.motion_features import encoder_config
from paha.errors import PahaError
from paha.extractors.audio import AcousticEncoder
from paha.motion.geometry import Geometry
from paha.motion.heard_lips import with_heard_lips
from paha.motion.motion_codec import PersonGrid
from paha.pipeline.loading import SHIPPED_MODEL, load_pipeline
from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.atomic import write_bytes
from paha.runtime.statistics import bootstrap
from paha.sampling.long_video import Segment, plan_segments
from paha.types import FPS
from paha.univdm.conditioning import Conditioning

SEED, SEGMENTS, MOVING = 4242, 3, 0.005
"""MOVING: face heights of deviation below which a mouth does not speak."""
app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Batch:
    """B clips of T frames. told: their tensors, stacked. segments: of all of them."""

    clips: list[MotionClip]
    told: dict[str, Tensor]
    segments: list[Segment]

    def conditioning(self, pipeline: PahaPipeline, segment: Segment) -> Conditioning:
        """What UniVDM is told in a segment."""
        channels = self.told["ref_channels"]
        tokens = pipeline.image_encoder.encode(channels)
        return Conditioning.build(
            torch.zeros_like(channels), tokens, self.told["audio"][:, segment.frames], ref_channels=channels
        )

    def with_heard_lips(self, pipeline: PahaPipeline, latents: Tensor, share: float) -> Tensor:
        """Latents (B, T, C, G, G) whose lips are `share` as the model's acoustic model hears them."""
        if share == 0:
            return latents
        ears, middle = cast(AcousticEncoder, pipeline.audio_encoder), pipeline.preset.model.audio_margin
        grids = [PersonGrid(Geometry.of(clip.points, clip.scores)) for clip in self.clips]
        heard = [ears.lips(audio) for audio in self.told["audio"][:, :, middle]]
        return torch.stack([with_heard_lips(*one, share=share) for one in zip(latents, heard, grids, strict=True)])


def draw_batch(pipeline: PahaPipeline, audio: AudioConfig, *, count: int) -> Batch:
    """The first `count` clips of the stream in which somebody speaks, heard by `audio`."""
    preset = pipeline.preset
    num_frames = SEGMENTS * (preset.num_frames - 1) + 1
    stream = MotionStream(
        seed=SEED, num_frames=num_frames, audio_margin=preset.model.audio_margin, held_out=True, speech_seconds=8.0
    )
    source, clips, index = MotionClips(stream, audio), [], 0
    while len(clips) < count:
        clip, index = source[index], index + 1
        clips += [clip] if float(clip.motion.mouth_open.std()) > MOVING else []
    tensors = [clip_tensors(clip) for clip in clips]
    told = {name: torch.stack([one[name] for one in tensors]) for name in ("ref_channels", "audio")}
    return Batch(clips, told, plan_segments(num_frames, preset.num_frames))


def score(batch: Batch, latents: Tensor) -> dict[str, list[float]]:
    """r and amplitude of the lips, spread of the displacements over the truth's, seams; a number a clip."""
    result: dict[str, list[float]] = {"r": [], "amplitude": [], "spread": [], "seams": []}
    for clip, z in zip(batch.clips, latents, strict=True):
        grid = PersonGrid(Geometry.of(clip.points, clip.scores))
        made, truth = grid.read(z), clip.motion.relative_to(clip.reference)
        result["r"].append(scores.correlation(made.mouth_open, truth.mouth_open))
        result["amplitude"].append(scores.amplitude(made.mouth_open, truth.mouth_open))
        result["spread"].append(
            scores.spread(made.parts) / max(scores.spread(grid.read(grid.paint(truth)).parts), 1e-6)
        )
        changes = np.abs(np.diff(z.numpy(), axis=0)).mean((1, 2, 3))
        result["seams"].append(scores.seam_ratio(changes, borders_of(batch.segments)))
    return result


@app.command()
def sweep(
    model: Annotated[Path, typer.Option("--model", help="Model folder.")] = SHIPPED_MODEL,
    clips: Annotated[int, typer.Option(help="How many people speak.", min=2)] = 24,
    steps: Annotated[str, typer.Option(help="Solver steps, N,N...")] = "1,2,4,8",
    cfg_scales: Annotated[str, typer.Option(help="Audio guidance scales, S,S...")] = "1,1.5,2",
    heard_lips: Annotated[str, typer.Option(help="Shares of lips as heard, S,S...")] = "0,0.7",
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON of all numbers.")] = Path("out/sampling_sweep.json"),
) -> None:
    """Print a table, a row a setting; intervals are bootstrap 95 % over people."""
    pipeline = load_pipeline(model, device="cpu")
    batch, kept = draw_batch(pipeline, encoder_config(pipeline.preset, model), count=clips), {}
    length_s = len(batch.clips[0].motion) / FPS * clips
    typer.echo("| steps | guidance | heard | lips r [95 %] | worst | amplitude | spread | seams | s a second |")
    typer.echo("|---|---|---|---|---|---|---|---|---|")
    for count in numbers(steps, "--steps"):
        for scale in numbers(cfg_scales, "--cfg-scales"):
            began = time.monotonic()
            latents = sample_latents(
                pipeline,
                lambda segment: batch.conditioning(pipeline, segment),
                batch.segments,
                seeds=range(clips),
                steps=round(count),
                cfg_scale=scale,
            )
            took = (time.monotonic() - began) / length_s
            for share in numbers(heard_lips, "--heard-lips", least=0.0):
                found = score(batch, batch.with_heard_lips(pipeline, latents, share))
                means = " | ".join(f"{np.nanmean(found[name]):.2f}" for name in ("amplitude", "spread", "seams"))
                lips = f"{bootstrap(found['r'])} | {min(found['r']):.2f}"
                typer.echo(f"| {count:g} | {scale:g} | {share:g} | {lips} | {means} | {took:.2f} |")
                name = f"{count:g} steps, guidance {scale:g}, heard {share:g}"
                kept[name] = found | {"seconds a second": took}
    write_bytes(out, json.dumps(kept, indent=1).encode())


def numbers(text: str, option: str, *, least: float = 0.01) -> list[float]:
    """'1,1.5' to numbers of `least` or more. Raises PahaError for anything else."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise PahaError(f"{option} {text}: give numbers with commas, e.g. 1,2,4") from error
    if min(values) < least:
        raise PahaError(f"{option} {text}: give numbers of {least:g} or more")
    return values


if __name__ == "__main__":
    try:
        app()
    except PahaError as error:
        sys.exit(f"sampling_sweep: error: {error}")
