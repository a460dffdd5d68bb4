"""`paha tables 1`: methods side by side on one or more datasets, the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paha.dataset.manifest import MANIFEST
from paha.dataset.splits import SplitName, read_splits, splits_digest
from paha.errors import PahaError
from paha.evaluation.metrics.clips import Clip, find_clips, keep_split, truths_between
from paha.evaluation.metrics.cost import machine, time_cost
from paha.evaluation.metrics.evaluate import FLOOR, MeasuredSet, measure_set, score_generated, score_real
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.scores import RowScores
from paha.evaluation.tables.adapters import KINDS, find_method_clips, pair_method, sdt_set
from paha.evaluation.tables.baselines import other_clip, retrieval, still_image
from paha.evaluation.tables.evaluation_report import PAPER_COLUMNS
from paha.evaluation.tables.render import Column, Row, Table, Value, write_table
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.pipeline.options import SampleOptions
from paha.types import ClipRecord

if TYPE_CHECKING:
    from paha.pipeline.pipeline import PahaPipeline

OWN_COLUMNS = (
    Column("lip_r", "lip r", "higher", 3),
    Column("lip_loudness_margin", "lip margin", "higher", 3),
    Column("accent_z", "strokes on accents", "higher", 2, "z"),
    Column("frd_hands", "FRD hands", "lower", 1),
    Column("tc", "TC", "lower", 1, "s"),
)
"""Of the first dataset, beside the paper's columns: what needs no third-party weights."""
_METRICS = tuple(column.key for column in PAPER_COLUMNS)
PAPER_ROWS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "SDT": ((2281.65, 0.1067, 22.966, 5.337, 83.917), (1592.48, 0.0819, 28.559, 3.374, 29.73)),
    "ANGIE": ((2477.23, 0.0892, 42.081, 4.927, 79.102), ()),
    "MM-Diffusion": ((2204.09, 0.1085, 23.782, 5.348, 82.545), (1531.21, 0.0883, 27.664, 3.288, 26.11)),
    "S2G": ((2118.41, 0.1227, 19.816, 5.294, 85.623), (1465.75, 0.1087, 27.523, 3.452, 32.65)),
    "PAHA-SG": ((2052.95, 0.1561, 15.021, 6.183, 100.917), (1379.57, 0.1241, 24.439, 3.81, 39.18)),
    "PAHA-DG": ((2048.75, 0.1602, 14.661, 6.328, 98.235), (1362.44, 0.1275, 23.715, 4.092, 37.54)),
}
PAPER_DATASETS = ("PATS", "CNAS")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Method:
    """A method's videos. folders: by dataset. kind: of the folders (`paha.evaluation.tables.adapters`)."""

    name: str
    folders: Mapping[str, Path]
    kind: str = "videos"


@dataclass(frozen=True)
class Model:
    """A row that a paha model makes. pipeline: None where it cannot, with the reason in `absent`."""

    name: str
    pipeline: PahaPipeline | None
    guidance: GuidanceOptions
    absent: str = ""


@dataclass(frozen=True)
class Table1Run:
    """What the table is measured on. datasets: by name, the first one is where models are run on `records`.

    split: of every dataset that has one. library: where the retrieval takes its videos from; by default the train split
    of the dataset, or its other clips where it has none.
    """

    datasets: Mapping[str, Path]
    methods: Sequence[Method]
    models: Sequence[Model]
    records: Sequence[ClipRecord]
    split: SplitName = "test"
    library: Path | None = None
    limit: int | None = None
    sample: SampleOptions = field(default_factory=SampleOptions)
    workers: int | None = None


@dataclass
class _Dataset:
    name: str
    folder: Path
    clips: list[Clip]
    everything: list[Clip]
    real: MeasuredSet
    whole: RowScores
    rows: dict[str, dict[str, Value]] = field(default_factory=dict)


