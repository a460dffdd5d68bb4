"""`paha tables`: the paper's tables, measured on this model and these clips."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paha.cli.evaluate import InstrumentOptions, Workers, share_cores
from paha.cli.guidance_flags import DgForm
from paha.cli.options import FOLDER, MODEL, Device, ModelFolder, Overwrite, SampleSteps, Split, SplitChoice, tell
from paha.errors import PahaError
from paha.runtime.paths import Output

if TYPE_CHECKING:
    from paha.evaluation.tables.table1 import Method, Model
    from paha.guidance.classifier_gradient import GuidanceOptions
    from paha.pipeline.options import SampleOptions
    from paha.pipeline.pipeline import PahaPipeline
    from paha.types import ClipRecord


TABLES = Output("folder", marks=("measured", "videos", "table_*.json"))


@dataclass(frozen=True)
class TableOptions:
    """What every table has: a model, clips, how its videos are sampled and guided."""

    data: Annotated[Path, typer.Option("--data", help="Dataset of held-out clips (manifest.jsonl)."), FOLDER]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for videos and tables; goes on there."), TABLES]
    model: ModelFolder = None
    split: SplitChoice = Split.test
    clips: Annotated[int, typer.Option(help="How many clips.", min=1)] = 40
    start: Annotated[int, typer.Option(help="First clip's place in the split.", min=0)] = 0
    steps: SampleSteps = None
    seed: Annotated[int, typer.Option(help="Of the first clip's noise; the next clip has one more.", min=0)] = 0
    guidance_scales: Annotated[
        str | None,
        typer.Option(metavar="NON_FACE,FACE,DIFF", help="What stands for the paper's 1,0.1,0.25 on this model."),
    ] = None
    dg_form: Annotated[DgForm, typer.Option(help="Reading of Eq. 12.")] = DgForm.compensate
    no_par_model: Annotated[Path | None, typer.Option(help="Table 3: model trained without PAR."), MODEL] = None
    no_augmentation_model: Annotated[
        Path | None, typer.Option(help="Table 3: model whose classifiers were trained with --no-augmentation."), MODEL
    ] = None
    workers: Workers = None
    device: Device = None
    overwrite: Overwrite = False

    def records(self) -> list[ClipRecord]:
        """The clips. Warns of those that a model was trained on."""
        from paha.dataset.training_data import TrainedOnWarning, leak_text, seen_in_training
        from paha.evaluation.tables.ablations import pick_records
        from paha.pipeline.loading import SHIPPED_MODEL

        found = pick_records(self.data, start=self.start, clips=self.clips, split=self.split.value)
        for model in (self.model or SHIPPED_MODEL, self.no_par_model, self.no_augmentation_model):
            seen = [] if model is None else seen_in_training(Path(model), self.data, found)
            if seen:
                warnings.warn(leak_text(seen, len(found), f"for {model}"), TrainedOnWarning, stacklevel=1)
        return found

    def load(self, model: Path | None) -> PahaPipeline:
        """A model's pipeline on the device."""
        from paha.pipeline.loading import load_pipeline

        return load_pipeline(model, device=self.device)

    def sample(self) -> SampleOptions:
        """How every video is sampled, its guidance apart."""
        from paha.pipeline.options import SampleOptions

        return SampleOptions(steps=self.steps, seed=self.seed)

    def guidance(self, pipeline: PahaPipeline, kind: str) -> GuidanceOptions:
        """Guidance of a kind by the scales that were given, or the model's own."""
        from paha.guidance.choice import preset_guidance
        from paha.guidance.classifier_gradient import GuidanceOptions

        own = preset_guidance(pipeline.preset.sample, self.guidance_scales)
        return GuidanceOptions(kind=kind, dg_form=self.dg_form.value, **own)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Table1Options:
    """What only Table 1 has: other methods' videos and further datasets."""

    method: Annotated[
        list[str],
        typer.Option(metavar="NAME[@DATASET]=[KIND:]FOLDER", help="Table 1: a method's videos; KIND s2g, mmd or sdt."),
    ] = field(default_factory=list)
    data_name: Annotated[str, typer.Option(help="Table 1: the dataset's name in the headings.")] = "presenter"
    also: Annotated[
        list[str], typer.Option(metavar="NAME=FOLDER", help="Table 1: further datasets, e.g. PATS=data/pats.")
    ] = field(default_factory=list)
    retrieve_from: Annotated[
        Path | None,
        typer.Option(help="Table 1: library of the retrieval (the train split, else the other clips)."),
        FOLDER,
    ] = None
    models: Annotated[bool, typer.Option(help="Table 1: also the rows that a model makes.")] = True


