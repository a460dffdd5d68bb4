"""`paha train univdm`: the diffusion model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paha.cli import options as common
from paha.errors import PahaError

if TYPE_CHECKING:
    from paha.config import PahaConfig


@dataclass(frozen=True)
class UniVDMOptions:
    """A UniVDM's training."""

    data: Annotated[
        Path | None,
        typer.Option("--data", help="Dataset folder (manifest.jsonl), for a preset with latents of pixels."),
        common.FOLDER,
    ] = None
    speech: common.Speech = None
    workers: Annotated[int, typer.Option(help="With motion latents: processes that make clips ahead.", min=0)] = 1
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder."), common.RUN] = None
    codec: common.CodecFolder = None
    preset: common.PresetName = "presenter"
    steps: common.Steps = None
    settings: common.Settings = field(default_factory=list)
    init: common.Init = None
    no_par: Annotated[bool, typer.Option("--no-par", help="Plain MSE (Table 3, w/o PAR).")] = False
    stop_after_minutes: common.Minutes = None

    def config(self) -> PahaConfig:
        """The preset with the changes."""
        changes = [*self.settings, *(["par.enabled=false"] if self.no_par else [])]
        return common.configuration(self.preset, changes, steps=self.steps)


@dataclass(frozen=True)
class PlanOptions:
    """What a training costs, instead of the training."""

    plan: Annotated[bool, typer.Option("--plan", help="Only print parameters, memory and time.")] = False
    gpus: Annotated[int, typer.Option(help="For --plan: GPUs.", min=1)] = 8
    gpu_memory_gb: Annotated[float, typer.Option(help="For --plan: memory of one.", min=1)] = 80.0
    gpu_tflops: Annotated[float, typer.Option(help="For --plan: peak bf16 TFLOP/s of one.", min=1)] = 312.0


def train_univdm(options: UniVDMOptions, cost: PlanOptions) -> None:
    """Train UniVDM (Eq. 1, weighted by Eq. 3); OUT/model is then a folder for `paha animate --model`."""
    config = options.config()
    if cost.plan:
        print_plan(config, cost)
    elif config.codec.kind == "motion":
        if options.out is None:
            raise PahaError("give --out RUN (or --plan)")
        fit_motion(options.out, config, options)
    elif options.data is None or options.out is None:
        raise PahaError(f"the preset {config.name} trains on clips: give --data DATASET and --out RUN (or --plan)")
    else:
        fit_univdm(options.data, options.out, config, options)


def fit_motion(out: Path, config: PahaConfig, options: UniVDMOptions) -> None:
    """Train on the endless stream of speech and motion."""
    from paha.training.loop import fit
    from paha.training.univdm.motion_job import motion_job

    if options.data is not None:
        raise PahaError(f"the preset {config.name} draws its clips itself: leave --data out, or give --speech FOLDER")
    speech = None if options.speech is None else str(options.speech)
    pretrain = options.init is None and not (out / "checkpoint").exists()
    job = motion_job(config, speech=speech, workers=options.workers, pretrain=pretrain)
    fit(job, config.train, out, init=options.init, stop_after_s=common.seconds(options.stop_after_minutes))


def fit_univdm(data: Path, out: Path, config: PahaConfig, options: UniVDMOptions) -> None:
    """Make the features that are missing, then train."""
    from accelerate import PartialState

    from paha.cli.features import load_codec_of, preset_features
    from paha.dataset.dataset import FeatureDataset
    from paha.training.distributed import from_main
    from paha.training.loop import fit
    from paha.training.univdm.job import univdm_job
    from paha.univdm.initialisation import codec_source, with_parts_of

    source = codec_source(config, options.codec, options.init)
    whole = with_parts_of(config, options.init)
    features = Path(from_main("features", lambda: str(preset_features(data, whole, codec=source))))
    dataset = FeatureDataset(features, config=whole, device=PartialState().device or "cpu")
    job = univdm_job(whole, dataset, codec=load_codec_of(whole, source))
    fit(job, whole.train, out, init=options.init, stop_after_s=common.seconds(options.stop_after_minutes))


def print_plan(config: PahaConfig, cost: PlanOptions) -> None:
    """Parameters, memory and time of a training and of sampling, from the model on the meta device."""
    from paha.planning.plan import plan, plan_sampling
    from paha.planning.plan_text import format_plan, format_sampling

    training = plan(config, gpus=cost.gpus, gpu_memory_gb=cost.gpu_memory_gb, gpu_tflops=cost.gpu_tflops)
    typer.echo(format_plan(training))
    typer.echo()
    typer.echo(format_sampling(plan_sampling(config), gpu_tflops=cost.gpu_tflops, utilisation=training.utilisation))
