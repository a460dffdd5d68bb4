"""`paha train univdm`: the diffusion model."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paha.cli import options as common
from paha.errors import PahaError

if TYPE_CHECKING:
    from paha.config import PahaConfig
    from paha.training.univdm.motion_job import Footage


@dataclass(frozen=True)
class UniVDMOptions:
    """A UniVDM's training."""

    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            help="Dataset folder (manifest.jsonl), several are balanced; with motion latents, people to learn.",
        ),
        common.FOLDER,
    ] = field(default_factory=list)
    split: common.SplitChoice = common.Split.train
    speech: common.Speech = None
    workers: Annotated[int, typer.Option(help="With motion latents: processes that make clips ahead.", min=0)] = 1
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder."), common.RUN] = None
    codec: common.CodecFolder = None
    preset: common.PresetName = "presenter"
    steps: common.Steps = None
    settings: common.Settings = field(default_factory=list)
    footage_share: Annotated[
        float, typer.Option(help="With motion latents and --data: share of a batch that is filmed.", min=0.0, max=1.0)
    ] = 0.5
    init: common.Init = None
    no_par: Annotated[bool, typer.Option("--no-par", help="Plain MSE (Table 3, w/o PAR).")] = False
    stop_after_minutes: common.Minutes = None

    @property
    def filmed(self) -> bool:
        """Whether motion latents are trained on footage."""
        from paha.presets import preset

        return bool(self.data) and preset(self.preset).codec.kind == "motion"

    def config(self) -> PahaConfig:
        """The preset with the changes; on footage that of the model it starts from, with a training of its own."""
        from paha.config import override
        from paha.pipeline.model_folder import CONFIG_FILE, read_config
        from paha.presets import preset
        from paha.training.univdm.footage import FOOTAGE_TRAIN

        changes = [*self.settings, *(["par.enabled=false"] if self.no_par else [])]
        if not self.filmed:
            return common.configuration(self.preset, changes, steps=self.steps)
        own, start = preset(self.preset), self.first_weights()
        known = start is not None and (start / CONFIG_FILE).is_file()
        base = read_config(start) if known and start is not None else own
        base = base.model_copy(update={"train": own.train.model_copy(update=FOOTAGE_TRAIN)})
        return override(base, common.parse_settings(changes, steps=self.steps))

    def first_weights(self) -> Path | None:
        """What the training starts from: --init, where `shipped` is the shipped model, which footage starts from."""
        from paha.pipeline.loading import SHIPPED_MODEL

        return SHIPPED_MODEL if str(self.init) == "shipped" or (self.filmed and self.init is None) else self.init


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
    elif not options.data or options.out is None:
        raise PahaError(f"the preset {config.name} trains on clips: give --data DATASET and --out RUN (or --plan)")
    elif options.speech is not None:
        raise PahaError(f"the preset {config.name} trains on clips, which have their own sound: leave out --speech")
    else:
        fit_univdm(options.data, options.out, config, options)


def fit_motion(out: Path, config: PahaConfig, options: UniVDMOptions) -> None:
    """Train on the endless stream of speech and motion."""
    from paha.pipeline.model_folder import CONFIG_FILE, check_trainable
    from paha.training.loop import fit
    from paha.training.univdm.motion_job import motion_job

    init = options.first_weights()
    if init is not None and (init / CONFIG_FILE).is_file():
        check_trainable(init, config)
    speech = None if options.speech is None else str(options.speech)
    pretrain = init is None and not (out / "checkpoint").exists()
    footage = load_footage(options, config) if options.data else None
    job = motion_job(config, speech=speech, workers=options.workers, pretrain=pretrain, footage=footage)
    fit(job, config.train, out, init=init, stop_after_s=common.seconds(options.stop_after_minutes))


def load_footage(options: UniVDMOptions, config: PahaConfig) -> Footage:
    """The filmed clips of --data; says how much there is and what was left out."""
    from paha.training.univdm.footage import IN_STEP, FootageDataset
    from paha.training.univdm.motion_job import Footage

    train = FootageDataset(options.data, config=config, split=options.split.value)
    try:
        test = FootageDataset(options.data, config=config, split="test")
    except PahaError:
        test = train  # a few clips of one person: none may be for testing
        common.tell("no test clip is long enough: the probe looks at clips that are trained on")
    common.tell(f"footage: {len(train.clips)} clips, {train.seconds:.0f} s, of {len(train.people)} people")
    for name, why in train.skipped.items():
        common.tell(f"left out {name}: {why}")
    if train.lips_r < IN_STEP:
        common.tell(
            f"warning: the mouths hardly follow the sound (r {train.lips_r:.2f} to its loudness, speech has 0.3 and "
            "more): lips will get worse; is it the film's own sound, and in step?"
        )
    return Footage(train, test, options.footage_share)


def fit_univdm(data: list[Path], out: Path, config: PahaConfig, options: UniVDMOptions) -> None:
    """Make the features that are missing, then train."""
    from paha.cli.features import load_codec_of, preset_features
    from paha.dataset.dataset import FeatureDataset
    from paha.dataset.joint import JointDataset
    from paha.training.distributed import from_main, join
    from paha.training.loop import fit
    from paha.training.univdm.job import univdm_job
    from paha.univdm.initialisation import codec_source, with_parts_of

    source = codec_source(config, options.codec, options.init)
    whole = with_parts_of(config, options.init)
    device, parts = join().device or "cpu", []
    for folder in data:
        made = partial(preset_features, folder, whole, codec=source, split=options.split)
        features = Path(from_main("features", lambda made=made: str(made())))
        parts.append(FeatureDataset(features, config=whole, split=options.split.value, device=device))
    dataset = parts[0] if len(parts) == 1 else JointDataset(parts)
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
