"""The presenter corpus on disk: many clips in parallel, resumable, each a function of its seed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from paha.dataset.manifest import MANIFEST
from paha.dataset.synth.clip import CORPUS_VERSION, HELD_OUT_SEED, ClipPlan, make_clip
from paha.dataset.synth.natural_speech import NaturalSpeech
from paha.dataset.synth.photographed import find_stills
from paha.dataset.synth.speech import LANGUAGES
from paha.errors import PahaError
from paha.runtime.progress import progress_bar
from paha.runtime.workers import begin_worker, ended
from paha.types import ClipRecord

_SETTINGS = "synth.json"
_MAX_SECONDS, _MAX_SIZE_PX = 600, 4096
_SHEET_CLIPS, _SHEET_TIMES = 8, 6


def make_corpus(
    out: Path | str,
    *,
    clips: int,
    seed: int = 0,
    size: int = 128,
    seconds: tuple[float, float] = (3.0, 6.0),
    languages: Sequence[str] = LANGUAGES,
    workers: int | None = None,
    recordings: Sequence[Path | str] | None = None,
    characters: int | None = None,
    speech: Path | str | None = None,
    stills: Path | str | None = None,
    progress: bool = True,
) -> list[ClipRecord]:
    """Make a dataset of presenters, drawn or photographed; returns the records of its manifest, in order of seed.

    Clip i has seed + i and shows a character of its own, or the (i mod characters)-th of `characters`. A clip that is
    in the manifest with its files is kept, so that an interrupted run goes on, and a larger `clips` extends a corpus.
    recordings: files of speech that half of the clips then use. speech: a folder of aligned natural speech that half of
    the others use (the held-out voices for held-out seeds). stills: a folder of photographs that are moved instead of
    drawn characters; `size` is then the longer side's. workers: processes, by default one a core; 1 stays in
    this process. Writes manifest.jsonl, clips/, synth.json and the preview sheet.png.
    Raises PahaError for senseless options and for a folder that was begun with other ones.
    """
    from paha.dataset.manifest import write_manifest

    out = Path(out)
    plans = plan_corpus(
        clips=clips,
        seed=seed,
        size=size,
        seconds=seconds,
        languages=languages,
        recordings=recordings,
        characters=characters,
        speech=speech,
        stills=stills,
    )
    begun = (out / _SETTINGS).is_file()
    _check_settings(out, plans[0], characters)
    done = _finished(out)
    missing = [plan for plan in plans if plan.clip_id not in done]
    try:
        done |= {record.clip_id: record for record in _make(missing, out, workers, progress, total=len(plans))}
    except BaseException:
        if not begun and not _finished(out):  # nothing was made: nothing is left
            for name in (MANIFEST, _SETTINGS):
                (out / name).unlink(missing_ok=True)
            shutil.rmtree(out / "clips", ignore_errors=True)
        raise
    records = sorted(done.values(), key=lambda record: record.clip_id)
    write_manifest(out, records)
    if missing or not (out / "sheet.png").is_file():
        write_sheet(out, records)
    return records


def plan_corpus(
    *,
    clips: int,
    seed: int = 0,
    size: int = 128,
    seconds: tuple[float, float] = (3.0, 6.0),
    languages: Sequence[str] = LANGUAGES,
    recordings: Sequence[Path | str] | None = None,
    characters: int | None = None,
    speech: Path | str | None = None,
    stills: Path | str | None = None,
) -> list[ClipPlan]:
    """The plans of a corpus's clips, checked. Options as in `make_corpus`."""
    _check_options(clips, seed, size, seconds, languages, characters)
    files = tuple(str(Path(path)) for path in recordings or ())
    pictures = () if stills is None else find_stills(Path(stills))
    if speech is not None:
        NaturalSpeech(speech, held_out=seed >= HELD_OUT_SEED)  # says what is wrong with the folder
    return [
        ClipPlan(
            seed=seed + i,
            character_seed=seed + (i if characters is None else i % characters),
            size=size,
            seconds=(float(seconds[0]), float(seconds[1])),
            languages=tuple(languages),
            recordings=files,
            speech="" if speech is None else str(Path(speech)),
            stills=pictures,
        )
        for i in range(clips)
    ]


