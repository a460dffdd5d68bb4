"""What the verbs of the classifiers and their guidance do: negatives, train classifier, animate --guidance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from paha.errors import PahaError
from paha.guidance.choice import preset_guidance
from paha.pipeline.options import SampleOptions

if TYPE_CHECKING:
    from paha.training.loop import Job
    from paha.training.pce.negatives_job import NegativesOptions


def negatives_options(*, lengths: str | None, part: str, **options: Any) -> NegativesOptions:
    """Options of the command line. lengths: "15,30". part: "K/N". Raises PahaError for options that make no sense."""
    from paha.training.pce.negatives_job import NegativesOptions

    try:
        numbers = None if lengths is None else tuple(int(part) for part in lengths.split(","))
        if numbers is not None and min(numbers) < 1:
            raise ValueError
    except ValueError as error:
        raise PahaError(f"--lengths {lengths}: give numbers of frames, e.g. 15,30") from error
    k, slash, n = part.partition("/")
    if not (slash and k.isdecimal() and n.isdecimal() and int(k) < int(n)):
        raise PahaError(f"--part {part}: give K/N with K from 0 to N-1")
    return NegativesOptions(lengths=numbers, part=(int(k), int(n)), **options)


def make_negatives(data: Path, model: Path, out: Path, options: NegativesOptions) -> None:
    """Generate the negatives that are missing; makes the features first where they are."""
    from paha.training.pce.negatives_job import make_negatives as make

    features = _features(data, model, options.device)
    made = make(model, features, out, options)
    typer.echo(f"{made} shards made; {options.count} pairs planned in {out}")


def print_negatives_plan(
    preset: str,
    model: Path | None,
    data: Path | None,
    options: NegativesOptions,
    *,
    seconds: float | None,
    processes: int,
) -> None:
    """Cost of a set; an evaluation is timed where a model and data are given and no `seconds`."""
    from paha.pipeline.model_folder import read_config
    from paha.presets import preset as preset_by_name
    from paha.training.pce.negatives_job import format_negatives_plan, measure_evaluation, plan_negatives

    config = preset_by_name(preset) if model is None else read_config(model)
    if seconds is None and model is not None and data is not None:
        seconds = measure_evaluation(model, _features(data, model, options.device), device=options.device)
    plan = plan_negatives(config, options.count, lengths=options.lengths, steps=options.steps, seconds=seconds)
    typer.echo(format_negatives_plan(plan, processes=processes))


@dataclass(frozen=True)
class ClassifierOptions:
    """Options of `paha train classifier`. hard_negatives: share of hard ones. report_only: measure OUT's one again."""

    steps: int | None = None
    hard_negatives: float | None = None
    augment: bool = True
    report_only: bool = False
    report_clips: int = 40


def train_classifier(
    data: Path,
    model: Path,
    out: Path,
    settings: list[str],
    options: ClassifierOptions,
    *,
    region: str,
    negatives: Path | None,
    init: Path | None,
    stop_after_minutes: float | None,
) -> None:
    """Train one classifier into OUT/model, then measure it into OUT/report, stopped early or not."""
    from paha.cli.univdm import parse_settings
    from paha.pce.classifier import PCEClassifier
    from paha.pce.regions import REGIONS
    from paha.pipeline.model_folder import load_part, load_univdm, read_config
    from paha.runtime.device import pick_device
    from paha.training.pce.classifier_fit import fit_after_pretraining
    from paha.training.pce.job import classifier_job, classifier_run

    if region not in REGIONS:
        raise PahaError(f"--region {region}: give face or non_face")
    config, changes = read_config(model), parse_settings(settings)
    if options.steps is not None:
        changes["train.steps"] = options.steps
    if options.hard_negatives is not None:
        changes["pairs.hard_prob"] = options.hard_negatives
    if not options.augment:
        changes |= {"pairs.random_reference": False, "pairs.lengths": [config.num_frames]}
    run = classifier_run(config, changes)
    features = _features(data, model, None)
    if not options.report_only:
        fresh = init is None and not (out / "checkpoint").exists()
        pretrain = pick_device(None) if fresh else None
        own: dict[str, Any] = {"region": region, "run": run, "pretrain": pretrain}

        def job(stopped: Callable[[], bool]) -> Job:
            univdm = load_univdm(model, config)
            return classifier_job(config, univdm, features, negatives, **own, stopped=stopped)

        stop = None if stop_after_minutes is None else 60 * stop_after_minutes
        done = fit_after_pretraining(job, run.train, out, init=init, stop_after_s=stop)
        if done < run.train.steps:
            typer.echo(f"stopped at step {done} of {run.train.steps}; the same command goes on from there")
    if run.pairs.held_out > 0:
        classifier: Any = load_part(PCEClassifier, out / "model")
        classifier.to(pick_device(None))
        _report(
            classifier, features, negatives, out / "report", config=config, pairs=run.pairs, clips=options.report_clips
        )