def tables(
    number: Annotated[str, typer.Argument(metavar="1|2|3|5|6|7", help="Table of the paper.")],
    options: TableOptions,
    instruments: InstrumentOptions,
    table_1: Table1Options,
) -> None:
    """Measure a table of the paper on this model and these clips: Markdown, JSON and plots, its numbers beside ours."""
    Output("folder", marks=TABLES.marks, results=(f"table_{number}.*",)).check(options.out, overwrite=options.overwrite)
    if number == "1":
        make_table_1(options, table_1, instruments)
    else:
        make_ablation(number, options, instruments)


def make_table_1(options: TableOptions, own: Table1Options, instruments: InstrumentOptions) -> None:
    """Table 1 into OUT: the built-in baselines, the methods given, the models."""
    from paha.evaluation.tables.render import to_markdown
    from paha.evaluation.tables.table1 import Table1Run, run_table_1

    datasets = {own.data_name: options.data} | dict(named_folder(text, "--also") for text in own.also)
    run = Table1Run(
        datasets=datasets,
        methods=methods_of(own.method, list(datasets)),
        models=models_of(options) if own.models else [],
        records=options.records(),
        split=options.split.value,
        library=own.retrieve_from,
        limit=options.clips,
        sample=options.sample(),
        workers=share_cores(options.workers),
    )
    table = run_table_1(run, instruments.load(options.data), options.out, say=tell)
    typer.echo(to_markdown(table))
    tell(f"videos, measurements and table_1.* in {options.out}")


def make_ablation(number: str, options: TableOptions, instruments: InstrumentOptions) -> None:
    """Table 2, 3, 5, 6 or 7 into OUT. Rows whose classifiers or model are not there are absent."""
    from paha.evaluation.tables.ablations import AblationRun, run_ablation
    from paha.evaluation.tables.paper import ABLATIONS
    from paha.evaluation.tables.render import to_markdown
    from paha.training.report import say

    if number not in ABLATIONS:
        raise PahaError(f"table {number} is not one of 1, {', '.join(ABLATIONS)}")
    pipelines: dict[Any, Any] = {"whole": options.load(options.model)}
    variants = {"no_par": options.no_par_model, "no_augmentation": options.no_augmentation_model}
    names = {"no_par": "--no-par-model", "no_augmentation": "--no-augmentation-model"}
    pipelines |= {variant: options.load(folder) for variant, folder in variants.items() if folder is not None}
    absent: dict[Any, str] = {
        variant: f"its model was not given ({names[variant]})" for variant in variants if variant not in pipelines
    }
    run = AblationRun(
        data=options.data,
        records=options.records(),
        pipelines=pipelines,
        absent=absent,
        base=options.guidance(pipelines["whole"], "dg"),
        sample=options.sample(),
        workers=options.workers,
    )
    table = run_ablation(number, run, instruments.load(options.data), options.out, say=say)
    typer.echo(to_markdown(table))
    typer.echo(f"videos, measurements and table_{number}.* in {options.out}")


def named_folder(text: str, option: str) -> tuple[str, Path]:
    """'NAME=FOLDER' to its two parts. Raises PahaError for anything else, and for a folder that is not there."""
    name, equals, folder = text.partition("=")
    if not equals or not name or not folder:
        raise PahaError(f"{option} {text}: give NAME=FOLDER")
    FOLDER.check(Path(folder))
    return name, Path(folder)


def methods_of(texts: list[str], datasets: list[str]) -> list[Method]:
    """The methods of --method, each with its folder by dataset. Raises PahaError where two do not fit together."""
    from paha.evaluation.tables.table1 import Method, parse_method

    found: dict[str, Method] = {}
    for text in texts:
        name, dataset, kind, folder = parse_method(text, datasets)
        FOLDER.check(folder)
        before = found.get(name, Method(name, {}, kind))
        if before.kind != kind or dataset in before.folders:
            raise PahaError(f"--method {text}: '{name}' was given before with another kind or for the same dataset")
        found[name] = Method(name, {**before.folders, dataset: folder}, kind)
    return list(found.values())


def models_of(options: TableOptions) -> list[Model]:
    """Unguided, SG and DG of the model, and the model without PAR and classifiers; absent ones with the reason."""
    from paha.evaluation.tables.table1 import Model
    from paha.guidance.classifier_gradient import GuidanceOptions

    whole = options.load(options.model)
    plain = Model("PAHA without PAR and classifiers", None, GuidanceOptions(), "give --no-par-model")
    if options.no_par_model is not None:
        plain = Model(plain.name, options.load(options.no_par_model), GuidanceOptions())
    made = [plain, Model("PAHA without classifiers", whole, GuidanceOptions())]
    for kind in ("sg", "dg"):
        guidance = options.guidance(whole, kind)
        try:
            for region in guidance.regions:
                whole.classifier(region)
        except PahaError as error:
            made.append(Model(f"PAHA-{kind.upper()}", None, guidance, str(error)))
        else:
            made.append(Model(f"PAHA-{kind.upper()}", whole, guidance))
    return made
