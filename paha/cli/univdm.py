"""What the verbs of the command line do, once their options are parsed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
import yaml

from paha.config import PahaConfig, override
from paha.errors import PahaError
from paha.pipeline.loading import SHIPPED_MODEL
from paha.presets import preset as preset_by_name
from paha.runtime.device import pick_device

if TYPE_CHECKING:
    from paha.cli.jobs import Job
    from paha.guidance.choice import GuidanceChoice
    from paha.pipeline.pipeline import PahaPipeline


@dataclass(frozen=True)
class AnimateOptions:
    """Options of `paha animate`, the same for every job of a list. contact_sheet: write OUT_sheet.png."""

    steps: int | None
    seed: int
    cfg_scale: float | None
    width: int | None
    height: int | None
    label: bool
    save_frames: Path | None
    contact_sheet: bool
    resume: bool
    guidance: GuidanceChoice | None = None


def parse_size(text: str | None) -> tuple[int | None, int | None]:
    """'128' or '512x896' to (width, height). Raises PahaError for anything else."""
    if text is None:
        return None, None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise PahaError(f"--size {text}: give N or WIDTHxHEIGHT in pixels, e.g. 512x896")
    return int(sides[0]), int(sides[-1])


def animate_one(pipeline: PahaPipeline, image: Path, audio: Path, out: Path, options: AnimateOptions) -> None:
    """One video; says where it is."""
    from paha.guidance.choice import guide
    from paha.pipeline.animate import animate
    from paha.pipeline.options import SampleOptions

    sheet = out.with_name(f"{out.stem}_sheet.png") if options.contact_sheet else None
    size: dict[str, Any] = {"width": options.width, "height": options.height}
    say = partial(typer.echo, err=True)
    sample = SampleOptions(steps=options.steps, seed=options.seed, cfg_scale=options.cfg_scale)
    animate(
        pipeline,
        image,
        audio,
        out,
        guide(sample, pipeline, image, options.guidance, say=say, **size),
        **size,
        resume=options.resume,
        label=options.label,
        save_frames=options.save_frames,
        contact_sheet=sheet,
    )
    typer.echo(f"{out}" + (f" and {sheet}" if sheet else ""))


def animate_jobs(pipeline: PahaPipeline, path: Path, options: AnimateOptions) -> None:
    """Every row of a list; goes on after a failed one. Raises PahaError at the end that lists what failed and why."""
    from paha.cli.jobs import failures, run_jobs

    def run(job: Job) -> None:
        own = replace(options, seed=options.seed if job.seed is None else job.seed)
        if own.save_frames is not None:
            own = replace(own, save_frames=own.save_frames / job.output.stem)
        animate_one(pipeline, job.image, job.audio, job.output, own)

    results = run_jobs(path, run, resume=options.resume)
    failed = failures(results)
    skipped = sum(result.skipped for result in results)
    typer.echo(f"{len(results) - len(failed) - skipped} made, {skipped} were there already, {len(failed)} failed")
    if failed:
        raise PahaError(f"{len(failed)} of {len(results)} jobs failed: {'; '.join(failed)}")


def configuration(preset: str, settings: list[str], *, steps: int | None = None) -> PahaConfig:
    """A preset with NAME=VALUE changes. Raises PahaError for unknown names and bad values."""
    changes = parse_settings(settings)
    if steps is not None:
        changes["train.steps"] = steps
    return override(preset_by_name(preset), changes)


def parse_settings(settings: list[str]) -> dict[str, object]:
    """['train.seed=1', ...] to {'train.seed': 1, ...}; values are YAML scalars or lists."""
    changes: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise PahaError(f"--set {setting}: give NAME=VALUE")
        try:
            changes[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise PahaError(f"--set {setting}: '{value}' is no value") from error
    return changes


def make_features(
    data: Path,
    config: PahaConfig,
    *,
    codec: Path | None,
    device: str | None = None,
    shard: str = "0/1",
    progress: bool = True,
) -> Path:
    """Cache the features of a dataset, or of the part I/N of it; returns their folder."""
    from paha.dataset.features import make_features as make
    from paha.extractors.audio import load_audio_encoder
    from paha.extractors.image import load_image_encoder

    return make(
        data,
        config=config,
        codec=_codec(config, codec),
        audio_encoder=load_audio_encoder(config.audio),
        image_encoder=load_image_encoder(config.image) if config.image.kind == "clip" else None,
        device=pick_device(device),
        shard=parse_shard(shard),
        progress=progress,
    )


def parse_shard(text: str) -> tuple[int, int]:
    """'2/8' to (2, 8). Raises PahaError for anything else."""
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal()):
        raise PahaError(f"--shard {text}: give I/N, e.g. 0/4 to 3/4 on four machines")
    return int(part), int(parts)


def train_codec(
    data: Path,
    out: Path,
    preset: str,
    settings: list[str],
    *,
    steps: int | None,
    init: Path | None,
    stop_after_minutes: float | None,
) -> None:
    """Train the preset's codec with the codec's own training settings."""
    from paha.training.loop import fit
    from paha.training.motion.codec_job import CODEC_TRAIN, codec_job

    config = preset_by_name(preset).model_copy(update={"train": CODEC_TRAIN})
    config = override(config, parse_settings(settings) | ({"train.steps": steps} if steps else {}))
    job = codec_job(config, data)
    fit(job, config.train, out, init=init, stop_after_s=_seconds(stop_after_minutes))


def train_pose_reader(
    data: Path,
    out: Path,
    settings: list[str],
    *,
    codec: Path | None,
    steps: int | None,
    init: Path | None,
    stop_after_minutes: float | None,
) -> None:
    """Train the pose reader, on codec round trips as well where a codec is given."""
    from paha.training.loop import fit
    from paha.training.motion.keypoint_estimator_job import POSE_READER_TRAIN, pose_reader_job

    config = preset_by_name("presenter").model_copy(update={"train": POSE_READER_TRAIN})
    config = override(config, parse_settings(settings) | ({"train.steps": steps} if steps else {}))
    loaded: Any = None if codec is None else _codec(config, codec)
    job = pose_reader_job(data, batch_size=config.train.batch_size, codec=loaded)
    fit(job, config.train, out, init=init, stop_after_s=_seconds(stop_after_minutes))


def train_univdm(
    data: Path,
    out: Path,
    config: PahaConfig,
    *,
    codec: Path | None,
    init: Path | None,
    stop_after_minutes: float | None,
) -> None:
    """Make the features that are missing, then train; OUT/model is a model folder for `paha animate --model`."""
    from paha.training.distributed import from_main
    from paha.training.loop import fit
    from paha.training.univdm.job import univdm_job
    from paha.univdm.initialisation import codec_source, with_parts_of

    source = codec_source(config, codec, init)
    whole = with_parts_of(config, init)
    features = Path(from_main("features", lambda: str(make_features(data, whole, codec=source))))
    pretrain = init is None and not (out / "checkpoint").exists()
    job = univdm_job(whole, features, codec=_codec(whole, source), pretrain=pretrain)
    fit(job, whole.train, out, init=init, stop_after_s=_seconds(stop_after_minutes))


def print_plan(config: PahaConfig, *, gpus: int, gpu_memory_gb: float, gpu_tflops: float) -> None:
    """Parameters, memory and time of a training and of sampling, from the model on the meta device."""
    from paha.planning.plan import plan, plan_sampling
    from paha.planning.plan_text import format_plan, format_sampling

    training = plan(config, gpus=gpus, gpu_memory_gb=gpu_memory_gb, gpu_tflops=gpu_tflops)
    typer.echo(format_plan(training))
    typer.echo()
    typer.echo(format_sampling(plan_sampling(config), gpu_tflops=gpu_tflops, utilisation=training.utilisation))


def _codec(config: PahaConfig, source: Path | None) -> Any:
    from paha.extractors.codec import load_codec

    shipped = SHIPPED_MODEL / "codec" if config.codec.kind == "presenter" else None
    return load_codec(config.codec, source or shipped)


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else 60 * minutes
