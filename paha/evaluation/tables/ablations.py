"""`paha tables 2|3|5|6|7`: the paper's ablations on a dataset and a model, its numbers beside ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paha.dataset.splits import SplitName, split_records
from paha.errors import PahaError
from paha.evaluation.metrics.clips import Clip, find_clips, pair_clips
from paha.evaluation.metrics.cost import machine, time_cost
from paha.evaluation.metrics.evaluate import MeasuredSet, measure_set, score_generated, score_real
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.scores import RowScores
from paha.evaluation.tables.evaluation_report import PAPER_COLUMNS
from paha.evaluation.tables.paper import Setting, Variant, ablation
from paha.evaluation.tables.render import Column, Row, Table, Value, write_table
from paha.evaluation.tables.videos import make_videos
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.pipeline.options import SampleOptions
from paha.types import ClipRecord

if TYPE_CHECKING:
    from paha.pipeline.pipeline import PahaPipeline

COLUMNS = (
    *PAPER_COLUMNS,
    Column("tc", "TC", "lower", 1, "s"),
    Column("lip_r", "lip r", "higher", 3),
    Column("accent_z", "strokes on accents", "higher", 2, "z"),
    Column("motion_beats", "motion beats", "none", 2, "1/s"),
    Column("psnr_hands", "PSNR hands", "higher", 1, "dB"),
    Column("frd_face", "FRD face", "lower", 1),
)
"""The paper's, then those that the presenter corpus has a truth for."""


@dataclass(frozen=True)
class AblationRun:
    """What a table is measured on. pipelines: by variant; a row whose variant is not there is absent, with the reason
    in `absent`. records: the clips. sample: how every row is sampled,
    its guidance apart."""

    data: Path
    records: Sequence[ClipRecord]
    pipelines: dict[Variant, PahaPipeline]
    absent: dict[Variant, str]
    base: GuidanceOptions
    sample: SampleOptions = field(default_factory=SampleOptions)
    workers: int | None = None


@dataclass(frozen=True)
class _Scored:
    """The real clips, measured and scored once for all rows."""

    clips: list[Clip]
    real: MeasuredSet
    whole: RowScores


def run_ablation(
    number: str, run: AblationRun, instruments: Instruments, out: Path, *, say: Callable[[str], None] = print
) -> Table:
    """Make the videos of every row into OUT/videos, measure them into OUT/measured, write OUT/table_N.*.

    Rows of equal settings (rate 0 of both guidances) share their videos. Goes on after failed clips, which a row's note
    names.
    """
    plan = ablation(number, run.base)
    wanted = {record.clip_id for record in run.records}
    reals = [clip for clip in find_clips(run.data) if clip.clip_id in wanted]
    real, _ = measure_set(reals, instruments, out / "measured" / "real", workers=run.workers, say=say)
    whole, (floor, *_) = score_real(real, instruments, seed=run.sample.seed, ceilings=False)
    scored = _Scored(reals, real, whole)
    rows, notes = [], [f"{len(reals)} clips; {machine()}; seed {run.sample.seed}, the same noise in every row"]
    cache: dict[str, tuple[dict[str, Value], dict[str, str]]] = {}
    for setting in plan.settings:
        if reason := _absent(setting, run):
            rows.append(_row(setting, {}, absent=reason))
            continue
        name = arm_name(setting.variant, setting.guidance)
        if name not in cache:
            cache[name] = _measure(setting, name, run, scored, instruments, out, say)
        values, failed = cache[name]
        rows.append(_row(setting, values))
        notes += [f"{setting.name}: without {clip}, {reason}" for clip, reason in failed.items()]
    if not plan.x_label:
        rows.append(Row(floor.name, dict(floor.values), ranked=False))
    provenance = {
        "data": str(run.data),
        "clips": [record.clip_id for record in run.records],
        "steps": run.sample.steps,
        "seed": run.sample.seed,
        "base": run.base.settings(),
        "floor": {key: str(value) for key, value in floor.values.items()},
        "instruments": instruments.provenance(),
    }
    table = Table(number, plan.title, COLUMNS, rows, notes=notes, provenance=provenance, x_label=plan.x_label)
    write_table(table, out)
    return table


def pick_records(data: Path, *, start: int, clips: int, split: SplitName = "test") -> list[ClipRecord]:
    """`clips` clips of a dataset's split from place `start` on. Raises PahaError where there are none."""
    records = split_records(data, split)[start : start + clips]
    if not records:
        raise PahaError(f"{data} has no clip number {start}; give a smaller --start")
    return records


def _absent(setting: Setting, run: AblationRun) -> str:
    """Why a row cannot be measured: its model or a classifier is not there; empty where it can."""
    if setting.variant not in run.pipelines:
        return run.absent.get(setting.variant, "its model was not given")
    try:
        for region in setting.guidance.regions:
            run.pipelines[setting.variant].classifier(region)
    except PahaError as error:
        return str(error)
    return ""


def _measure(
    setting: Setting,
    name: str,
    run: AblationRun,
    scored: _Scored,
    instruments: Instruments,
    out: Path,
    say: Callable[[str], None],
) -> tuple[dict[str, Value], dict[str, str]]:
    folder = out / "videos" / name
    pipeline = run.pipelines[setting.variant]
    failed = make_videos(pipeline, run.data, run.records, folder, setting.guidance, run.sample, say=say)
    if len(failed) == len(run.records):
        raise PahaError(f"no video of '{setting.name}' could be made: {next(iter(failed.values()))}")
    # The folder keeps what longer runs have made.
    wanted = {record.clip_id for record in run.records}
    fakes = [clip for clip in find_clips(folder) if clip.clip_id in wanted]
    truths = pair_clips(scored.clips, fakes)
    kwargs: dict[str, Any] = {"workers": run.workers, "truths": truths, "against": scored.real, "say": say}
    fake, unread = measure_set(fakes, instruments, out / "measured" / name, **kwargs)
    row = score_generated(setting.name, scored.real, scored.whole, fake, instruments, seed=run.sample.seed)
    values: dict[str, Value] = {**row.values, "tc": time_cost(folder, {clip.clip_id for clip in fake.clips})}
    return values, failed | unread


def _row(setting: Setting, values: dict[str, Value], *, absent: str = "") -> Row:
    return Row(
        setting.name,
        values,
        setting.paper,
        absent=absent,
        x=setting.x,
        series=setting.series,
        preset=setting.reference,
    )


def arm_name(variant: str, g: GuidanceOptions) -> str:
    """One name for one kind of video: the settings that matter."""
    if not g.active:
        return f"{variant}-unguided"
    parts = [variant, g.kind, f"r{g.rate:g}", f"n{g.non_face_scale:g}", f"f{g.face_scale:g}"]
    if g.kind == "dg":
        parts += [f"d{g.diff_scale:g}", g.dg_form]
    return "-".join(parts + ([f"k{g.reuse}"] if g.reuse > 1 else []) + (["skip"] if g.skip_first else []))
