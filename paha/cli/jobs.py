"""`paha animate --jobs jobs.csv`: a list of videos, one a row; a failed row never stops the others."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from paha.errors import PahaError
from paha.pipeline.segment_store import SegmentStore
from paha.runtime.faults import explain
from paha.runtime.paths import check_input, place_of

REQUIRED = ("image", "audio", "output")
OPTIONAL = ("seed",)
_SHOWN = 5
"""Missing files that a message names."""


@dataclass(frozen=True)
class AnimateJob:
    """One row of the list. row: its line in the file. seed: None where the row gives none."""

    row: int
    image: Path
    audio: Path
    output: Path
    seed: int | None = None


@dataclass(frozen=True)
class JobResult:
    """What became of a job. error: the reason of the failure, or None. skipped: its output was there already."""

    job: AnimateJob
    error: str | None = None
    skipped: bool = False


def read_jobs(path: Path | str) -> list[AnimateJob]:
    """The rows of a CSV file with columns image, audio, output and, if wanted, seed.

    Paths are relative to the file's folder. Raises PahaError that names the file, and the row or column that is wrong:
    nothing is run of a list that is not whole.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            _check_columns(path, reader.fieldnames or [])
            jobs = [_job(path, reader.line_num, row) for row in reader if any(row.values())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PahaError(f"cannot read the list of jobs {path}: {error}") from error
    if not jobs:
        raise PahaError(f"{path} lists no jobs; add rows below the header {','.join(REQUIRED)}")
    _check_outputs(path, jobs)
    return jobs


def check_inputs(path: Path | str, jobs: Sequence[AnimateJob]) -> None:
    """Raises PahaError that names the images and recordings of a list that are not there: now, not in the night."""
    wrong: dict[Path, str] = {}
    for job in jobs:
        for source in (job.image, job.audio):
            try:
                check_input(source, "file")
            except PahaError as error:
                wrong.setdefault(source, f"row {job.row}: {error}")
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise PahaError(f"{path}: {'; '.join(list(wrong.values())[:_SHOWN])}{more}; nothing was made yet")


def frame_folders(outputs: Sequence[Path]) -> dict[Path, Path]:
    """Where below one folder the frames of each video go: at its place below the folder that all of them share.

    Of en/a.mp4 and zh/a.mp4 en/a and zh/a; of a.mp4 and b.mp4 a and b.
    """
    places = {output: Path(os.path.abspath(output)) for output in outputs}
    shared = os.path.commonpath([place.parent for place in places.values()])
    below = {output: place.relative_to(shared) for output, place in places.items()}
    bare = [place.with_suffix("") for place in below.values()]
    # Two that differ in their ending alone keep it.
    return {k: place if bare.count(place.with_suffix("")) > 1 else place.with_suffix("") for k, place in below.items()}


def run_jobs(path: Path | str, animate_job: Callable[[AnimateJob], object], *, resume: bool = False) -> list[JobResult]:
    """Run every job of the list, in order; one that raises is noted and the next one goes on.

    animate_job: makes one video. resume: rows whose output exists are skipped. Raises PahaError for a bad list only.
    """
    return [_run(job, animate_job, resume=resume) for job in read_jobs(path)]


def is_done(output: Path) -> bool:
    """Whether a video is there, and no interrupted run that goes on to it."""
    return output.exists() and not SegmentStore(output).begun


def failures(results: Sequence[JobResult]) -> list[str]:
    """A line for every failed job: its row, its output and why."""
    return [f"row {r.job.row}, {r.job.output}: {r.error}" for r in results if r.error is not None]


def _run(job: AnimateJob, animate_job: Callable[[AnimateJob], object], *, resume: bool) -> JobResult:
    if resume and is_done(job.output):
        return JobResult(job, skipped=True)
    try:
        animate_job(job)
    except PahaError as error:
        return JobResult(job, error=str(error))
    except Exception as error:
        # One video out of many: memory that runs out, say, must not take the others down. The caller reports it.
        return JobResult(job, error=explain(error) or f"{type(error).__name__}: {error}")
    return JobResult(job)


def _check_outputs(path: Path, jobs: Sequence[AnimateJob]) -> None:
    """No two rows write one file, and none an input of any row."""
    sources = {place_of(source): source for job in jobs for source in (job.image, job.audio)}
    seen: dict[object, int] = {}
    for job in jobs:
        place = place_of(job.output)
        if place in seen:
            raise PahaError(f"{path} rows {seen[place]} and {job.row} have the same output {job.output}")
        if place in sources:
            raise PahaError(f"{path} row {job.row}: the output {job.output} is an input of the list: it would be lost")
        seen[place] = job.row


def _check_columns(path: Path, found: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in found]
    unknown = [name for name in found if name not in REQUIRED + OPTIONAL]
    if missing or unknown:
        what = f"has no column '{missing[0]}'" if missing else f"has an unknown column '{unknown[0]}'"
        raise PahaError(f"{path} {what}; its first line must be {','.join(REQUIRED)}[,{','.join(OPTIONAL)}]")


def _job(path: Path, line: int, row: dict[str, str | None]) -> AnimateJob:
    values = {name: (row[name] or "").strip() for name in REQUIRED}
    empty = [name for name, value in values.items() if not value]
    # DictReader keeps surplus cells under None.
    if empty or None in row:
        raise PahaError(f"{path} row {line}: {'too many cells' if not empty else f'{empty[0]} is empty'}")
    seed = (row.get("seed") or "").strip()
    if seed and not (seed.isascii() and seed.isdecimal() and len(seed) <= 18):
        raise PahaError(f"{path} row {line}: seed '{seed}' is no whole number of at most 18 digits")
    paths = {name: path.parent / value for name, value in values.items()}
    return AnimateJob(row=line, **paths, seed=int(seed) if seed else None)
