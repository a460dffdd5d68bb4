"""The process that makes the videos of a server, on one device: python -m paha.serve.worker (started by the server).

It ends with the server: it holds the other end of the server's pipe as its standard input.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import threading
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paha.errors import PahaError
from paha.media.image_io import as_image
from paha.media.remux import remux
from paha.pipeline.inputs import PahaWarning
from paha.serve.store import VIDEO, Job, JobStore, stream_name
from paha.serve.uploads import IMAGE, SPEECH

if TYPE_CHECKING:
    from paha.pipeline.pipeline import PahaPipeline

POLL_S = 0.1
TELL_S = 0.2


class TakenAwayError(Exception):
    """The job was cancelled, deleted or given to another worker."""


def run_job(
    pipeline: PahaPipeline, store: JobStore, job: Job, *, sign: Path | None = None, mark: int | None = None
) -> None:
    """Make the video of a claimed job, from the segment that is not there yet, and end it. sign: the folder of
    a certificate, None not to sign. mark: a number to hide in the picture, None for none."""
    folder, told = store.files(job.id), 0.0
    seen: list[str] = []

    def advance(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > TELL_S or done == total:
            told = time.monotonic()
            if not store.progress(job, done=done, total=total, warnings=seen):
                raise TakenAwayError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", PahaWarning)
            warnings.showwarning = lambda message, *_, **__: seen.append(" ".join(str(message).split()))
            if not (folder / VIDEO).is_file():  # else its worker died at the very end
                _make(pipeline, folder, job, advance, sign, mark)
        store.end(job, "done")
        for stream in folder.glob(stream_name("*")):
            with suppress(OSError):  # where somebody still plays it, not every system lets it go
                stream.unlink()
    except TakenAwayError:
        pass
    except PahaError as error:
        store.end(job, "failed", str(error).replace(str(folder) + os.sep, ""))
    except Exception as error:  # one job of many; the next one may be better
        if store.end(job, "failed", f"it could not be made ({type(error).__name__})"):
            traceback.print_exc()
    if store.get(job.id) is None:  # deleted under our hands, which may have written since
        shutil.rmtree(folder, ignore_errors=True)


def _make(pipeline: PahaPipeline, folder: Path, job: Job, advance, sign: Path | None, mark: int | None) -> None:
    from paha.guidance.choice import SCALES, GuidanceChoice, guide
    from paha.guidance.classifier_gradient import GuidanceOptions
    from paha.motion.strength import MotionStrength
    from paha.pipeline.animate import animate
    from paha.pipeline.options import SampleOptions
    from paha.pipeline.reference import ReferenceOptions
    from paha.pipeline.segment_store import ResumeError

    asked = job.settings
    box = None if asked["face_box"] is None else tuple(asked["face_box"])
    reference = ReferenceOptions(asked["size"], asked["size"], box, strength=MotionStrength(*asked["strength"]))
    kind, choice = asked["guidance"], None
    if kind != "none":
        choice = GuidanceChoice(GuidanceOptions(kind=kind), box, by_preset=(*SCALES, "smoothing", "reuse"))
    image = as_image(folder / IMAGE)
    reference = reference.begun(image, pipeline.preset)
    options = guide(SampleOptions(seed=asked["seed"]), pipeline, image, choice, reading=reference.reading)
    growing = folder / stream_name(job.attempt)

    def make(*, resume: bool = False, overwrite: bool = False) -> None:
        with growing.open("wb") as stream:
            animate(
                pipeline,
                image,
                folder / SPEECH,
                folder / "segments",
                options,
                reference,
                stream=stream,
                label=asked["label"],
                mark=mark,
                progress=False,
                advance=advance,
                resume=resume,
                overwrite=overwrite,
            )

    try:
        make(resume=True)
    except ResumeError:  # begun by another version of the model or of this program
        make(overwrite=True)
    whole = folder / "whole.mp4"
    remux(growing, whole)
    if sign is not None:
        from paha.media.provenance import sign_video

        sign_video(whole, sign, title="PAHA")
    os.replace(whole, folder / VIDEO)


def work(pipeline: PahaPipeline, store: JobStore, name: str, *, sign: Path | None, mark: int | None) -> None:
    """Take one job after another, for ever."""
    while True:
        job = store.claim(name)
        if job is None:
            time.sleep(POLL_S)
        else:
            run_job(pipeline, store, job, sign=sign, mark=mark)


def guidance_kinds(pipeline: PahaPipeline) -> list[str]:
    """The kinds of guidance that the model has classifiers for, "none" first."""
    try:
        for region in ("face", "non_face"):
            pipeline.classifier(region)
    except PahaError:
        return ["none"]
    return ["none", "sg", "dg"]


def warm_up(pipeline: PahaPipeline) -> None:
    """Make a first frame for nobody: libraries load much at first use, which the first job would wait for (1.3 s)."""
    if pipeline.preset.codec.kind != "motion":  # a model of pixels may take minutes
        return
    from paha.pipeline.loading import SHIPPED_MODEL
    from paha.pipeline.options import SampleOptions
    from paha.types import FPS, SAMPLE_RATE_HZ

    image = SHIPPED_MODEL.with_name("presenter_images") / "astronaut.png"
    hum = np.sin(np.arange(SAMPLE_RATE_HZ) / 20).astype(np.float32)
    segment = next(pipeline.stream(image, (hum, SAMPLE_RATE_HZ), SampleOptions(steps=1), num_frames=FPS))
    next(segment.iter_frames())


def _end_with_server() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sign", type=Path)
    parser.add_argument("--mark", type=int)
    parser.add_argument("--name", required=True)
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    threading.Thread(target=_end_with_server, daemon=True).start()
    from paha.pipeline.loading import load_pipeline

    try:
        pipeline = load_pipeline(args.model, device=args.device)
    except PahaError as error:
        sys.exit(f"paha: error: {error}")
    pipeline.set_progress_bar_config(disable=True)
    warm_up(pipeline)
    print("ready", *guidance_kinds(pipeline), flush=True)
    work(pipeline, JobStore(args.folder), args.name, sign=args.sign, mark=args.mark)


if __name__ == "__main__":
    main()