def run_table_1(run: Table1Run, instruments: Instruments, out: Path, *, say: Say = print) -> Table:
    """Make the baselines' and models' videos into OUT/videos, measure all, write OUT/table_1.md, .json and .png."""
    notes: list[str] = []
    absent: dict[str, str] = {}
    sets = [_open(name, folder, run, instruments, out, say) for name, folder in run.datasets.items()]
    for data in sets:
        _baselines(data, run, instruments, out, notes, say)
        for method in run.methods:
            if data.name in method.folders:
                _method(data, method, run, instruments, out, notes, say)
    for model in run.models:
        if model.pipeline is None:
            absent[model.name] = model.absent
        else:
            _model(sets[0], model, run, instruments, out, notes, say)
    notes.insert(
        0, f"{', '.join(f'{d.name}: {len(d.real.clips)} clips' for d in sets)}; {machine()}; seed {run.sample.seed}"
    )
    provenance = {
        "datasets": {name: str(folder) for name, folder in run.datasets.items()},
        "clips": {data.name: [clip.clip_id for clip in data.real.clips] for data in sets},
        "steps": run.sample.steps,
        "seed": run.sample.seed,
        "split": {name: _split(folder, run.split) for name, folder in run.datasets.items()},
        "library": str(run.library) if run.library else "the train split, else the other clips",
        "instruments": instruments.provenance(),
    }
    columns = _columns([data.name for data in sets])
    table = Table("1", "methods on one test set", columns, _rows(sets, absent), notes=notes, provenance=provenance)
    write_table(table, out)
    return table


def parse_method(text: str, datasets: Sequence[str]) -> tuple[str, str, str, Path]:
    """'NAME[@DATASET]=[KIND:]FOLDER' to (name, dataset, kind, folder); the first dataset by default.

    Raises PahaError for anything else.
    """
    left, equals, right = text.partition("=")
    name, _, dataset = left.partition("@")
    if not equals or not name.strip() or not right:
        raise PahaError(f"--method {text}: give NAME[@DATASET]=[KIND:]FOLDER")
    kind, colon, folder = right.partition(":")
    kind, folder = (kind, folder) if colon and kind in KINDS else ("videos", right)
    dataset = dataset.strip() or datasets[0]
    if dataset not in datasets:
        raise PahaError(f"--method {text}: there is no dataset '{dataset}'; known: {', '.join(datasets)}")
    return name.strip(), dataset, kind, Path(folder)


def _open(name: str, folder: Path, run: Table1Run, instruments: Instruments, out: Path, say: Say) -> _Dataset:
    everything, clips = find_clips(folder), find_clips(folder, split=run.split)
    if run.records and name == next(iter(run.datasets)):
        wanted = {record.clip_id for record in run.records}
        clips = [clip for clip in clips if clip.clip_id in wanted]
    real, failed = measure_set(
        clips[: run.limit], instruments, out / "measured" / name / "real", workers=run.workers, say=say
    )
    if not real.clips:
        raise PahaError(f"no video of {folder} can be read: {next(iter(failed.values()))}")
    whole, rows = score_real(real, instruments, seed=run.sample.seed, ceilings=False)
    return _Dataset(name, folder, real.clips, everything, real, whole, {FLOOR: dict(rows[0].values)})


def _baselines(data: _Dataset, run: Table1Run, instruments: Instruments, out: Path, notes: list[str], say: Say) -> None:
    library = _library(data, run)
    made: dict[str, Callable[[Path], dict[str, str]]] = {
        "still image": lambda folder: still_image(data.clips, folder, say=say),
        "retrieval by audio": lambda folder: retrieval(data.clips, library, folder, say=say),
    }
    if len(data.clips) > 1:
        made["real video of another clip"] = lambda folder: other_clip(data.clips, folder, say=say)
    for name, make in made.items():
        folder = out / "videos" / data.name / name.replace(" ", "-")
        failed = make(folder)
        notes += [f"{name}: without {clip}, {why}" for clip, why in failed.items()]
        own = {clip.clip_id for clip in data.clips}
        if own <= failed.keys():
            data.rows[name] = dict.fromkeys(_METRICS, next(iter(failed.values())))
            continue
        _method(data, Method(name, {data.name: folder}), run, instruments, out, notes, say, only=own)


def _library(data: _Dataset, run: Table1Run) -> list[Clip]:
    if run.library is not None:
        return find_clips(run.library, split="train")
    trained = {clip for clip, part in _splits(data.folder).items() if part == "train"}
    return [clip for clip in data.everything if clip.clip_id in trained] or data.clips


