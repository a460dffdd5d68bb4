"""Where the processor time of `paha animate` goes, and what is saved by computing what all steps share once a segment.

python -m benchmarks.animate [--model DIR] [--steps 30] [--repeats 9]

Times are of the processor, all threads, so that other programs on the machine count little; evaluations with and
without the savings are timed in turn, the ratio is the median of the paired ratios, its interval their quartiles.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import torch
import typer

from paha.cli.checks import ASSETS
from paha.media.audio_io import read_audio
from paha.media.video_writer import VideoWriter
from paha.pipeline.loading import load_pipeline
from paha.sampling.long_video import segment_noise
from paha.types import FPS
from paha.univdm.attention import ConditioningCache

IMAGE, AUDIO = ASSETS / "presenter_images" / "amara.png", ASSETS / "presenter_images" / "speech.wav"


def cpu_seconds(compute: Callable[[], object]) -> float:
    """Of one call, all threads of this process."""
    begin = time.process_time()
    compute()
    return time.process_time() - begin


@torch.no_grad()
def main(
    model: Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")] = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps; the preset's by default.")] = None,
    repeats: Annotated[int, typer.Option(help="Pairs of evaluations.", min=3)] = 9,
) -> None:
    """Print the two tables."""
    pipeline = load_pipeline(model)
    steps = pipeline.preset.sample.steps if steps is None else steps
    scene = pipeline.encode_inputs(IMAGE, AUDIO)
    prepare = cpu_seconds(lambda: pipeline.encode_inputs(IMAGE, AUDIO))
    segment = scene.segments[0]
    conditioning = scene.conditioning(segment, audio_margin=pipeline.preset.model.audio_margin)
    z = segment_noise((1, segment.length, *scene.ref_latent.shape[1:]), seed=0, index=0)
    times, cache = torch.zeros(z.shape[:2]), ConditioningCache()

    def plain() -> None:
        pipeline.univdm(z, times, conditioning)

    def saving() -> None:
        pipeline.univdm(z, times, conditioning, cache=cache)

    for compute in (plain, saving):
        compute()
    pairs = [(cpu_seconds(saving), cpu_seconds(plain)) for _ in range(repeats)]
    evaluation, before = (statistics.median(column) for column in zip(*pairs, strict=True))
    low, ratio, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    frames = pipeline.decode(scene, segment, z[0])
    decode = statistics.median(cpu_seconds(lambda: pipeline.decode(scene, segment, z[0])) for _ in range(3))
    with (
        tempfile.TemporaryDirectory() as folder,
        VideoWriter(Path(folder) / "a.mp4", width=scene.width, height=scene.height, audio=read_audio(AUDIO)) as writer,
    ):
        write = cpu_seconds(lambda: writer.write(frames))
    count = len(scene.segments)
    parts = {
        "reading and encoding the inputs": prepare,
        f"UniVDM, {count} segments x {steps} steps": count * steps * evaluation,
        "decoding": count * decode,
        "writing the video": count * write,
    }
    total = sum(parts.values())
    typer.echo(
        f"{scene.num_frames / FPS:.1f} s of video, {torch.get_num_threads()} threads, {total:.1f} s of processor"
    )
    typer.echo("\n| part | s of processor | share |\n|---|---|---|")
    for name, seconds in parts.items():
        typer.echo(f"| {name} | {seconds:.2f} | {seconds / total:.1%} |")
    typer.echo("\n| an evaluation | ms of processor |\n|---|---|")
    typer.echo(f"| everything anew | {1000 * before:.0f} |\n| what the steps share once | {1000 * evaluation:.0f} |")
    typer.echo(f"| ratio (quartiles) | {ratio:.3f} ({low:.3f} to {high:.3f}) |")


if __name__ == "__main__":
    typer.run(main)
