"""How much longer a video takes with guidance, as a waiting worker of `paha serve` makes it.

python -m experiments.serve.guidance_cost [--seconds 2.5] [--size 512] [--times 3]

The shipped model and the settings that the page asks for: two steps without guidance, the paper's 30 with it, gradients
as often as the preset has them. Each kind in turn, after a warm-up; seconds of CPU, all threads, and by the clock.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from experiments.serve.load import PICTURE, SPEECH
from paha.guidance.choice import SCALES, GuidanceChoice, guide
from paha.guidance.classifier_gradient import GuidanceKind, GuidanceOptions
from paha.media.audio_io import cut_audio, read_audio
from paha.media.image_io import read_image
from paha.pipeline.animate import animate
from paha.pipeline.loading import load_pipeline
from paha.pipeline.options import SampleOptions
from paha.pipeline.pipeline import PahaPipeline
from paha.pipeline.reference import ReferenceOptions
from paha.serve.worker import warm_up

KINDS: tuple[GuidanceKind, ...] = ("none", "sg", "dg")


def make(pipeline: PahaPipeline, kind: GuidanceKind, *, seconds: float, size: int, seed: int) -> tuple[float, float]:
    """Seconds of CPU and by the clock of one video."""
    begin, clock = time.process_time(), time.monotonic()
    choice = GuidanceChoice(GuidanceOptions(kind=kind), by_preset=(*SCALES, "smoothing", "reuse"))
    picture, sound = read_image(PICTURE), cut_audio(read_audio(SPEECH), duration_s=seconds)
    reference = ReferenceOptions(size, size).begun(picture, pipeline.preset)
    chosen = None if kind == "none" else choice
    options = guide(SampleOptions(seed=seed), pipeline, picture, chosen, reading=reference.reading)
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "v.mp4").open("wb") as stream:
        out = Path(folder) / "segments"
        animate(pipeline, picture, sound, out, options, reference, stream=stream, progress=False)
    return time.process_time() - begin, time.monotonic() - clock


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--times", type=int, default=3)
    args = parser.parse_args()
    pipeline = load_pipeline(None, device="cpu")
    warm_up(pipeline)
    took: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for seed in range(args.times):
        for kind in KINDS:
            took[kind].append(make(pipeline, kind, seconds=args.seconds, size=args.size, seed=seed))
    plain = [cpu for cpu, _ in took["none"]]
    print("| guidance | s of CPU | s by the clock | CPU over none |\n|---|---|---|---|")
    for kind, times in took.items():
        cpu, clock = zip(*times, strict=True)
        ratio = statistics.median(own / none for own, none in zip(cpu, plain, strict=True))
        print(f"| {kind} | {statistics.median(cpu):.1f} | {statistics.median(clock):.1f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
