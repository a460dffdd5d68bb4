"""Where the processor time of `paha animate` goes, and milliseconds a frame of the renderer by size of picture.

python -m benchmarks.animate [STILL ...] [--model DIR] [--steps 30]

The first table is of the shipped photograph, or the first STILL, at 512 px. The second, on one core, is of a synthetic
face and body on noise, or of the STILLs. Times are of the processor, all threads, so that other programs on the machine
count little.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import cv2
import numpy as np
import torch
import typer

from paha.cli.checks import ASSETS
from paha.media.audio_io import read_audio
from paha.media.image_io import read_image
from paha.media.video_writer import VideoWriter
from paha.motion.landmarks import find_landmarks
from paha.motion.person import PersonMotion
from paha.motion.photograph import Photograph
from paha.motion.renderer import Renderer
from paha.pipeline.loading import load_pipeline
from paha.pipeline.reference import ReferenceOptions
from paha.sampling.long_video import segment_noise
from paha.types import FPS

IMAGE, AUDIO = (ASSETS / "presenter_images" / name for name in ("astronaut.png", "astronaut_speech.ogg"))
SIZE, SIZES = 512, (512, 768, 1280)


def cpu_seconds(compute: Callable[[], object]) -> float:
    """Of one call, all threads of this process."""
    begin = time.process_time()
    compute()
    return time.process_time() - begin


@torch.no_grad()
def parts_of_a_video(image: Path, model: Path | None, steps: int | None) -> tuple[float, dict[str, float]]:
    """Seconds of video, and processor seconds of each part of making it."""
    pipeline = load_pipeline(model)
    steps = pipeline.preset.sample.steps if steps is None else steps
    reference = ReferenceOptions(width=SIZE, height=SIZE)
    scene = pipeline.encode_inputs(image, AUDIO, reference)
    prepare = cpu_seconds(lambda: pipeline.encode_inputs(image, AUDIO, reference))
    segment = scene.segments[0]
    conditioning = scene.conditioning(segment, audio_margin=pipeline.preset.model.audio_margin)
    z = segment_noise((1, segment.length, *scene.ref_latent.shape[1:]), seed=0, index=0)
    times = torch.zeros(z.shape[:2])
    pipeline.univdm(z, times, conditioning)
    evaluation = statistics.median(cpu_seconds(lambda: pipeline.univdm(z, times, conditioning)) for _ in range(5))
    first = cpu_seconds(lambda: pipeline.decode(scene, segment, z[0]))
    frames = pipeline.decode(scene, segment, z[0])
    decode = statistics.median(cpu_seconds(lambda: pipeline.decode(scene, segment, z[0])) for _ in range(3))
    with (
        tempfile.TemporaryDirectory() as folder,
        VideoWriter(Path(folder) / "a.mp4", width=scene.width, height=scene.height, audio=read_audio(AUDIO)) as writer,
    ):
        write = cpu_seconds(lambda: writer.write(frames))
    count = len(scene.segments)
    return scene.num_frames / FPS, {
        "reading and encoding the inputs": prepare,
        f"UniVDM, {count} segments x {steps} steps": count * steps * evaluation,
        "preparing the photograph for rendering": max(0.0, first - decode),
        "decoding": count * decode,
        "writing the video": count * write,
    }


def talking(num_frames: int) -> PersonMotion:
    """Everything moves: head, mouth, lids, brows, gaze, shoulders, elbows, wrists and hands."""
    phase = np.linspace(0, 4 * np.pi, num_frames)
    motion = PersonMotion.rest(num_frames)
    motion.mouth_open[:] = 0.04 * (1 - np.cos(5 * phase))
    motion.head_rotation[:] = 0.08 * np.sin(phase[:, None] + np.arange(3))
    motion.head_shift[:] = 0.03 * np.sin(phase[:, None] + np.arange(2))
    motion.lids[:] = np.clip(np.sin(3 * phase), 0, 1)[:, None]
    motion.brows[:], motion.gaze[:] = 0.02 * np.sin(phase)[:, None], np.sin(phase)[:, None]
    motion.parts[:] = 0.08 * np.sin(phase[:, None, None] + np.arange(16).reshape(8, 2))
    motion.hand_rotation[:] = 0.1 * np.sin(phase)[:, None]
    return motion


def photographs(stills: list[Path], size: int) -> dict[str, Photograph]:
    """The stills with a longer side of `size` pixels, or two synthetic people."""
    if not stills:
        from tests.motion.meshes import photograph  # the only person that the code itself can draw

        return {"portrait": photograph(size, 0.4 * size), "half-body": photograph(size, 0.2 * size, body=True)}
    found = {}
    for path in stills:
        image = read_image(path)
        scale = size / max(image.shape[:2])
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=way)
        found[path.stem] = Photograph(image, find_landmarks(image))
    return found


def seconds_a_frame(renderer: Renderer, num_frames: int = 40) -> float:
    """The median of a talking person's frames."""
    motion = talking(num_frames)
    return statistics.median(cpu_seconds(lambda t=t: renderer.frame(motion, t)) for t in range(num_frames))


def processor() -> str:
    """The machine's name for its processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main(
    stills: Annotated[list[Path] | None, typer.Argument(help="Photographs of people.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")] = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps; the preset's by default.")] = None,
) -> None:
    """Print the two tables."""
    stills = stills or []
    video_s, parts = parts_of_a_video(stills[0] if stills else IMAGE, model, steps)
    total = sum(parts.values())
    typer.echo(f"{video_s:.1f} s of video, {torch.get_num_threads()} threads, {total:.1f} s of processor")
    typer.echo("\n| part | s of processor | share |\n|---|---|---|")
    for name, seconds in parts.items():
        typer.echo(f"| {name} | {seconds:.2f} | {seconds / total:.1%} |")
    cv2.setNumThreads(1)
    typer.echo(f"\nThe renderer on one core of {processor()}, OpenCV {cv2.__version__}\n")
    typer.echo("| picture | size | face height | arms | set-up s | ms a frame |\n|---|---|---|---|---|---|")
    for size in SIZES:
        for name, photo in photographs(stills, size).items():
            begin = time.process_time()
            renderer = Renderer(photo)
            setup, (height, width) = time.process_time() - begin, photo.image.shape[:2]
            person = f"{photo.unit:.0f} px | {len(renderer.arms)} | {setup:.2f}"
            typer.echo(f"| {name} | {width} x {height} | {person} | {1000 * seconds_a_frame(renderer):.1f} |")


if __name__ == "__main__":
    typer.run(main)
