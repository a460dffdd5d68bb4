"""`paha evaluate`: a folder of generated videos against a folder of real ones, from mp4 files to tables.

Every video is measured once, into OUT/measured (an interrupted run goes on there); the rows are then made from these
files: the generated set, the real set itself (floor: one half against the other), and real clips with frames shuffled,
frozen on the first, noisy, or with another clip's speech (what a bad set scores).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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

    def path(self, clip: Clip) -> Path:
        return self.folder / f"{clip.clip_id}.safetensors"


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
    kept: dict[str, Any] = {"variants": ceilings, "cache": cache}
    real_set = measure_set(reals, instruments, out / "measured" / "real", workers=workers, say=say, **kept)
    if cache is not None:
        cache.tidy()
    _check_some(real, *real_set)
    paired: dict[str, Any] = {"truths": sides.truths, "against": real_set[0]}
    with ThreadPoolExecutor(1) as beside:  # its rows need the real set alone
        scored = beside.submit(score_real, real_set[0], instruments, seed=seed, ceilings=ceilings)
        fake_set = measure_set(fakes, instruments, out / "measured" / "generated", workers=workers, say=say, **paired)
    _check_some(fake, *fake_set)
    failed = {"real": real_set[1], "generated": fake_set[1]}
    whole, rows = scored.result()
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
    videos = {c.clip_id: (c.video, t.video if (t := sides.truths.get(c.clip_id)) else None) for c in fakes}
    return Evaluation(rows, failed, len(fake_set[0].truths), provenance, instruments.heading(), told, videos)


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
    truths = {} if truths is None or against is None else truths
    failed: dict[str, str] = {}

    def work(clip: Clip) -> None:
        truth = truths.get(clip.clip_id)
        truth_path = None if truth is None or against is None else against.path(truth)
        try:
            measured(
                clip,
                instruments,
                folder / f"{clip.clip_id}.safetensors",
                truth=truth,
                truth_path=truth_path,
                variants=variants,
                cache=cache,
            )
            speech_of(clip, truth)
        except (PahaError, OSError, ValueError, MemoryError) as error:
            failed[clip.clip_id] = " ".join(str(error).split())
            say(f"left out {clip.clip_id}: {failed[clip.clip_id]}")

    with ThreadPoolExecutor(workers or num_cores()) as pool:
        for number, _ in enumerate(pool.map(work, clips), 1):
            if number % 10 == 0 or number == len(clips):
                say(f"{folder.name}: {number} of {len(clips)} measured")
    kept = [clip for clip in clips if clip.clip_id not in failed]
    return MeasuredSet(folder, kept, {name: truth for name, truth in truths.items() if name not in failed}), failed


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
    row = RowScores(instruments, seed=seed)
    for clip in fake.clips:
        truth = fake.truths.get(clip.clip_id)
        row.add(_load(fake, clip), speech_of(clip, truth), truth=None if truth is None else _load(real, truth))
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
