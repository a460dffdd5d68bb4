"""`paha animate`: image and speech files to an mp4, streamed and resumable."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from paha.media.audio_io import AudioInput, as_audio
from paha.media.image_io import ImageInput, as_image, save_png
from paha.media.image_io import contact_sheet as contact_sheet_of
from paha.media.video_writer import VideoWriter
from paha.pipeline.options import SampleOptions
from paha.pipeline.outputs import check_outputs, remove_leftovers
from paha.pipeline.reference import ReferenceOptions
from paha.pipeline.segment_store import SegmentStore
from paha.runtime.fingerprint import fingerprint, model_fingerprint
from paha.runtime.progress import progress_bar
from paha.runtime.threads import one_ahead
from paha.types import FPS

if TYPE_CHECKING:
    from paha.pipeline.generated import SegmentOutput
    from paha.pipeline.inputs import EncodedInputs
    from paha.pipeline.pipeline import PahaPipeline

SHEET_FRAMES = 16
SHEET_COLUMNS = 4
OF_THE_PRESET = {"cfg_skip_first", "motion_smoothing", "lip_noise", "shift_noise", "heard_lips", "blinks"}
"""Of `sample`, what no option of a video changes."""


def animate(
    pipeline: PahaPipeline,
    image: ImageInput,
    audio: AudioInput,
    out: Path | str,
    options: SampleOptions = SampleOptions(),
    reference: ReferenceOptions = ReferenceOptions(),
    *,
    num_frames: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    stream: BinaryIO | None = None,
    fps: int = FPS,
    crf: float = 18,
    label: bool = False,
    mark: int | None = None,
    save_frames: Path | str | None = None,
    contact_sheet: Path | str | None = None,
    progress: bool = True,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the video of `image` speaking `audio` to `out`; returns `out`.

    num_frames: as long as the sound by default. Every finished segment is kept in OUT.partial until the video is whole;
    `resume` goes on from there, to the same video to the bit, if nothing that it depends on has changed. overwrite:
    replace what is at `out`, and do without the segments that an interrupted run kept. stream: an open file that takes
    a fragmented mp4 as it is made, frame by frame; `out` is then only where segments are kept. fps: of the video; the
    model's 25 frames a second are repeated or left out. crf: quality of x264, 0 (lossless) to 51. label: draw
    "AI-generated" on the picture. mark: a number to hide in it. save_frames: a folder for all frames as PNG.
    contact_sheet: a PNG of 16 frames. progress: a bar on stderr. advance: told of (frames done, total); what it raises
    ends the video, segments stay.
    Raises PahaError for bad inputs, an output that is there already or cannot be written (`paha.runtime.paths`), and
    settings that changed before a resume.
    """
    out, store = Path(out), SegmentStore(Path(out))
    sheet = None if contact_sheet is None else Path(contact_sheet)
    frames_folder = None if save_frames is None else Path(save_frames)
    inputs = [Path(path) for path in (image, audio) if isinstance(path, str | Path)]
    may = {"inputs": inputs, "resume": resume, "overwrite": overwrite, "video": stream is None}
    check_outputs(out, **may, sheet=sheet, frames=frames_folder)
    remove_leftovers(out, sheet=sheet, frames=frames_folder)
    picture, sound = as_image(image), as_audio(audio)
    reference = reference.begun(picture, pipeline.preset)
    model = model_fingerprint(pipeline.univdm, pipeline.codec)
    encoded = pipeline.encode_inputs(picture, sound, reference, num_frames=num_frames)
    encoded.reference.prepare()
    options = options.of_preset(pipeline.preset.sample)
    settings = _what_decides(pipeline, picture, sound, encoded, options, reference, model=model)
    if num_frames is not None:
        sound = sound[0][: round(num_frames * sound[1] / FPS)], sound[1]
    video = VideoWriter(
        out,
        width=encoded.width,
        height=encoded.height,
        audio=sound,
        num_frames=shown_frames(encoded.num_frames, fps),
        fps=fps,
        crf=crf,
        label=label,
        mark=mark,
        stream=stream,
    )
    with store.kept(), video as writer:
        finished = store.open(settings, resume=resume)
        sinks = _Sinks(shown_frames(encoded.num_frames, fps), frames_dir=frames_folder, sheet=sheet)
        advance(0, encoded.num_frames)
        # Closed here, so that its bar is gone before an error is told.
        with closing(_made_frames(pipeline, encoded, options, store, finished, progress=progress)) as frames:
            for done, frame in enumerate(frames, 1):
                for _ in range(shown_frames(done, fps) - shown_frames(done - 1, fps)):
                    writer.write(frame[None])
                    sinks.write(frame)
                advance(done, encoded.num_frames)
        sinks.finish()
    store.remove()
    return out


