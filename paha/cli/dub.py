"""`paha dub`: other words in the mouth of a filmed person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from paha.cli.animate import Landmarks, LoadOptions
from paha.cli.options import FILE, STREAM_IN, Mark, Overwrite, SampleSteps, Sign, TextOptions, tell
from paha.cli.written import STANDARD_OUTPUT, check_signing, open_stream
from paha.cli.written import sign as sign_file
from paha.pipeline.outputs import VIDEO

_STAGES = {"faces": "reading the face", "speech": "making the motion", "frames": "writing frames"}


def dub(
    *,
    video: Annotated[Path, typer.Argument(help="A video of a person."), FILE],
    audio: Annotated[
        Path | None,
        typer.Argument(help="Other speech: any audio file, a video with sound, or - for standard input."),
        STREAM_IN,
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Video to write (mp4); - is standard output."), VIDEO],
    stream: Annotated[
        bool, typer.Option("--stream", help="Write OUT as it is made: a fragmented mp4 that plays while it grows.")
    ] = False,
    text: TextOptions,
    load: LoadOptions,
    steps: SampleSteps = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same video.", min=0, max=2**63 - 1)] = 0,
    cfg_scale: Annotated[float | None, typer.Option(help="Audio guidance scale; 1 is off.", min=0.0, max=100.0)] = None,
    face_box: Annotated[
        str | None, typer.Option(metavar="X0,Y0,X1,Y1", help="Whose face, in pixels of VIDEO (the largest by default).")
    ] = None,
    landmarks: Annotated[
        Landmarks, typer.Option(help="Who reads the frames; auto is MediaPipe where its models are found.")
    ] = Landmarks.auto,
    label: Annotated[bool, typer.Option("--label", help="Draw 'AI-generated' on the picture.")] = False,
    mark: Mark = None,
    sign: Sign = None,
    overwrite: Overwrite = False,
) -> None:
    """Make the person in VIDEO speak AUDIO, or a text: lips and jaw are replaced, all else of every frame is kept."""
    from paha.guidance.face_box import parse_face_box
    from paha.pipeline.dub import dub as dub_files
    from paha.pipeline.options import SampleOptions

    box = None if face_box is None else parse_face_box(face_box)
    speech = text.speech(audio)
    check_signing(sign, streams=stream or out == STANDARD_OUTPUT)
    pipeline = load.load()
    begin = time.monotonic()
    with open_stream(out, stream=stream) as (file, place), _progress() as advance:
        dub_files(
            pipeline,
            video,
            speech,
            place,
            SampleOptions(steps=steps, seed=seed, cfg_scale=cfg_scale),
            face_box=box,
            landmarks=landmarks.value,
            label=label,
            mark=mark,
            stream=file,
            advance=advance,
        )
    sign_file(out, sign)
    tell(f"made in {time.monotonic() - begin:.1f} s, beside the start")
    if out != STANDARD_OUTPUT:
        typer.echo(str(out))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar a stage on stderr; yields what tells of (stage, done, total)."""
    from rich.progress import TaskID

    from paha.runtime.progress import progress_bar

    tasks: dict[str, TaskID] = {}
    with progress_bar() as bar:

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(_STAGES[stage], total=total)
            bar.update(tasks[stage], completed=done)

        yield advance
