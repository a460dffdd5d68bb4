"""The training loop of every model: accelerate, AdamW, EMA, exact checkpoints.

Everything random is counter-based, a function of (seed, step, part of the step): a run that is killed at any moment
and resumed ends in the same bits (same machine, build, thread and process count) as one that was not. A step's
`num_micro_batches` parts are shared out over the processes, so that one configuration trains the same, but for the
order of sums, on any number of them, and a run goes on with another number after one was lost.

    OUT/stats.jsonl  OUT/tensorboard/  OUT/samples/000500.png  OUT/checkpoint/  OUT/model/ (EMA weights, by `Job.save`)
"""

from __future__ import annotations

import hashlib
import math
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn, cast

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
from paha.training.distributed import is_lost_process
from paha.training.ema import Ema
from paha.training.optimizer import make_optimizer
from paha.training.report import Report, say
from paha.training.sharding import gathered, meta_copy, shard, unsharded, whole

Scalars = Mapping[str, float | Tensor]


@dataclass(frozen=True)
class StepContext:
    """Where a loss is computed: the counters that all its randomness comes from, and the device to compute on."""

    step: int
    """Completed steps, from 0."""
    micro: int
    """Which part of the step's batch, counted over all processes."""
    seed: int
    rank: int
    world_size: int
    device: torch.device

    def generator(self, name: str) -> torch.Generator:
        """A fresh CPU generator for one named use ("batch", "noise" ...) in this part of this step."""
        return torch.Generator().manual_seed(self.hashed_seed(name))

    def hashed_seed(self, name: str) -> int:
        """A stable 32-bit seed out of (seed, name, step, micro): whichever process computes the part, it is the
        same."""
        text = f"{self.seed}/{name}/{self.step}/{self.micro}/0"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


@dataclass(frozen=True)
class Job:
    """What is trained. `loss` gets the model as accelerate wraps it and must only call it (`model(...)`), not its
    methods."""

    name: str
    model: nn.Module
    loss: Callable[[nn.Module, StepContext], tuple[Tensor, Scalars]]
    """Draws its own batch by `context.generator("batch")`; returns the scalar loss and scalars to log."""
    save: Callable[[nn.Module, Path], None]
    """Writes the EMA model's final files into a folder."""
    sample: Callable[[nn.Module, int, Path], None] | None = None
    """(EMA model, step, png path): draws a picture every `sample_every` steps."""
    probe: Callable[[nn.Module, int], Scalars] | None = None
    """(EMA model, step): scalars that are worth an evaluation every `sample_every` steps."""
    fingerprint: Mapping[str, object] = field(default_factory=dict)
    """Plain data that a resumed run must share (the configuration, the data's key), beside TrainConfig."""


def fit(
    job: Job,
    config: TrainConfig,
    out: Path,
    *,
    init: Path | None = None,
    progress: bool = True,
    stop_after_s: float | None = None,
) -> int:
    """Train `job` for `config.steps` steps into the folder `out`; returns the completed steps.

    Resumes from OUT/checkpoint where there is one, else starts from `init` (a folder or file of earlier weights) or
    from the model as it is. stop_after_s: seconds after which a checkpoint is saved and the call returns. SIGTERM and
    SIGINT save a checkpoint, then end the process as usual. A step's batch is train.batch_size clips times
    train.num_micro_batches parts, however many processes share them.

    Raises PahaError for a loss or gradient that is not finite (before it reaches the weights), a checkpoint of
    another configuration, an unwritable folder, or when another process of the run is lost.
    """
    deadline = math.inf if stop_after_s is None else time.monotonic() + stop_after_s
    with ExitStack() as stack:
        stack.enter_context(_lost_processes(job, out))
        stack.enter_context(torch.random.fork_rng(devices=[]))
        run = _start(job, config, out, init)
        signals = stack.enter_context(deferred_signals())
        show = progress and run.accelerator.is_main_process
        report = stack.enter_context(run.report(progress=show)) if run.accelerator.is_main_process else None
        began = run.step
        while run.step < config.steps:
            begin = time.monotonic()
            stop, scalars = _train_step(run, stop=bool(signals) or begin > deadline)
            scalars |= {"seconds": time.monotonic() - begin}
            _after_step(run, scalars, report, last=stop or run.step == config.steps)
            if stop:
                break
        if run.saved_step != run.step:
            run.save()
        elif run.step == began:  # a kill may have come between the last checkpoint and its model
            run.save_model()
    if signals:
        end_by(signals[0], f"at step {run.step}; the same command goes on from there")
    return run.step