def _what_decides(
    pipeline: PahaPipeline,
    picture: np.ndarray,
    sound: tuple[np.ndarray, int],
    encoded: EncodedInputs,
    options: SampleOptions,
    reference: ReferenceOptions,
    *,
    model: str,
) -> dict[str, object]:
    """All that a segment's latents depend on, as plain data: `SegmentStore` refuses to go on with anything else.
    model: its fingerprint."""
    return {
        "image": fingerprint(picture),
        "audio": fingerprint(sound[0], str(sound[1])),
        "model": model,
        "config": pipeline.preset.model_dump(mode="json", exclude={"train", "par", "sample"}),
        "frames": [encoded.num_frames, encoded.height, encoded.width],
        "strength": list(astuple(reference.strength)),
        **pipeline.preset.sample.model_dump(include=OF_THE_PRESET),
    } | options.settings()


def _made_frames(
    pipeline: PahaPipeline,
    encoded: EncodedInputs,
    options: SampleOptions,
    store: SegmentStore,
    finished: int,
    *,
    progress: bool,
) -> Generator[np.ndarray]:
    """All frames, the first `finished` segments' from the store, with a bar over solver steps."""
    steps = options.steps or 0
    with _progress_bar(steps * len(encoded.segments), done=steps * finished, enabled=progress) as step_done:
        sampled = partial(pipeline.generate, encoded, options, callback_on_step_end=lambda *_: step_done())
        yield from _kept_then_new(pipeline, encoded, store, finished, sampled)


def shown_frames(num_frames: int, fps: int) -> int:
    """Frames of a video at `fps` that show the model's first `num_frames`, nearest in time; one at least."""
    return 0 if num_frames == 0 else max(1, (2 * num_frames * fps + FPS) // (2 * FPS))


def _kept_then_new(
    pipeline: PahaPipeline,
    inputs: EncodedInputs,
    store: SegmentStore,
    finished: int,
    generate: Callable[..., Generator[SegmentOutput]],
) -> Iterator[np.ndarray]:
    """Frame by frame, the kept segments, decoded again, then of the others, each kept before it is handed on."""
    last = None
    for segment in inputs.segments[:finished]:
        latents = store.load(segment.index, (segment.length, *inputs.ref_latent.shape[1:]))
        last = latents[-1]
        yield from pipeline.iter_frames(inputs, segment, latents)
    outputs = generate(start_segment=finished, first_latent=last)
    # Motion is drawn by OpenCV, which leaves the networks alone; a codec that is a network needs the device itself.
    drawn = pipeline.preset.codec.kind == "motion"
    with closing(one_ahead(outputs) if drawn else outputs) as coming:
        for output in coming:
            store.save(output.segment.index, output.latents)
            yield from output.iter_frames()


class _Sinks:
    """Where frames go beside the video: PNG files and a contact sheet, of which only the chosen frames are kept."""

    def __init__(self, num_frames: int, *, frames_dir: Path | None, sheet: Path | None) -> None:
        self.frames_dir, self.sheet = frames_dir, sheet
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
        if self.frames_dir is not None:  # of a longer video that was there before
            for path in self.frames_dir.glob("frame_*.png"):
                if path.stem[6:].isdecimal() and int(path.stem[6:]) >= self._written:
                    path.unlink()
        if self.sheet is not None:
            save_png(self.sheet, contact_sheet_of(self._chosen, columns=SHEET_COLUMNS))


@contextmanager
def _progress_bar(total: int, *, done: int, enabled: bool) -> Iterator[Callable[[], None]]:
    """A bar over solver steps on stderr, with the time left; yields what advances it by one."""
    with progress_bar(enabled=enabled) as bar:
        task = bar.add_task("animate", total=total, completed=done)
        yield lambda: bar.advance(task)
