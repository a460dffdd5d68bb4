"""`paha animate`: image and speech files to an mp4, streamed and resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from paha.media.audio_io import as_audio
from paha.media.image_io import contact_sheet as contact_sheet_of
from paha.media.image_io import read_image, save_png
from paha.media.video_writer import VideoWriter
from paha.pipeline.options import SampleOptions
from paha.pipeline.reference import ReferenceOptions
from paha.pipeline.segment_store import SegmentStore
from paha.runtime.fingerprint import fingerprint, model_fingerprint
from paha.types import FPS

if TYPE_CHECKING:
    from paha.pipeline.inputs import EncodedInputs
    from paha.pipeline.pipeline import PahaPipeline, SegmentOutput

SHEET_FRAMES = 16
SHEET_COLUMNS = 4


def animate(
    pipeline: PahaPipeline,
    image: Path | str,
    audio: Path | str,
    out: Path | str,
    options: SampleOptions = SampleOptions(),
    reference: ReferenceOptions = ReferenceOptions(),
    *,
    num_frames: int | None = None,
    resume: bool = False,
    stream: BinaryIO | None = None,
    label: bool = False,
    save_frames: Path | str | None = None,
    contact_sheet: Path | str | None = None,
    progress: bool = True,
) -> Path:
    """Write the video of `image` speaking `audio` to `out`; returns `out`.

    num_frames: as long as the sound by default. Every finished segment is kept in OUT.partial until the
    video is whole; `resume` goes on from there, to the same video to the bit, if nothing that it depends on has
    changed. stream: an open file that takes a fragmented mp4 as it is made, frame by frame; `out` is then only where
    segments are kept. label: draw "AI-generated" on the picture. save_frames: a folder for all frames as PNG.
    contact_sheet: a PNG of 16 frames. progress: a bar on stderr.
    Raises PahaError for bad inputs, an unwritable output, and settings that changed before a resume.
    """
    out = Path(out)
    picture, sound = read_image(image), as_audio(audio)
    inputs = pipeline.encode_inputs(picture, sound, reference, num_frames=num_frames)
    inputs.reference.prepare()
    options = options.of_preset(pipeline.preset.sample)
    steps = options.steps or 0
    settings = {
        "image": fingerprint(picture),
        "audio": fingerprint(sound[0], str(sound[1])),
        "model": model_fingerprint(pipeline.univdm, pipeline.codec),
        "config": pipeline.preset.model_dump(mode="json", exclude={"train", "par", "sample"}),
        "frames": [inputs.num_frames, inputs.height, inputs.width],
        "strength": list(astuple(reference.strength)),
        "motion_smoothing": pipeline.preset.sample.motion_smoothing,
    } | options.settings()
    if num_frames is not None:
        sound = sound[0][: round(num_frames * sound[1] / FPS)], sound[1]
    with VideoWriter(
        out,
        width=inputs.width,
        height=inputs.height,
        audio=sound,
        num_frames=inputs.num_frames,
        label=label,
        stream=stream,
    ) as writer:
        store = SegmentStore(out)
        finished = store.open(settings, resume=resume)
        sinks = _Sinks(inputs.num_frames, frames_dir=save_frames, sheet=contact_sheet)
        with _progress_bar(steps * len(inputs.segments), done=steps * finished, enabled=progress) as advance:
            sampled = partial(pipeline.generate, inputs, options, callback_on_step_end=lambda *_: advance())
            for frame in _kept_then_new(pipeline, inputs, store, finished, sampled):
                writer.write(frame[None])
                sinks.write(frame)
        sinks.finish()
    store.remove()
    return out


def _kept_then_new(
    pipeline: PahaPipeline,
    inputs: EncodedInputs,
    store: SegmentStore,
    finished: int,
    generate: Callable[..., Iterator[SegmentOutput]],
) -> Iterator[np.ndarray]:
    """Frame by frame, the kept segments, decoded again, then of the others, each kept before it is handed on."""
    last = None
    for segment in inputs.segments[:finished]:
        latents = store.load(segment.index)
        last = latents[-1]
        yield from pipeline.iter_frames(inputs, segment, latents)
    for output in generate(start_segment=finished, first_latent=last):
        store.save(output.segment.index, output.latents)
        yield from output.iter_frames()


class _Sinks:
    """Where frames go beside the video: PNG files and a contact sheet, of which only the chosen frames are kept."""

    def __init__(self, num_frames: int, *, frames_dir: Path | str | None, sheet: Path | str | None) -> None:
        self.frames_dir = None if frames_dir is None else Path(frames_dir)
        self.sheet = None if sheet is None else Path(sheet)
        self._wanted = set(np.linspace(0, num_frames - 1, min(SHEET_FRAMES, num_frames)).round().astype(int).tolist())
        self._chosen: list[np.ndarray] = []
        self._written = 0

    def write(self, frame: np.ndarray) -> None:
        if self.frames_dir is not None:
            save_png(self.frames_dir / f"frame_{self._written:06d}.png", frame)
        if self.sheet is not None and self._written in self._wanted:
            self._chosen.append(frame)
        self._written += 1

    def finish(self) -> None:
        if self.sheet is not None:
            save_png(self.sheet, contact_sheet_of(self._chosen, columns=SHEET_COLUMNS))


@contextmanager
def _progress_bar(total: int, *, done: int, enabled: bool) -> Iterator[Callable[[], None]]:
    """A bar over solver steps on stderr, with the time left; yields what advances it by one."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("animate"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not enabled) as bar:
        task = bar.add_task("animate", total=total, completed=done)
        yield lambda: bar.advance(task)
