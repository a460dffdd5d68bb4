"""The state of a training, how it begins or goes on, and what it saves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh

from paha.config import TrainConfig
from paha.errors import PahaError
from paha.training.checkpoint import (
    Checkpoint,
    atomic_folder,
    init_from,
    load_checkpoint,
    load_optimizer_tensors,
    load_weights,
    optimizer_tensors,
    save_checkpoint,
)
from paha.training.ema import Ema
from paha.training.job import Job, StepContext
from paha.training.optimizer import make_optimizer
from paha.training.report import Report, say
from paha.training.sharding import gathered, meta_copy, shard, unsharded


@dataclass
class Run:
    """A training under way: the job, its place on devices and processes, and how far it is."""

    job: Job
    config: TrainConfig
    out: Path
    accelerator: Accelerator
    model: nn.Module
    optimizer: torch.optim.Optimizer
    prepared_optimizer: torch.optim.Optimizer
    ema: Ema
    skeleton: nn.Module | None
    """Where the model is sharded, one without data that `unsharded` fills."""
    step: int = 0
    saved_step: int = -1

    @property
    def fingerprint(self) -> dict[str, object]:
        return _fingerprint(self.job, self.config, self.accelerator)

    def report(self, *, progress: bool) -> Report:
        return Report(self.out, name=self.job.name, start=self.step, total=self.config.steps, progress=progress)

    def context(self, micro: int) -> StepContext:
        accelerator = self.accelerator
        place = (accelerator.process_index, accelerator.num_processes, accelerator.device)
        return StepContext(self.step, micro, self.config.seed, *place)

    def save(self) -> None:
        """Checkpoint, then the EMA model's own files (main process; the others wait)."""
        main, scaler = self.accelerator.is_main_process, self.accelerator.scaler
        checkpoint = Checkpoint(
            step=self.step,
            weights=gathered(self.accelerator.unwrap_model(self.model).state_dict(), keep=main),
            ema=gathered(self.ema.model.state_dict(), keep=main),
            optimizer=gathered(optimizer_tensors(self.optimizer), keep=main),
            fingerprint=self.fingerprint,
            scaler=dict(scaler.state_dict()) if scaler else {},
        )
        if main:
            save_checkpoint(self.out / "checkpoint", checkpoint)
            self._write_model(checkpoint.ema)
        self.saved_step = self.step
        self.accelerator.wait_for_everyone()

    def save_model(self) -> None:
        """The EMA model's own files alone."""
        main = self.accelerator.is_main_process
        tensors = gathered(self.ema.model.state_dict(), keep=main)
        if main:
            self._write_model(tensors)
        self.accelerator.wait_for_everyone()

    def _write_model(self, ema: dict[str, Tensor]) -> None:
        with atomic_folder(self.out / "model") as folder:
            self.job.save(unsharded(self.skeleton, ema) if self.skeleton else self.ema.model, folder)


def _fingerprint(job: Job, config: TrainConfig, accelerator: Accelerator) -> dict[str, object]:
    own = {"train": config.model_dump(mode="json", exclude={"snapshots"}), "processes": accelerator.num_processes}
    return dict(job.fingerprint) | {"job": job.name} | own


def start_run(job: Job, config: TrainConfig, out: Path, init: Path | None) -> Run:
    """The run that OUT/checkpoint left, or a new one; as `paha.training.loop.fit`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PahaError(f"cannot write to {out}: {error}") from error
    accelerator = _accelerator(config)
    with accelerator.main_process_first():
        checkpoint = load_checkpoint(out / "checkpoint", _fingerprint(job, config, accelerator), say=say)
    if checkpoint is None:
        if init is not None:
            torch.manual_seed(config.seed)  # layers that the earlier weights have not are random, the same everywhere
            init_from(job.model, init)
    else:
        _check_progress(checkpoint.step, config.steps, out)
        load_weights(job.model, checkpoint.weights, where=str(out / "checkpoint"))
    ema = Ema(job.model, config.ema_decay, device=torch.device("cpu") if config.ema_on_cpu else accelerator.device)
    if checkpoint is not None:
        load_weights(ema.model, checkpoint.ema, where=str(out / "checkpoint"))
    run = _place(job, config, out, accelerator, ema)
    run.model.train()
    if checkpoint is not None:
        _restore(run, checkpoint)
    return run


def _accelerator(config: TrainConfig) -> Accelerator:
    # Accelerate keeps its precision in a process-wide singleton; a second run in the process may want another one.
    AcceleratorState._reset_state(reset_partial_state=False)
    try:
        accelerator = Accelerator(mixed_precision=config.mixed_precision)
    except ValueError as error:
        raise PahaError(f"train.mixed_precision={config.mixed_precision}: {error}") from error
    if config.mixed_precision == "fp16" and (accelerator.device.type == "cpu" or config.sharding == "full"):
        raise PahaError("train.mixed_precision=fp16 works on a GPU only, and unsharded; choose bf16 or no")
    processes, parts = accelerator.num_processes, config.num_micro_batches
    if processes > parts:
        raise PahaError(
            f"{processes} processes cannot share the {parts} part{'s' * (parts > 1)} of a step: set "
            f"train.num_micro_batches={processes} and train.batch_size to the clips of one part"
        )
    return accelerator


def _place(job: Job, config: TrainConfig, out: Path, accelerator: Accelerator, ema: Ema) -> Run:
    """Move to the device, and wrap for many processes: replicated (DDP) or sharded."""
    if config.sharding == "full" and accelerator.num_processes > 1:
        skeleton = meta_copy(job.model)
        mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
        model = shard(accelerator.prepare_model(job.model, evaluation_mode=True), mesh)
        ema.shard(mesh)
        optimizer = make_optimizer(model.parameters(), config)
        return Run(job, config, out, accelerator, model, optimizer, optimizer, ema, skeleton)
    optimizer = make_optimizer(job.model.parameters(), config)
    model, prepared = accelerator.prepare(job.model, optimizer)
    return Run(job, config, out, accelerator, model, optimizer, prepared, ema, None)


def _check_progress(step: int, steps: int, out: Path) -> None:
    if step > steps:
        raise PahaError(
            f"{out} is already at step {step}, past train.steps={steps}; ask for more steps or another folder"
        )


def _restore(run: Run, checkpoint: Checkpoint) -> None:
    load_optimizer_tensors(run.optimizer, checkpoint.optimizer)
    if run.accelerator.scaler and checkpoint.scaler:
        run.accelerator.scaler.load_state_dict(dict(checkpoint.scaler))
    run.step = run.saved_step = checkpoint.step
    if run.accelerator.is_main_process:
        if run.step == run.config.steps:
            say(f"{run.job.name}: all {run.step} steps are done already; {run.out / 'model'} is what they gave")
        else:
            say(f"{run.job.name}: going on from step {run.step} of {run.config.steps}")
