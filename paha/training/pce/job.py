"""Training of the PCE classifiers (section 4.1.3, Eq. 7, B.3): real against negative in one region, at any noise.

Letters: P pairs, B = 2P clips, T frames, C channels, H W latent size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from paha.config import PahaConfig, Section, TrainConfig, set_options
from paha.dataset.dataset import FeatureDataset
from paha.dataset.splits import SplitName
from paha.dataset.training_data import TrainedOn, write_training_data
from paha.errors import PahaError
from paha.pce.classifier import CLASSIFIERS, ClassifierConfig, PCEClassifier, bce_loss
from paha.pce.regions import Region, select_region
from paha.sampling.schedule import Schedule
from paha.training.distributed import broadcast_weights, from_main
from paha.training.job import Job, StepContext
from paha.training.pce.negatives import pair_lengths
from paha.training.pce.pair_store import Kind, PairBatch
from paha.training.pce.pairs import KINDS, PairConfig, PairDataset
from paha.training.pce.report import auc_by_bucket
from paha.training.pce.sync_pretraining import PretrainingBatch, pretrain_sync
from paha.training.report import say
from paha.training.univdm.job import draw_noise
from paha.univdm.univdm import UniVDM

PROBE_SEED = 2


class ClassifierRun(Section):
    """Everything that defines the training of one classifier. mask_prob: of masking the other region in a clip.

    probe_pairs: held-out pairs of each kind behind the accuracy and AUC in the log; 0 for none. sync_pretraining_steps:
    of the pretraining (`paha.training.pce.sync_pretraining`), 0 for none; with as many windows a step as the training
    has pairs.
    """

    network: ClassifierConfig
    pairs: PairConfig
    train: TrainConfig
    mask_prob: float = Field(default=0.8, ge=0, le=1)
    probe_pairs: int = Field(default=64, ge=0)
    sync_pretraining_steps: int = Field(default=0, ge=0)


PAPER_TRAIN = TrainConfig(batch_size=16, steps=100_000, learning_rate=1e-4, warmup_steps=5000)
"""5.1 and B.3.3."""
PRESENTER_TRAIN = TrainConfig(
    batch_size=24,
    steps=300,
    # At 5e-4 nothing is learned within hundreds of steps (docs/log.md).
    learning_rate=2e-3,
    warmup_steps=20,
    cosine_decay=True,
    ema_decay=0.98,
    checkpoint_every=50,
    sample_every=150,
)
DEBUG_TRAIN = TrainConfig(batch_size=4, steps=10, learning_rate=1e-3, ema_decay=0.9, checkpoint_every=5, sample_every=5)


def classifier_run(config: PahaConfig, changes: Mapping[str, object] | None = None) -> ClassifierRun:
    """The run of a preset by its name (others have the paper's), with dotted names such as `pairs.hard_prob` set.

    Raises PahaError for unknown names and bad values.
    """
    train = {"presenter": PRESENTER_TRAIN, "debug": DEBUG_TRAIN}.get(config.name, PAPER_TRAIN)
    network = CLASSIFIERS.get(config.name, ClassifierConfig())
    lengths = pair_lengths(config.num_frames)
    pairs = PairConfig(lengths=lengths[:2] if config.name == "presenter" else lengths)
    run = ClassifierRun(network=network, pairs=pairs, train=train, probe_pairs=16 if train is not PAPER_TRAIN else 64)
    try:
        return ClassifierRun.model_validate(set_options(run.model_dump(), changes or {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise PahaError(f"options: '{'.'.join(map(str, first['loc']))}': {first['msg']}") from error


def classifier_loss(
    model: nn.Module,
    batch: PairBatch,
    *,
    region: Region,
    run: ClassifierRun,
    config: PahaConfig,
    schedule: Schedule,
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. 7 on the 2P members of a batch, and accuracies to log.

    Both members of a pair have the same noise, timestep, mask and box, so that nothing but the video and the sound can
    tell them apart. generator: on the CPU.
    """
    draw = draw_noise(batch.real.shape, config=config, generator=generator, device=batch.real.device)
    masked = (torch.rand(len(batch.real), generator=generator) < run.mask_prob).float()
    shown = _noised(batch, draw.timesteps, draw.eps, masked, region=region, run=run, schedule=schedule)
    audio = torch.cat([batch.audio, batch.fake_audio])
    time = schedule.time_input(draw.timesteps.to(shown.device)).repeat(2, 1)
    logits = model(shown, time, audio)
    target = (torch.arange(len(logits), device=logits.device) < len(batch.real)).float()
    # Eq. 7
    loss = bce_loss(logits, target)
    with torch.no_grad():
        return loss, _accuracies((logits > 0) == (target > 0.5), batch.kinds)


def _accuracies(right_B: Tensor, kinds: Sequence[Kind]) -> dict[str, Tensor]:
    """Of all 2P members, and of the negatives of each kind; left on the device, to be read when the step is over."""
    chosen = torch.tensor([[kind == name for kind in kinds] for name in KINDS], dtype=torch.float32)
    counts = chosen.sum(1)
    by_kind = chosen.to(right_B.device) @ right_B[len(kinds) :].float()
    found = {
        f"accuracy_{name}": by_kind[i] / float(count)
        for i, (name, count) in enumerate(zip(KINDS, counts, strict=True))
        if count
    }
    return {"accuracy": right_B.float().mean(), **found}


def _noised(
    batch: PairBatch, t: Tensor, eps: Tensor, masked: Tensor, *, region: Region, run: ClassifierRun, schedule: Schedule
) -> Tensor:
    """Both members noised alike, then masked and cropped: (2P, T, C, H', W')."""
    z_0 = torch.cat([batch.real, batch.fake])
    twice = [value.to(z_0.device).repeat(2, *[1] * (value.ndim - 1)) for value in (t, eps, masked, batch.box)]
    z_t = schedule.add_noise(z_0, twice[1], twice[0])
    crop = run.network.face_crop if region == "face" else 0
    return select_region(z_t, twice[3], region, crop=crop, widen=run.network.widen, masked_B=twice[2])


def classifier_job(
    config: PahaConfig,
    univdm: UniVDM,
    features: Path,
    negatives: Path | None,
    *,
    region: Region,
    run: ClassifierRun,
    split: SplitName = "train",
    pretrain: torch.device | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Job:
    """The job that `paha train classifier` fits. univdm: the pretrained G whose encoder it starts from. pretrain: where
    to run the pretraining that the run asks for; None for not at all, where a training goes on. stopped: asked before
    each of its steps whether to leave it at that.

    Raises PahaError where data, negatives and model do not fit together.
    """
    if negatives is None and run.pairs.hard_prob < 1:
        raise PahaError("give --negatives (see `paha negatives`), or --hard-negatives 1 for none but hard ones")
    dataset = FeatureDataset(features, config=config, split=split)
    common: dict[str, Any] = {"config": config, "pairs": run.pairs}
    train = PairDataset(dataset, negatives, **common)
    schedule = Schedule(config.diffusion)
    held_out = PairDataset(dataset, negatives, split="held_out", **common) if run.probe_pairs else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.train.seed)
        model = PCEClassifier.from_univdm(univdm, run.network, region=region).requires_grad_(True).train()

    if pretrain is not None and run.sync_pretraining_steps:
        own: dict[str, Any] = {"region": region, "run": run, "config": config, "schedule": schedule}
        from_main("pretraining", lambda: _pretrain(model, train, **own, device=pretrain, stopped=stopped))
        broadcast_weights(model)

    def loss(model: nn.Module, context: StepContext) -> tuple[Tensor, dict[str, Tensor]]:
        num_pairs = max(1, run.train.batch_size // 2)
        batch = train.batch(context.generator("batch"), num_pairs, device=context.device)
        generator = context.generator("noise")
        return classifier_loss(
            model, batch, region=region, run=run, config=config, schedule=schedule, generator=generator
        )

    def probe(model: Any, step: int) -> dict[str, float]:
        assert held_out is not None
        return auc_by_bucket(model, held_out, schedule=schedule, num_pairs=run.probe_pairs, seed=PROBE_SEED)

    return Job(
        name=f"classifier_{region}",
        model=model,
        loss=loss,
        save=partial(_save, records=dataset.records),
        probe=probe if held_out is not None else None,
        fingerprint={
            "region": region,
            "features": dataset.folder.name,
            **{name: value for name, value in dataset.fingerprint.items() if name.startswith("split")},
            "negatives": len(train.generated),
            "model": config.model.model_dump(mode="json"),
            "diffusion": config.diffusion.model_dump(mode="json"),
        }
        | run.model_dump(mode="json", exclude={"train", "probe_pairs"}),
    )


def _pretrain(
    model: PCEClassifier,
    train: PairDataset,
    *,
    region: Region,
    run: ClassifierRun,
    config: PahaConfig,
    schedule: Schedule,
    device: torch.device,
    stopped: Callable[[], bool],
) -> str:
    """In place; returns what it says of it."""

    def draw(step: int) -> PretrainingBatch:
        context = StepContext(step, 0, run.train.seed, 0, 1, device)
        count = max(2, run.train.batch_size // 2)
        batch = train.batch(context.generator("warm-up batch"), count, kind="shifted", device=device)
        noise = draw_noise(batch.real.shape, config=config, generator=context.generator("warm-up noise"), device=device)
        # Clear pictures first, all noise levels in the end.
        t = (noise.timesteps * min(1.0, 0.2 + step / run.sync_pretraining_steps)).long()
        shown = _noised(batch, t, noise.eps, torch.ones(count), region=region, run=run, schedule=schedule)[:count]
        return PretrainingBatch(shown, schedule.time_input(t.to(device)), batch.audio, batch.fake_audio)

    bf16 = run.train.mixed_precision == "bf16"
    rate = {"steps": run.sync_pretraining_steps, "learning_rate": run.train.learning_rate}
    nn.Module.to(model, device)
    end = pretrain_sync(model, draw, **rate, bf16=bf16, stopped=stopped)
    nn.Module.to(model, "cpu")
    short = (
        ""
        if end.steps == run.sync_pretraining_steps
        else f" (stopped at step {end.steps} of {run.sync_pretraining_steps})"
    )
    told = f"loss of frames {end.frame_loss:.2f}, of clips {end.clip_loss:.3f} (0.693 is chance)"
    say(f"sync pretraining{short}: {told}")
    return told


def _save(model: Any, folder: Path, *, records: list[TrainedOn]) -> None:
    model.save_pretrained(folder)
    write_training_data(folder, records)
