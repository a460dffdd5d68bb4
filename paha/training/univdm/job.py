"""Training of UniVDM (section 4.1): Eq. 1 with a timestep per frame, both noise modes, and the loss weight of Eq. 3.

Letters: B clips, T frames, C latent channels, H W latent size. t is an integer timestep, t_BT one per frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from paha.config import PahaConfig, TrainConfig, dump
from paha.dataset.dataset import measure_residual_std, to_device
from paha.dataset.training_data import TrainedOn, write_training_data
from paha.motion.person import PersonMotion
from paha.par import loss_weight as par
from paha.par.losses import par_loss, region_losses
from paha.sampling.schedule import Schedule
from paha.sampling.target import to_target
from paha.training.job import Job, StepContext
from paha.training.univdm.motion_probe import HeldOut, lip_scores, sampled_motion, save_curves
from paha.training.univdm.probe import GRID_STEPS, audio_probe, generate, save_grid
from paha.types import ClipBatch
from paha.univdm.conditioning import Conditioning, predict

PROBE_CLIPS = 8
"""Clips of a probe's batch: with fewer the gap between right and wrong audio is noise."""
REGIONS_EVERY = 10
"""Steps between errors by region in the log: drawing the regions costs some per cent of a small model's step."""


@dataclass(frozen=True)
class NoiseDraw:
    """All that is random about one training step.

    timesteps: (B, T) int64. eps: (B, T, C, H, W). frame_mask: (B, T), 0 where a given first frame carries no loss.
    keep_reference, keep_audio: (B,), 0 where that conditioning is dropped.
    """

    timesteps: Tensor
    eps: Tensor
    frame_mask: Tensor
    keep_reference: Tensor
    keep_audio: Tensor


def draw_noise(
    shape: torch.Size, *, config: PahaConfig, generator: torch.Generator, device: torch.device | str = "cpu"
) -> NoiseDraw:
    """Timesteps, noise, mode and dropout for latents of shape (B, T, C, H, W): all on the CPU, but eps on `device`.

    One t, uniform, for all frames of a clip. With probability first_frame_prob the clip is in first-frame mode: frame 0
    has a small t' of its own and no loss (design rows 2 and 3). What is drawn does not depend on the probabilities.
    """
    B, T = shape[:2]
    diffusion, train = config.diffusion, config.train
    t = torch.randint(diffusion.num_train_timesteps, (B,), generator=generator)
    t_first = torch.randint(diffusion.first_frame_max_timestep + 1, (B,), generator=generator)
    chance_first, chance_reference, chance_audio = torch.rand(3, B, generator=generator)
    first = chance_first < diffusion.first_frame_prob
    t_BT = t[:, None].repeat(1, T)
    t_BT[:, 0] = torch.where(first, t_first, t)
    frame_mask = torch.ones(B, T)
    frame_mask[:, 0] = (~first).float()
    return NoiseDraw(
        timesteps=t_BT,
        eps=_normal(shape, generator, torch.device(device)),
        frame_mask=frame_mask,
        keep_reference=(chance_reference >= train.drop_reference_prob).float(),
        keep_audio=(chance_audio >= train.drop_audio_prob).float(),
    )