def _check_options(
    clips: int, seed: int, size: int, seconds: tuple[float, float], languages: Sequence[str], characters: int | None
) -> None:
    if clips < 1 or (characters is not None and characters < 1):
        raise PahaError(f"clips ({clips}) and characters ({characters}) must be at least 1")
    if seed < 0 or seed < HELD_OUT_SEED < seed + clips:
        raise PahaError(f"seeds {seed} to {seed + clips - 1} reach into the held-out ones: stay below {HELD_OUT_SEED}")
    if not 32 <= size <= _MAX_SIZE_PX or size % 2:
        raise PahaError(f"size {size} must be an even number of pixels, 32 to {_MAX_SIZE_PX}")
    if not 0.2 <= seconds[0] <= seconds[1] <= _MAX_SECONDS:
        raise PahaError(f"seconds {tuple(seconds)} must be (shortest, longest), 0.2 to {_MAX_SECONDS}")
    if not languages or not set(languages) <= set(LANGUAGES):
        raise PahaError(f"languages {list(languages)} must be some of {', '.join(LANGUAGES)}")


def _check_settings(out: Path, plan: ClipPlan, characters: int | None) -> None:
    """Keep the options beside the clips, so that a resumed run cannot mix two kinds of corpus."""
    from paha.runtime.atomic import write_bytes

    # With a character for each clip, a corpus may be extended from any seed; a cast of N is numbered from the first.
    cast = None if characters is None else {"characters": characters, "first": plan.character_seed}
    settings = {"version": CORPUS_VERSION, "size": plan.size, "seconds": list(plan.seconds), "cast": cast}
    settings |= {"languages": list(plan.languages), "recordings": [Path(name).name for name in plan.recordings]}
    settings |= {"speech": Path(plan.speech).name, "stills": [Path(name).name for name in plan.stills]}
    path = out / _SETTINGS
    if (out / MANIFEST).is_file() and not path.is_file():
        raise PahaError(f"{out} holds a dataset that `paha synth` did not make: give another folder")
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != settings:
        raise PahaError(f"{out} was begun with other options (see {path}): repeat those, or give another folder")
    write_bytes(path, json.dumps(settings, indent=1).encode())


def _finished(out: Path) -> dict[str, ClipRecord]:
    from paha.dataset.manifest import read_manifest

    if not (out / MANIFEST).is_file():
        return {}
    records = read_manifest(out, unfinished=True)
    return {r.clip_id: r for r in records if all((out / f).is_file() for f in (r.video, r.audio, r.annotations))}


def _make(plans: list[ClipPlan], out: Path, workers: int | None, progress: bool, *, total: int) -> Iterator[ClipRecord]:
    """Make the clips, add each to the manifest as it is done, and show how long the rest will take."""
    from paha.dataset.manifest import append_record, write_manifest

    if not plans:
        return
    # Records whose files are gone would appear twice once they are made again.
    write_manifest(out, _finished(out).values())
    workers = min(workers or os.cpu_count() or 1, len(plans))
    with progress_bar(enabled=progress) as bar:
        task = bar.add_task("drawing clips", total=total, completed=total - len(plans))
        for record in _in_process(plans, out) if workers == 1 else _in_parallel(plans, out, workers):
            append_record(out, record)
            bar.advance(task)
            yield record


def _in_process(plans: list[ClipPlan], out: Path) -> Iterator[ClipRecord]:
    for plan in plans:
        yield make_clip(plan, out)


def _in_parallel(plans: list[ClipPlan], out: Path, workers: int) -> Iterator[ClipRecord]:
    with ended(ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=begin_worker)) as pool:
        futures = [pool.submit(make_clip, plan, out) for plan in plans]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise PahaError("a worker died (out of memory?): run the same command again, with fewer workers") from error


def write_sheet(out: Path, records: Sequence[ClipRecord]) -> None:
    """OUT/sheet.png: a row of frames, evenly spread in time, for each of some clips."""
    from paha.media.image_io import contact_sheet, save_png
    from paha.media.video_io import read_video

    # Photographs of other shapes than the first are left out: a sheet has one.
    records = [r for r in records if (r.width, r.height) == (records[0].width, records[0].height)]
    chosen = [records[i] for i in np.unique(np.linspace(0, len(records) - 1, _SHEET_CLIPS).astype(int))]
    frames: list[np.ndarray] = []
    for record in chosen:
        video = read_video(out / record.video)
        frames += [video[t] for t in np.linspace(0, len(video) - 1, _SHEET_TIMES).astype(int)]
    save_png(out / "sheet.png", contact_sheet(frames, columns=_SHEET_TIMES))
