"""`paha train classifier`: a PCE classifier of one region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paha.cli import options as common
from paha.cli.features import model_features

if TYPE_CHECKING:
    from paha.config import PahaConfig
    from paha.training.job import Job
    from paha.training.pce.job import ClassifierRun


class Region(StrEnum):
    """Whose classifier."""

    face = "face"
    non_face = "non_face"


@dataclass(frozen=True)
class ClassifierOptions:
    """A classifier's training."""

    region: Annotated[Region, typer.Option(help="Whose classifier.")]
    data: common.Data
    out: common.Run
    model: Annotated[Path, typer.Option(help="Model folder whose UniVDM the encoder starts from."), common.MODEL]
    split: common.SplitChoice = common.Split.train
    negatives: Annotated[Path | None, typer.Option(help="Folder of `paha negatives`."), common.FOLDER] = None
    hard_negatives: Annotated[
        float | None,
        typer.Option(
            help="Share of negatives that are real clips with audio out of step (0 is the paper).", min=0, max=1
        ),
    ] = None
    no_augmentation: Annotated[
        bool, typer.Option("--no-augmentation", help="First frame as reference, one length (Table 3's row).")
    ] = False
    steps: common.Steps = None
    settings: common.Settings = field(default_factory=list)
    init: common.Init = None
    stop_after_minutes: common.Minutes = None
    report_only: Annotated[bool, typer.Option("--report-only", help="Measure OUT's classifier again.")] = False
    report_clips: Annotated[int, typer.Option(help="Held-out clips of the report.", min=2)] = 40

    def run(self, config: PahaConfig) -> ClassifierRun:
        """The training's own configuration, for a UniVDM of that one."""
        from paha.training.pce.job import classifier_run

        changes = common.parse_settings(self.settings, steps=self.steps)
        if self.hard_negatives is not None:
            changes["pairs.hard_prob"] = self.hard_negatives
        if self.no_augmentation:
            changes |= {"pairs.random_reference": False, "pairs.lengths": [config.num_frames]}
        return classifier_run(config, changes)


def train_classifier(options: ClassifierOptions) -> None:
    """Train a PCE classifier (Eq. 4-7); OUT/model is then MODEL/classifier_REGION, OUT/report says what it learned."""
    from paha.pipeline.model_folder import read_config
    from paha.training.distributed import from_main, is_main

    config = read_config(options.model)
    run = options.run(config)
    # Once for all processes of a run under torchrun.
    made = partial(model_features, options.data, options.model, None, options.split)
    features = Path(from_main("features", lambda: str(made())))
    if not options.report_only:
        fit(options, config, run, features)
    if run.pairs.held_out > 0 and is_main():
        report(options, config, run, features)


def fit(options: ClassifierOptions, config: PahaConfig, run: ClassifierRun, features: Path) -> None:
    """Into OUT/model; says where it was stopped early."""
    from paha.pipeline.model_folder import load_univdm
    from paha.runtime.device import pick_device
    from paha.training.distributed import is_main
    from paha.training.pce.classifier_fit import fit_after_pretraining
    from paha.training.pce.job import classifier_job

    fresh = options.init is None and not (options.out / "checkpoint").exists()
    own: dict[str, Any] = {"region": options.region.value, "run": run, "split": options.split.value}
    own["pretrain"] = pick_device(None) if fresh else None

    def job(stopped: Callable[[], bool]) -> Job:
        univdm = load_univdm(options.model, config)
        return classifier_job(config, univdm, features, options.negatives, **own, stopped=stopped)

    stop = common.seconds(options.stop_after_minutes)
    done = fit_after_pretraining(job, run.train, options.out, init=options.init, stop_after_s=stop)
    if done < run.train.steps and is_main():
        typer.echo(f"stopped at step {done} of {run.train.steps}; the same command goes on from there")


def report(options: ClassifierOptions, config: PahaConfig, run: ClassifierRun, features: Path) -> None:
    """Measure OUT/model on the held-out pairs into OUT/report."""
    from paha.dataset.dataset import FeatureDataset
    from paha.pce.classifier import PCEClassifier
    from paha.pipeline.model_folder import load_part
    from paha.runtime.device import pick_device
    from paha.sampling.schedule import Schedule
    from paha.training.pce.pairs import PairDataset
    from paha.training.pce.report import markdown, write_report

    classifier: Any = load_part(PCEClassifier, options.out / "model")
    classifier.to(pick_device(None))
    dataset = FeatureDataset(features, config=config, split=options.split.value)
    held_out = PairDataset(dataset, options.negatives, config=config, pairs=run.pairs, split="held_out")
    found = write_report(
        classifier,
        held_out,
        options.out / "report",
        schedule=Schedule(config.diffusion),
        num_clips=options.report_clips,
        length=min(run.pairs.lengths),
    )
    typer.echo(markdown(found))
