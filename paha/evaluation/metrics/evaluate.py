"""`paha evaluate`: a folder of generated videos against a folder of real ones, from mp4 files to tables.

Every video is measured once, into OUT/measured (an interrupted run goes on there); the rows are then made from these
files: the generated set, the real set itself (floor: one half against the other), and real clips with frames shuffled,
frozen on the first, noisy, or with another clip's speech (what a bad set scores).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from paha.dataset.splits import SplitName, read_splits, splits_digest
from paha.errors import PahaError
from paha.evaluation.metrics.clips import Clip, find_sides, speech
from paha.evaluation.metrics.cost import time_cost, time_cost_per_second
from paha.evaluation.metrics.extractor_error import extractor_error
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.measure import measured
from paha.evaluation.metrics.measured import Measured, MeasurementCache, load_measured
from paha.evaluation.metrics.scores import Corruption, RowScores, Value, frozen, noisy, shuffled
from paha.runtime.workers import num_cores

FLOOR, SWAPPED = "real (floor)", "swapped speech"
CORRUPTIONS: dict[str, Corruption] = {"shuffled frames": shuffled, "frozen": frozen, "noise": noisy}
FVD_COPIES = {"shuffled frames": "shuffled", "frozen": "frozen", "noise": "noise"}
FEW_CLIPS = 30
_FRECHET = ("fvd", "fgd", "fid", "e_fid", "frd_face", "frd_hands", "frd_body", "frd_background")
Say = Callable[[str], None]


@dataclass(frozen=True)
class EvaluatedRow:
    """A row of the tables. values: by metric. dropped: metric -> clip -> why it does not count."""

    name: str
    values: dict[str, Value]
    clips: int
    dropped: dict[str, dict[str, str]] = field(default_factory=dict)
    by_clip: dict[str, dict[str, float]] = field(default_factory=dict)
    """metric -> clip -> value, where a metric has values by clip"""


@dataclass(frozen=True)
class Evaluation:
    """The rows, the first of which is the generated set. failed: side -> clip -> why it could not be read."""

    rows: list[EvaluatedRow]
    failed: dict[str, dict[str, str]]
    paired: int
    provenance: dict[str, object]
    heading: str = ""
    """What read the videos, above every table."""
    warnings: list[str] = field(default_factory=list)
    videos: dict[str, tuple[Path, Path | None]] = field(default_factory=dict)
    """generated clip -> its video, and the real one's of the pair"""


@dataclass(frozen=True)
class MeasuredSet:
    """Measured clips of one folder: where each one's measurement and speech are."""

    folder: Path
    clips: list[Clip]
    truths: dict[str, Clip] = field(default_factory=dict)

    @staticmethod
    def name(clip: Clip) -> str:
        """Of the file of a clip's measurement."""
        return f"{clip.clip_id}.safetensors"

    def path(self, clip: Clip) -> Path:
        return self.folder / self.name(clip)