def _normal(shape: torch.Size, generator: torch.Generator, device: torch.device) -> Tensor:
    """Standard normal numbers; on an accelerator by a generator of its own, as millions from a CPU would hold it up."""
    if device.type == "cpu":
        return torch.randn(shape, generator=generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.randn(shape, generator=torch.Generator(device).manual_seed(seed), device=device)


def univdm_loss(
    model: nn.Module,
    batch: ClipBatch,
    *,
    config: PahaConfig,
    schedule: Schedule,
    generator: torch.Generator,
    channel_scale: float = 1.0,
    log_regions: bool = True,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. 1 weighted by Eq. 3 on one batch: the scalar loss, and unweighted errors to log.

    generator: on the CPU; the same one gives the same noise on every machine with the same kind of device. The errors
    are those by third of the noise levels, and with log_regions by region.
    """
    draw = draw_noise(batch.latents.shape, config=config, generator=generator, device=batch.latents.device)
    t_BT, eps = draw.timesteps.to(batch.latents.device), draw.eps.to(batch.latents)
    z_0 = to_target(batch.latents, batch.ref_latent, config.diffusion)
    # Eq. 1
    z_t = schedule.add_noise(z_0, eps, t_BT)
    kept = {"keep_reference": draw.keep_reference, "keep_audio": draw.keep_audio}
    conditioning = Conditioning.of_batch(batch, channel_scale=channel_scale, **kept)
    prediction = predict(model, z_t, t_BT, conditioning=conditioning, schedule=schedule).float()
    target = schedule.target(z_0, eps, t_BT, config.diffusion.prediction_type)
    frame_mask = draw.frame_mask.to(z_0)
    weight = _loss_weight(batch, config) if config.par.enabled else None
    loss = par_loss(
        *_in_loss_space(prediction, target, z_t, eps, t_BT, config, schedule), weight, frame_mask=frame_mask
    )
    with torch.no_grad():
        error = (prediction - target) ** 2
        scalars = _level_errors(error, draw.timesteps[:, -1], frame_mask, config)
        regions = _region_errors(error, frame_mask, batch, config) if log_regions else {}
    return loss, scalars | regions


def _in_loss_space(
    prediction: Tensor,
    target: Tensor,
    z_t: Tensor,
    eps: Tensor,
    t_BT: Tensor,
    config: PahaConfig,
    schedule: Schedule,
) -> tuple[Tensor, Tensor]:
    if config.diffusion.loss_space == "prediction" or config.diffusion.prediction_type == "epsilon":
        return prediction, target
    return schedule.v_to_eps(z_t, prediction, t_BT), eps


def _loss_weight(batch: ClipBatch, config: PahaConfig) -> Tensor:
    """M of Eq. 3 at latent size, (B, T, 1, h, w)."""
    h, w = batch.latents.shape[-2:]
    size = {"height": config.height, "width": config.width, "latent_height": h, "latent_width": w}
    return par.loss_weight(batch.points, batch.scores, config.par, **size)


def _level_errors(error: Tensor, t: Tensor, frame_mask: Tensor, config: PahaConfig) -> dict[str, Tensor]:
    """Unweighted error of the clips in each third of the noise levels; thirds without a clip are left out."""
    per_clip = (error.mean(dim=(2, 3, 4)) * frame_mask).sum(1) / frame_mask.sum(1).clamp_min(1)
    third = t * 3 // config.diffusion.num_train_timesteps
    chosen = {f"t_{name}": (third == i).nonzero()[:, 0] for i, name in enumerate(("low", "mid", "high"))}
    return {name: per_clip[clips.to(per_clip.device)].mean() for name, clips in chosen.items() if len(clips)}


def _region_errors(error: Tensor, frame_mask: Tensor, batch: ClipBatch, config: PahaConfig) -> dict[str, Tensor]:
    """Unweighted error of each region of `region_losses`; regions that nothing covers are left out."""
    area = par.awareness_area(batch.points, batch.scores, config.par, height=config.height, width=config.width)
    found = region_losses(error, area, frame_mask=frame_mask)
    return {name: value for name, value in found.items() if not value.isnan()}


def resolve(config: PahaConfig, dataset: Any) -> PahaConfig:
    """The configuration with diffusion.residual_std measured on the data, where the target needs it and it is not
    set.
    """
    if config.diffusion.target == "absolute" or config.diffusion.residual_std != 1.0:
        return config
    diffusion = config.diffusion.model_copy(update={"residual_std": round(measure_residual_std(dataset), 6)})
    return config.model_copy(update={"diffusion": diffusion})


def build_univdm(config: PahaConfig) -> nn.Module:
    """A UniVDM with random weights, a function of train.seed alone."""
    from paha.univdm.univdm import UniVDM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        model = UniVDM.from_model_config(config.model)
    if config.train.gradient_checkpointing:
        model.enable_gradient_checkpointing()
    return model


class TrainingData(Protocol):
    """Where a UniVDM's batches come from: cached features of clips, or the stream of motion."""

    @property
    def channel_scale(self) -> float:
        """See `paha.dataset.features.channel_scale`."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """What a resumed run must share."""
        ...

    @property
    def records(self) -> list[TrainedOn]:
        """What the trained model keeps of it (`paha.dataset.training_data`)."""
        ...

    def training_batch(self, context: StepContext, train: TrainConfig) -> ClipBatch:
        """The clips of a part of a step: a function of the seed and the counters alone."""
        ...

    def fixed_batches(self, count: int, batch_size: int) -> list[ClipBatch]:
        """The same few batches at every call, to probe with."""
        ...


def univdm_job(
    config: PahaConfig,
    dataset: TrainingData,
    *,
    codec: Any = None,
    model: nn.Module | None = None,
    probe_batches: int = 2,
    grid_clips: int = 2,
    held_out: HeldOut | None = None,
) -> Job:
    """The job that `paha train univdm` fits.

    model: a fresh one by default. codec: decodes the sample grids and completes the model folder; neither without it.
    held_out: of motion latents, whose lips are probed and drawn instead of pictures.
    """
    config = resolve(config, dataset)
    model = model or build_univdm(config)
    common = {"config": config, "schedule": Schedule(config.diffusion), "channel_scale": dataset.channel_scale}
    batches = dataset.fixed_batches(probe_batches, max(PROBE_CLIPS, config.train.batch_size))
    grid_batch = dataset.fixed_batches(1, grid_clips)[0]
    made: dict[int, list[PersonMotion]] = {}

    def loss(model: nn.Module, context: StepContext) -> tuple[Tensor, dict[str, Tensor]]:
        batch = to_device(dataset.training_batch(context, config.train), context.device)
        log_regions = context.step % REGIONS_EVERY == 0
        return univdm_loss(model, batch, generator=context.generator("noise"), log_regions=log_regions, **common)

    def lips(model: nn.Module, step: int) -> list[PersonMotion]:
        """Sampled once a step, for the probe and the picture."""
        assert held_out is not None
        if step not in made:
            made.clear()
            options = {"config": config, "schedule": common["schedule"], "steps": config.sample.steps}
            made[step] = sampled_motion(model, held_out, **options)
        return made[step]

    def sample(model: nn.Module, step: int, path: Path) -> None:
        if held_out is not None:
            save_curves(path, held_out.true, lips(model, step))
            return
        device = next(model.parameters()).device
        batch = to_device(grid_batch, device)
        generated = generate(model, batch, steps=min(GRID_STEPS, config.sample.steps), **common)
        save_grid(path, codec=codec.to(device), batch=batch, generated=generated)

    def probe(model: nn.Module, step: int) -> dict[str, float]:
        device = next(model.parameters()).device
        scores = audio_probe(model, [to_device(batch, device) for batch in batches], **common)
        return scores | (lip_scores(held_out.true, lips(model, step)) if held_out is not None else {})

    return Job(
        name="univdm",
        model=model,
        loss=loss,
        save=partial(save_model, config=config, codec=codec, records=dataset.records),
        sample=sample if codec is not None else None,
        probe=probe if batches else None,
        fingerprint={**config.model_dump(mode="json", exclude={"name", "train", "sample"}), **dataset.fingerprint},
    )


def save_model(
    model: Any, folder: Path, *, config: PahaConfig, codec: Any, records: list[TrainedOn] | None = None
) -> None:
    """Write a model folder for `paha animate --model`; without a codec, the network and config.yaml alone.

    records: what it was trained on (`paha.dataset.training_data`).
    """
    write_training_data(folder, records or [])
    if codec is None:
        model.save_pretrained(folder)
        dump(config, folder / "config.yaml")
        return
    from paha.pipeline.pipeline import PahaPipeline

    PahaPipeline(model, codec, config).save_pretrained(folder)
