"""`paha animate`: a video out of an image and a recording, or a list of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from paha.cli.guidance_flags import GuidanceFlags
from paha.cli.jobs import (
    AnimateJob,
    check_inputs,
    failures,
    frame_folders,
    is_done,
    read_jobs,
    run_jobs,
)
from paha.cli.options import (
    FILE,
    STREAM_IN,
    Device,
    Mark,
    ModelFolder,
    SampleSteps,
    Sign,
    TextOptions,
    parse_size,
    tell,
)
from paha.cli.written import STANDARD_OUTPUT, check_signing, open_stream, say_what_is_kept, sign
from paha.errors import PahaError
from paha.pipeline.outputs import FRAMES_FOLDER, VIDEO, check_outputs, sheet_path
from paha.runtime.quick_start import quick_start

if TYPE_CHECKING:
    import numpy as np

    from paha.config import PahaConfig
    from paha.guidance.choice import GuidanceChoice
    from paha.media.audio_io import AudioInput
    from paha.media.image_io import ImageInput
    from paha.pipeline.pipeline import PahaPipeline
    from paha.pipeline.reference import ReferenceOptions


class Landmarks(StrEnum):
    """Who reads the photograph."""

    auto = "auto"
    mediapipe = "mediapipe"
    own = "own"


class Dtype(StrEnum):
    """Floating-point types of the networks."""

    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"


@dataclass(frozen=True)
class LoadOptions:
    """Which model, and where and how it runs."""

    model: ModelFolder = None
    device: Device = None
    dtype: Annotated[Dtype, typer.Option(help="Floating-point type of the networks.")] = Dtype.float32
    low_vram: Annotated[
        bool, typer.Option("--low-vram", help="A small GPU: fp16, one network at a time there, decoding in chunks.")
    ] = False

    def preset(self) -> PahaConfig:
        """What the model was made with."""
        from paha.pipeline.loading import SHIPPED_MODEL
        from paha.pipeline.model_folder import find_model, read_config

        return read_config(find_model(SHIPPED_MODEL if self.model is None else self.model))

    def load(self) -> PahaPipeline:
        """The pipeline."""
        from paha.pipeline.loading import load_pipeline

        return load_pipeline(self.model, device=self.device, dtype=self.dtype.value, low_vram=self.low_vram)


@dataclass(frozen=True)
class AnimateOptions:
    """The same for every job of a list."""

    steps: SampleSteps = None
    seed: Annotated[int, typer.Option(help="The same seed gives the same video.", min=0, max=2**63 - 1)] = 0
    cfg_scale: Annotated[float | None, typer.Option(help="Audio guidance scale; 1 is off.", min=0.0, max=100.0)] = None
    size: Annotated[
        str | None,
        typer.Option(help="N or WIDTHxHEIGHT in pixels; a photograph's longer side is shrunk to it (1280 by default)."),
    ] = None
    face_box: Annotated[
        str | None, typer.Option(metavar="X0,Y0,X1,Y1", help="Whose face, in pixels of IMAGE (the largest by default).")
    ] = None
    landmarks: Annotated[
        Landmarks, typer.Option(help="Who reads the photograph; auto is MediaPipe where its models are found.")
    ] = Landmarks.auto
    strength: Annotated[
        str | None, typer.Option(metavar="HEAD,HANDS,MOUTH", help="How much they move: 0 still, 1 as made, to 2.")
    ] = None
    start: Annotated[float, typer.Option(help="Seconds of AUDIO to leave out at the start.", min=0.0)] = 0.0
    duration: Annotated[float | None, typer.Option(help="Seconds of AUDIO to use (all).", min=0.2)] = None
    fps: Annotated[
        int, typer.Option(help="Frames a second; the model's 25 are repeated or left out.", min=1, max=120)
    ] = 25
    crf: Annotated[float, typer.Option(help="Quality of the picture, 0 (lossless) to 51.", min=0, max=51)] = 18.0
    label: Annotated[bool, typer.Option("--label", help="Draw 'AI-generated' on the picture.")] = False
    mark: Mark = None
    sign: Sign = None
    save_frames: Annotated[Path | None, typer.Option(help="Folder for all frames as PNG."), FRAMES_FOLDER] = None
    contact_sheet: Annotated[bool, typer.Option("--contact-sheet", help="Also write OUT_sheet.png.")] = False
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished segment or job.")] = False
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there already: OUT, or what an interrupted run kept.")
    ] = False

    def check(self, inputs: Sequence[Path], out: Path) -> None:
        """Raises PahaError where the outputs may not be written."""
        sheet = sheet_path(out) if self.contact_sheet else None
        may = {"resume": self.resume, "overwrite": self.overwrite}
        check_outputs(out, inputs=inputs, sheet=sheet, frames=self.save_frames, **may)

    def of_job(self, job: AnimateJob, folders: Mapping[Path, Path]) -> Self:
        """Those of one row. folders: of its frames, by output."""
        frames = None if self.save_frames is None else self.save_frames / folders[job.output]
        return replace(self, seed=self.seed if job.seed is None else job.seed, save_frames=frames)

    def reference(self) -> ReferenceOptions:
        """How the image is read. Raises PahaError for what cannot be meant."""
        from paha.guidance.face_box import parse_face_box
        from paha.motion.strength import MotionStrength, parse_strength
        from paha.pipeline.reference import ReferenceOptions

        box = None if self.face_box is None else parse_face_box(self.face_box)
        strength = MotionStrength() if self.strength is None else parse_strength(self.strength)
        return ReferenceOptions(*parse_size(self.size), box, self.landmarks.value, strength)


def animate(
    *,
    image: Annotated[Path | None, typer.Argument(help="Reference image."), FILE] = None,
    audio: Annotated[
        Path | None,
        typer.Argument(help="Speech: any audio file, a video with sound, or - for standard input."),
        STREAM_IN,
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Video to write (mp4); - is standard output."), VIDEO
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Write OUT as it is made: a fragmented mp4 that plays while it grows.")
    ] = False,
    jobs: Annotated[Path | None, typer.Option(help="CSV with columns image,audio,output[,seed]."), FILE] = None,
    text: TextOptions,
    load: LoadOptions,
    options: AnimateOptions,
    flags: GuidanceFlags,
) -> None:
    """Make a video of IMAGE speaking AUDIO, or a text."""
    if jobs is not None and (image or audio or out or text.text or stream):
        raise PahaError("give either IMAGE AUDIO -o OUT.mp4 or --jobs jobs.csv, not both")
    if jobs is not None:
        check_jobs(jobs, options)
    elif image is None or out is None:
        raise PahaError("give IMAGE AUDIO -o OUT.mp4, or --jobs jobs.csv")
    elif options.resume and is_done(out):
        tell(f"{out} is there already")
        return
    else:
        options.check([image] if audio is None else [image, audio], out)
    with quick_start():
        reference = options.reference()  # bad options fail before anything is loaded
        choice = flags.choice(reference.face_box)
        inputs = None if image is None else read_inputs(image, text.speech(audio))
        if inputs is not None:
            reference = reference.begun(inputs[0], load.preset())
        pipeline = load.load()
    if jobs is not None:
        animate_jobs(pipeline, jobs, options, choice)
    elif inputs is not None and out is not None:
        animate_one(pipeline, *inputs, out, options, choice, reference, stream=stream)


def read_inputs(image: Path, audio: AudioInput) -> tuple[np.ndarray, tuple[np.ndarray, int]]:
    """The picture and the sound, read once, as they may be pipes."""
    from paha.media.audio_io import as_audio
    from paha.media.image_io import as_image

    return as_image(image), as_audio(audio)


def animate_one(
    pipeline: PahaPipeline,
    image: ImageInput,
    audio: AudioInput,
    out: Path,
    options: AnimateOptions,
    choice: GuidanceChoice | None = None,
    reference: ReferenceOptions | None = None,
    *,
    stream: bool = False,
) -> None:
    """One video; says where it is. reference: the options', whose reading may have begun. stream: as it is made, which
    it is on standard output."""
    from paha.guidance.choice import guide
    from paha.media.audio_io import as_audio, cut_audio
    from paha.media.image_io import as_image
    from paha.pipeline.animate import animate as animate_files
    from paha.pipeline.options import SampleOptions

    sheet = sheet_path(out) if options.contact_sheet else None
    # Before OUT is opened.
    picture, sound = as_image(image), as_audio(audio)
    reference = (reference or options.reference()).begun(picture, pipeline.preset)
    sound = as_audio(cut_audio(sound, start_s=options.start, duration_s=options.duration))
    begin = time.monotonic()
    sample = SampleOptions(steps=options.steps, seed=options.seed, cfg_scale=options.cfg_scale)
    check_signing(options.sign, streams=stream or out == STANDARD_OUTPUT)
    with say_what_is_kept(out), open_stream(out, stream=stream, resume=options.resume) as (file, place):
        animate_files(
            pipeline,
            picture,
            sound,
            place,
            guide(
                sample,
                pipeline,
                picture,
                choice,
                width=reference.width,
                height=reference.height,
                reading=reference.reading,
                say=tell,
            ),
            reference,
            resume=options.resume,
            overwrite=options.overwrite,
            stream=file,
            fps=options.fps,
            crf=options.crf,
            label=options.label,
            mark=options.mark,
            save_frames=options.save_frames,
            contact_sheet=sheet,
        )
    sign(out, options.sign)
    tell(f"made in {time.monotonic() - begin:.1f} s, beside the start")
    if out != STANDARD_OUTPUT:
        typer.echo(f"{out}" + (f" and {sheet}" if sheet else ""))


def check_jobs(path: Path, options: AnimateOptions) -> None:
    """Raises PahaError where a row's files are missing, or its outputs may not be written."""
    jobs = read_jobs(path)
    check_inputs(path, jobs)
    folders = frame_folders([job.output for job in jobs])
    for job in jobs:
        if options.resume and is_done(job.output):
            continue
        try:
            options.of_job(job, folders).check([job.image, job.audio], job.output)
        except PahaError as error:
            more = "" if options.resume else " (--resume makes only those that are not there)"
            raise PahaError(f"{path} row {job.row}: {error}{more}") from error


def animate_jobs(
    pipeline: PahaPipeline, path: Path, options: AnimateOptions, choice: GuidanceChoice | None = None
) -> None:
    """Every row of a list; goes on after a failed one. Raises PahaError at the end that lists what failed and why."""
    jobs = read_jobs(path)
    folders = frame_folders([job.output for job in jobs])

    def run(job: AnimateJob) -> None:
        tell(f"{jobs.index(job) + 1} of {len(jobs)}: {job.output}")
        animate_one(pipeline, job.image, job.audio, job.output, options.of_job(job, folders), choice)

    results = run_jobs(path, run, resume=options.resume)
    failed = failures(results)
    skipped = sum(result.skipped for result in results)
    typer.echo(f"{len(results) - len(failed) - skipped} made, {skipped} were there already, {len(failed)} failed")
    if failed:
        raise PahaError(f"{len(failed)} of {len(results)} jobs failed: {'; '.join(failed)}")