@dataclass
class _Run:
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


def _start(job: Job, config: TrainConfig, out: Path, init: Path | None) -> _Run:
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


def _place(job: Job, config: TrainConfig, out: Path, accelerator: Accelerator, ema: Ema) -> _Run:
    """Move to the device, and wrap for many processes: replicated (DDP) or sharded."""
    if config.sharding == "full" and accelerator.num_processes > 1:
        skeleton = meta_copy(job.model)
        mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
        model = shard(accelerator.prepare_model(job.model, evaluation_mode=True), mesh)
        ema.shard(mesh)
        optimizer = make_optimizer(model.parameters(), config)
        return _Run(job, config, out, accelerator, model, optimizer, optimizer, ema, skeleton)
    optimizer = make_optimizer(job.model.parameters(), config)
    model, prepared = accelerator.prepare(job.model, optimizer)
    return _Run(job, config, out, accelerator, model, optimizer, prepared, ema, None)


def _check_progress(step: int, steps: int, out: Path) -> None:
    if step > steps:
        raise PahaError(
            f"{out} is already at step {step}, past train.steps={steps}; ask for more steps or another folder"
        )


def _restore(run: _Run, checkpoint: Checkpoint) -> None:
    load_optimizer_tensors(run.optimizer, checkpoint.optimizer)
    if run.accelerator.scaler and checkpoint.scaler:
        run.accelerator.scaler.load_state_dict(dict(checkpoint.scaler))
    run.step = run.saved_step = checkpoint.step
    if run.accelerator.is_main_process:
        if run.step == run.config.steps:
            say(f"{run.job.name}: all {run.step} steps are done already; {run.out / 'model'} is what they gave")
        else:
            say(f"{run.job.name}: going on from step {run.step} of {run.config.steps}")


def _train_step(run: _Run, *, stop: bool) -> tuple[bool, dict[str, float]]:
    """One optimizer step. Returns whether any process wants to stop, and what to log."""
    accelerator, config = run.accelerator, run.config
    learning_rate = learning_rate_at(run.step, config)
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate
    loss, scalars = _accumulate(run)
    norm = accelerator.clip_grad_norm_(run.model.parameters(), config.grad_clip)
    grad_norm = math.nan if norm is None else float(whole(norm))
    # One small exchange a step keeps all processes in agreement on when to stop and on a loss that is not finite.
    shared = torch.stack([loss, torch.as_tensor(float(stop), device=loss.device)])
    reduced = cast(Tensor, accelerator.reduce(shared, reduction="mean"))
    mean_loss, stops = reduced.tolist()
    _check_finite(run, mean_loss, grad_norm)
    run.prepared_optimizer.step()
    run.prepared_optimizer.zero_grad(set_to_none=True)
    run.step += 1
    run.ema.update(accelerator.unwrap_model(run.model), run.step)
    return stops > 0, {"loss": mean_loss, "lr": learning_rate, "grad_norm": grad_norm} | scalars


