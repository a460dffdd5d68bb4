"""The training loop of every model: accelerate, AdamW, EMA, exact checkpoints.

Everything random is counter-based, a function of (seed, step, part of the step): a run that is killed at any moment
and resumed ends in the same bits (same machine, build, thread and process count) as one that was not. A step's
`num_micro_batches` parts are shared out over the processes, so that one configuration trains the same, but for the
order of sums, on any number of them, and a run goes on with another number after one was lost.

    OUT/stats.jsonl  OUT/tensorboard/  OUT/samples/000500.png  OUT/checkpoint/  OUT/model/ (EMA weights, by `Job.save`)
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from torch import Tensor

from paha.config import TrainConfig
from paha.errors import PahaError
from paha.training.checkpoint import atomic_folder
from paha.training.distributed import is_lost_process
from paha.training.job import Job
from paha.training.report import Report
from paha.training.run import Run, start_run
from paha.training.sharding import whole
from paha.training.signals import deferred_signals, end_by


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
        run = start_run(job, config, out, init)
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


def _train_step(run: Run, *, stop: bool) -> tuple[bool, dict[str, float]]:
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


def _accumulate(run: Run) -> tuple[Tensor, dict[str, float]]:
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


def _check_finite(run: Run, loss: float, grad_norm: float) -> None:
    # The fp16 scaler meets infinite gradients as a matter of course and skips those steps itself.
    if math.isfinite(loss) and (run.accelerator.scaler or math.isfinite(grad_norm)):
        return
    what = "gradient norm" if math.isfinite(loss) else "loss"
    kept = run.out / "checkpoint"
    last = f"the last good checkpoint is {kept}" if kept.exists() else "no checkpoint was saved yet"
    remedy = "lower train.learning_rate or train.grad_clip, or look at the data"
    raise PahaError(f"{run.job.name}: the {what} is not finite at step {run.step + 1}; {last}; {remedy}")


def _after_step(run: Run, scalars: dict[str, float], report: Report | None, *, last: bool) -> None:
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
def _evaluate(run: Run) -> dict[str, float]:
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