def evaluate_videos(
    real: Path,
    fake: Path,
    out: Path,
    instruments: Instruments,
    *,
    name: str = "generated",
    pairs: Path | None = None,
    split: SplitName = "test",
    limit: int | None = None,
    workers: int | None = None,
    seed: int = 0,
    ceilings: bool = True,
    unpaired: bool = True,
    cache: MeasurementCache | None = None,
    say: Say = print,
) -> Evaluation:
    """Evaluate the videos of `fake` against those of `real`; measurements are kept in OUT/measured.

    Generated clips pair with real ones by name or by the CSV file `pairs`; those without a partner count for all
    metrics that need none. split: of REAL, where it is a dataset with a split; generated clips of its other clips are
    left out. limit: only the first so many clips of each. workers: threads (one a core by default). unpaired: whether
    there may be no pair at all. ceilings: make the rows of corrupted real clips as well. cache: where the real
    clips' measurements are looked for and kept. Clips that cannot be read are left out and listed. Raises PahaError
    where a side has no readable clip.
    """
    sides = find_sides(real, fake, split=split, pairs=pairs, limit=limit)
    reals, fakes = sides.reals, sides.fakes
    if not sides.truths and not unpaired:
        raise PahaError(
            f"no video of {fake} has the name of one of {real}: say by --pairs which belong together, or give "
            "--unpaired for what needs no pairs"
        )
    if sides.apart:
        say(f"{len(sides.apart)} generated clips belong to real ones outside --split {split} and are left out")
    with _pool(workers) as pool:  # one for both sides, so that no core waits for the last real clip
        measure = partial(begin_set, instruments=instruments, pool=pool, say=say)
        begun = measure(reals, out / "measured" / "real", variants=ceilings, cache=cache)
        made = measure(fakes, out / "measured" / "generated", truths=sides.truths, against=begun)
        real_set = begun.finish(say)
        if cache is not None:
            cache.tidy()
        _check_some(real, *real_set)
        whole, rows = score_real(real_set[0], instruments, seed=seed, ceilings=ceilings)
        fake_set = made.finish(say)
    _check_some(fake, *fake_set)
    failed = {"real": real_set[1], "generated": fake_set[1]}
    rows = [score_generated(name, real_set[0], whole, fake_set[0], instruments, seed=seed), *rows]
    measured_clips = {clip.clip_id for clip in fake_set[0].clips}
    rows[0].values["tc"] = time_cost(fake, measured_clips)
    rows[0].values["tc_per_s"] = time_cost_per_second(fake, measured_clips)
    provenance = {
        "real": str(real),
        "generated": str(fake),
        "pairs": str(pairs) if pairs else "by name",
        "split": {"name": split, "splits_sha256": splits_digest(read_splits(real)), "left_out": sides.apart},
        "clips": {"real": len(real_set[0].clips), "generated": len(fake_set[0].clips)},
        "seed": seed,
        "instruments": instruments.provenance(),
        "extractor_error": extractor_error(
            ((clip, _load(real_set[0], clip)) for clip in real_set[0].clips), instruments
        ),
    }
    told = warnings_of(len(real_set[0].clips), len(fake_set[0].clips))
    paired = sum(truth.clip_id not in real_set[1] for truth in fake_set[0].truths.values())
    videos = {c.clip_id: (c.video, t.video if (t := sides.truths.get(c.clip_id)) else None) for c in fakes}
    return Evaluation(rows, failed, paired, provenance, instruments.heading(), told, videos)


def _check_some(folder: Path, kept: MeasuredSet, failed: dict[str, str]) -> None:
    if not kept.clips:
        raise PahaError(f"no video of {folder} can be read: {next(iter(failed.values()))}")


def warnings_of(real: int, fake: int) -> list[str]:
    """What a reader must know before comparing the numbers of so few clips."""
    few = min(real, fake)
    if few >= FEW_CLIPS:
        return []
    return [
        f"N = {few}: below {FEW_CLIPS} clips the intervals say little and Frechet distances (FVD, FGD, FID) are mostly "
        "bias; published ones use 480 (S2G's test set) to 2,048 videos, and compare only at equal N"
    ]


@dataclass(frozen=True)
class BegunSet:
    """Clips of one folder that are being measured. waiting: by clip, why it cannot be read, or None."""

    folder: Path
    clips: Sequence[Clip]
    truths: dict[str, Clip]
    waiting: dict[str, Future[str | None]]

    def finish(self, say: Say) -> tuple[MeasuredSet, dict[str, str]]:
        """Wait for all: the readable ones, and the others with the reason."""
        for number, clip in enumerate(self.clips, 1):
            self.waiting[clip.clip_id].result()
            if number % 10 == 0 or number == len(self.clips):
                say(f"{self.folder.name}: {number} of {len(self.clips)} measured")
        failed = {name: why for name, one in self.waiting.items() if (why := one.result()) is not None}
        kept = [clip for clip in self.clips if clip.clip_id not in failed]
        truths = {name: truth for name, truth in self.truths.items() if name not in failed}
        return MeasuredSet(self.folder, kept, truths), failed


@contextmanager
def _pool(workers: int | None) -> Iterator[ThreadPoolExecutor]:
    """Threads, one a core by default; where the work is given up, what has not begun is not begun any more."""
    pool = ThreadPoolExecutor(workers or num_cores())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def measure_set(
    clips: Sequence[Clip],
    instruments: Instruments,
    folder: Path,
    *,
    workers: int | None = None,
    variants: bool = False,
    truths: dict[str, Clip] | None = None,
    against: MeasuredSet | None = None,
    cache: MeasurementCache | None = None,
    say: Say = print,
) -> tuple[MeasuredSet, dict[str, str]]:
    """Measure clips into `folder`; the readable ones, and the others with the reason. cache: as `measured`."""
    with _pool(workers) as pool:
        kept: dict[str, Any] = {"variants": variants, "truths": truths, "against": against, "cache": cache}
        return begin_set(clips, folder, instruments=instruments, pool=pool, say=say, **kept).finish(say)