def _accumulate(run: _Run) -> tuple[Tensor, dict[str, float]]:
    """Forward and backward of this process's parts of the step; its share of the mean loss (their mean over the
    processes is the loss), and the mean of every scalar over the parts that have it.
    """
    parts, processes = run.config.num_micro_batches, run.accelerator.num_processes
    turns = math.ceil(parts / processes)
    losses: list[Tensor] = []
    collected: dict[str, list[float]] = {}
    for turn in range(turns):
        micro = turn * processes + run.accelerator.process_index
        counts = micro < parts  # else there is nothing left: the first part once more, without weight, in step with all
        context = run.context(micro if counts else 0)
        torch.manual_seed(context.hashed_seed("model"))  # for random layers of the model, such as dropout
        with nullcontext() if turn == turns - 1 else run.accelerator.no_sync(run.model):
            loss, scalars = run.job.loss(run.model, context)
            # Gradients are averaged over the processes.
            run.accelerator.backward(loss / (parts / processes) * (1 if counts else 0))
        if counts:
            losses.append(loss.detach().float())
        for key, value in scalars.items() if counts else ():
            collected.setdefault(key, []).append(float(value))
    return _share(losses, parts / processes), {key: sum(values) / len(values) for key, values in collected.items()}


def _share(losses: list[Tensor], expected: float) -> Tensor:
    return torch.stack(losses).mean() if len(losses) == expected else torch.stack(losses).sum() / expected


def _check_finite(run: _Run, loss: float, grad_norm: float) -> None:
    # The fp16 scaler meets infinite gradients as a matter of course and skips those steps itself.
    if math.isfinite(loss) and (run.accelerator.scaler or math.isfinite(grad_norm)):
        return
    what = "gradient norm" if math.isfinite(loss) else "loss"
    kept = run.out / "checkpoint"
    last = f"the last good checkpoint is {kept}" if kept.exists() else "no checkpoint was saved yet"
    remedy = "lower train.learning_rate or train.grad_clip, or look at the data"
    raise PahaError(f"{run.job.name}: the {what} is not finite at step {run.step + 1}; {last}; {remedy}")


def _after_step(run: _Run, scalars: dict[str, float], report: Report | None, *, last: bool) -> None:
    due = run.config.sample_every and run.step % run.config.sample_every == 0
    if due and (report or run.skeleton):  # a sharded model computes in all processes or in none
        scalars |= _evaluate(run)
    if report and (last or due or run.step % run.config.log_every == 0):
        report.log(run.step, scalars)
    if last or run.step % run.config.checkpoint_every == 0 or run.step in run.config.snapshots:
        run.save()
    if run.step in run.config.snapshots and run.accelerator.is_main_process:
        with atomic_folder(run.out / f"model-{run.step:06d}") as folder:
            shutil.copytree(run.out / "model", folder, dirs_exist_ok=True)


@torch.no_grad()
def _evaluate(run: _Run) -> dict[str, float]:
    """The sample picture (the main process's) and the probe's scalars, on the EMA model."""
    with run.ema.on(run.accelerator.device) as model, TemporaryDirectory() as unwanted:
        if run.job.sample:
            folder = run.out / "samples" if run.accelerator.is_main_process else Path(unwanted)
            folder.mkdir(exist_ok=True)
            run.job.sample(model, run.step, folder / f"{run.step:06d}.png")
        probed = run.job.probe(model, run.step) if run.job.probe else {}
        return {key: float(value) for key, value in probed.items()}


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Rate of the step after `step` completed ones: linear warm-up, then constant or a cosine down to a tenth."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if not config.cosine_decay:
        return config.learning_rate
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * min(done, 1.0))))


@contextmanager
def _lost_processes(job: Job, out: Path) -> Iterator[None]:
    """One line where another process of the run is gone: the others cannot go on, and one of them reports it."""
    try:
        yield
    except RuntimeError as error:
        if not is_lost_process(error):
            raise
        kept = out / "checkpoint"
        after = f"from {kept}" if kept.exists() else "from the start, as no checkpoint was saved yet"
        raise PahaError(f"{job.name}: a process of this run was lost; the same command goes on {after}") from error


def end_by(number: int, where: str) -> NoReturn:
    """End the process as that signal would have, with a line that says where the run was."""
    message = f"stopped by {signal.Signals(number).name} {where}"
    if number == signal.SIGINT:
        raise KeyboardInterrupt(message)
    say(message)
    raise SystemExit(128 + number)


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Collect the first SIGTERM or SIGINT instead of dying of it; a second one acts at once."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def remember(number: int, _frame: object) -> None:
        received.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, remember)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