def _splits(folder: Path) -> dict[str, str]:
    return read_splits(folder) if (folder / MANIFEST).is_file() else {}


def _split(folder: Path, split: SplitName) -> dict[str, str]:
    return {"name": split, "splits_sha256": splits_digest(_splits(folder))}


def _method(
    data: _Dataset,
    method: Method,
    run: Table1Run,
    instruments: Instruments,
    out: Path,
    notes: list[str],
    say: Say,
    *,
    only: set[str] | None = None,
) -> None:
    """only: the clips that count, where the folder is ours and may hold those of longer runs."""
    folder, measured = method.folders[data.name], out / "measured" / data.name / method.name.replace(" ", "-")
    failed: dict[str, str] = {}
    if method.kind == "sdt":
        fake = sdt_set(folder, data.clips, measured)
    else:
        clips = find_method_clips(folder, method.kind)
        truths = pair_method(data.everything, clips, folder)
        clips, apart = keep_split(clips, truths, find_clips(data.folder, split=run.split))
        notes += [f"{method.name} on {data.name}: {len(apart)} videos of other splits left out"] if apart else []
        clips = [clip for clip in clips if only is None or clip.clip_id in only]
        truths = truths_between(truths, data.clips, clips)
        if run.limit is not None:
            clips = [clip for clip in clips if clip.clip_id in truths] or clips[: run.limit]
        options: dict[str, Any] = {"workers": run.workers, "truths": truths, "against": data.real, "say": say}
        fake, failed = measure_set(clips, instruments, measured, **options)
    notes += [f"{method.name} on {data.name}: without {clip}, {why}" for clip, why in failed.items()]
    if not fake.clips:
        data.rows[method.name] = dict.fromkeys(_METRICS, "none of its videos can be read")
        return
    row = score_generated(method.name, data.real, data.whole, fake, instruments, seed=run.sample.seed)
    data.rows[method.name] = {**row.values, "tc": time_cost(folder, {clip.clip_id for clip in fake.clips})}


def _model(
    data: _Dataset, model: Model, run: Table1Run, instruments: Instruments, out: Path, notes: list[str], say: Say
) -> None:
    from paha.evaluation.tables.videos import make_videos

    assert model.pipeline is not None
    folder = out / "videos" / data.name / model.name.replace(" ", "-").replace("/", "")
    failed = make_videos(model.pipeline, data.folder, run.records, folder, model.guidance, run.sample, say=say)
    notes += [f"{model.name}: without {clip}, {why}" for clip, why in failed.items()]
    own = {record.clip_id for record in run.records}
    _method(data, Method(model.name, {data.name: folder}), run, instruments, out, notes, say, only=own)


def _columns(names: Sequence[str]) -> list[Column]:
    columns = []
    for number, name in enumerate([*names, *(paper for paper in PAPER_DATASETS if paper not in names)]):
        own = (*PAPER_COLUMNS, *OWN_COLUMNS) if number == 0 else PAPER_COLUMNS
        columns += [Column(f"{name}.{c.key}", f"{name} {c.heading}", c.better, c.digits, c.unit) for c in own]
    return columns


def _rows(sets: Sequence[_Dataset], absent: Mapping[str, str]) -> list[Row]:
    names = list(dict.fromkeys(name for data in sets for name in data.rows))
    first = [name for name in names if name not in PAPER_ROWS and name not in absent]
    order = [*first, *(name for name in absent if name not in PAPER_ROWS), *PAPER_ROWS]
    rows = []
    for name in order:
        measured = {f"{data.name}.{key}": value for data in sets for key, value in data.rows.get(name, {}).items()}
        why = "" if measured else absent.get(name, "its videos were not given (--method)")
        rows.append(
            Row(name, measured, _paper(name), absent=why, preset=f"Table 1, {name}" if name in PAPER_ROWS else "")
        )
    return rows


def _paper(name: str) -> dict[str, float]:
    numbers = zip(PAPER_DATASETS, PAPER_ROWS.get(name, ()), strict=False)
    return {f"{data}.{key}": value for data, row in numbers for key, value in zip(_METRICS, row, strict=False)}