def begin_set(
    clips: Sequence[Clip],
    folder: Path,
    *,
    instruments: Instruments,
    pool: ThreadPoolExecutor,
    say: Say,
    variants: bool = False,
    truths: dict[str, Clip] | None = None,
    against: MeasuredSet | BegunSet | None = None,
    cache: MeasurementCache | None = None,
) -> BegunSet:
    """Let `pool` measure clips into `folder`. A clip waits for its real one where that one's set was begun before, in
    the same pool."""
    truths = {} if truths is None or against is None else truths

    def work(clip: Clip) -> str | None:
        truth = truths.get(clip.clip_id)
        truth_path = None
        if truth is not None and against is not None:
            truth_path = against.folder / MeasuredSet.name(truth)
            if isinstance(against, BegunSet):
                against.waiting[truth.clip_id].result()
        try:
            path = folder / MeasuredSet.name(clip)
            measured(clip, instruments, path, truth=truth, truth_path=truth_path, variants=variants, cache=cache)
            speech_of(clip, truth)
        except (PahaError, OSError, ValueError, MemoryError) as error:
            why = " ".join(str(error).split())
            say(f"left out {clip.clip_id}: {why}")
            return why
        return None

    return BegunSet(folder, clips, truths, {clip.clip_id: pool.submit(work, clip) for clip in clips})


def speech_of(clip: Clip, truth: Clip | None) -> np.ndarray:
    """The clip's own speech, or the real clip's where the generated video has no sound."""
    try:
        return speech(clip)
    except PahaError:
        if truth is None:
            raise
        return speech(truth)


def score_real(
    real: MeasuredSet, instruments: Instruments, *, seed: int = 0, ceilings: bool = True
) -> tuple[RowScores, list[EvaluatedRow]]:
    """The real set's scores, which generated sets are held against, and the rows of it: floor, corrupted ones."""
    whole = RowScores(instruments, seed=seed)
    halves = RowScores(instruments, seed=seed), RowScores(instruments, seed=seed)
    for number, clip in enumerate(real.clips):
        made, mono = _load(real, clip), speech(clip)
        whole.add(made, mono, truth=made)
        halves[number % 2].add(made, mono)
    rows = [_row(FLOOR, whole, _floor(whole, *halves))]
    del halves
    if ceilings:
        rows += [_corrupted(kind, change, real, whole, instruments, seed) for kind, change in CORRUPTIONS.items()]
        rows += [_swapped(real, whole, instruments, seed)] if len(real.clips) > 1 else []
    return whole, rows


def score_generated(
    name: str, real: MeasuredSet, whole: RowScores, fake: MeasuredSet, instruments: Instruments, *, seed: int = 0
) -> EvaluatedRow:
    """The row of a generated set. whole: the real set's scores (`score_real`)."""
    row, readable = RowScores(instruments, seed=seed), {clip.clip_id for clip in real.clips}
    for clip in fake.clips:
        truth = fake.truths.get(clip.clip_id)
        true = _load(real, truth) if truth is not None and truth.clip_id in readable else None
        row.add(_load(fake, clip), speech_of(clip, truth), truth=true)
    return _row(name, row, row.results(whole))


def _floor(whole: RowScores, first: RowScores, second: RowScores) -> dict[str, Value]:
    """Values of the real set, and distances between its halves, which have half the samples: an upper bound."""
    values, between = whole.results(whole), second.results(first)
    return values | {key: between[key] for key in _FRECHET if key in between}


def _corrupted(
    kind: str, change: Corruption, real: MeasuredSet, whole: RowScores, instruments: Instruments, seed: int
) -> EvaluatedRow:
    row = RowScores(instruments, seed=seed)
    for clip in real.clips:
        made = _load(real, clip)
        bad = replace(change(made, np.random.default_rng([seed, crc32(clip.clip_id.encode())])), errors={})
        row.add(bad, speech(clip), truth=made, fvd=FVD_COPIES[kind])
    return _row(kind, row, row.results(whole))


def _swapped(real: MeasuredSet, whole: RowScores, instruments: Instruments, seed: int) -> EvaluatedRow:
    """Every clip with the next one's speech, which changes nothing that is seen."""
    row = RowScores(instruments, seed=seed)
    for clip, other in zip(real.clips, [*real.clips[1:], *real.clips[:1]], strict=True):
        made = _load(real, clip)
        row.add(replace(made, sound=_load(real, other).sound, errors={}), speech(other), truth=made)
    return _row(SWAPPED, row, row.results(whole))


def _row(name: str, row: RowScores, values: dict[str, Value]) -> EvaluatedRow:
    return EvaluatedRow(name, values, row.clips, row.dropped, row.scalars)


def _load(side: MeasuredSet, clip: Clip) -> Measured:
    found = load_measured(side.path(clip))
    if found is None:
        raise PahaError(f"{side.path(clip)} is gone or damaged; run the same command again")
    return found