def make_table(
    number: str,
    data: Path,
    out: Path,
    *,
    model: Path | None,
    variants: dict[str, Path | None],
    clips: int,
    start: int,
    steps: int | None,
    seed: int,
    scales: str | None,
    dg_form: str,
    instruments: dict[str, Any],
    workers: int | None,
    device: str | None,
) -> None:
    """An ablation table (2, 3, 5, 6 or 7) into OUT. Rows whose classifiers or model are not there are absent."""
    from paha.evaluation.metrics.instruments import load_instruments
    from paha.evaluation.tables.ablations import AblationRun, pick_records, run_ablation
    from paha.evaluation.tables.paper import ABLATIONS
    from paha.evaluation.tables.render import to_markdown
    from paha.guidance.classifier_gradient import GuidanceOptions
    from paha.pipeline.loading import load_pipeline
    from paha.training.report import say

    if number not in ABLATIONS:
        raise PahaError(f"table {number} is not one of 1, {', '.join(ABLATIONS)}")
    pipelines: dict[Any, Any] = {"whole": load_pipeline(model, device=device)}
    own = preset_guidance(pipelines["whole"].preset.sample, scales)
    base = GuidanceOptions(kind="dg", dg_form=dg_form, **own)  # type: ignore[arg-type]
    options = {"no_par": "--no-par-model", "no_augmentation": "--no-augmentation-model"}
    absent: dict[Any, str] = {}
    for variant, folder in variants.items():
        if folder is None:
            absent[variant] = f"its model was not given ({options[variant]})"
        else:
            pipelines[variant] = load_pipeline(folder, device=device)
    run = AblationRun(
        data=data,
        records=pick_records(data, start=start, clips=clips),
        pipelines=pipelines,
        absent=absent,
        base=base,
        sample=SampleOptions(steps=steps, seed=seed),
        workers=workers,
    )
    table = run_ablation(number, run, load_instruments(real=data, **instruments), out, say=say)
    typer.echo(to_markdown(table))
    typer.echo(f"videos, measurements and table_{number}.* in {out}")


def _report(
    classifier: Any, features: Path, negatives: Path | None, folder: Path, *, config: Any, pairs: Any, clips: int
) -> None:
    from paha.dataset.dataset import FeatureDataset
    from paha.sampling.schedule import Schedule
    from paha.training.pce.pairs import PairDataset
    from paha.training.pce.report import markdown, write_report

    held_out = PairDataset(
        FeatureDataset(features, config=config), negatives, config=config, pairs=pairs, split="held_out"
    )
    length = min(pairs.lengths)
    report = write_report(
        classifier, held_out, folder, schedule=Schedule(config.diffusion), num_clips=clips, length=length
    )
    typer.echo(markdown(report))


def _features(data: Path, model: Path, device: str | None) -> Path:
    """The features of a dataset by a model's own codec, made where they are missing."""
    from paha.dataset.features import make_features
    from paha.extractors.audio import load_audio_encoder
    from paha.extractors.image import load_image_encoder
    from paha.pipeline.model_folder import load_model_codec, read_config
    from paha.runtime.device import pick_device

    config = read_config(model)
    return make_features(
        data,
        config=config,
        codec=load_model_codec(model, config),
        audio_encoder=load_audio_encoder(config.audio, model),
        image_encoder=load_image_encoder(config.image, model) if config.image.kind == "clip" else None,
        device=pick_device(device),
    )
