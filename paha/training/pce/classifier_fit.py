"""One classifier's training from its pretraining to its last step, under one clock and one answer to a signal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from paha.config import TrainConfig
from paha.training.job import Job
from paha.training.loop import fit
from paha.training.signals import deferred_signals, end_by

PRETRAINING_SHARE = 0.5
"""Most of the time given that the pretraining may take."""


def fit_after_pretraining(
    make_job: Callable[[Callable[[], bool]], Job],
    config: TrainConfig,
    out: Path,
    *,
    init: Path | None = None,
    stop_after_s: float | None = None,
) -> int:
    """`fit` of the job that make_job gives, whose pretraining obeys stop_after_s and signals too; the completed steps.

    make_job: is given what its pretraining has to ask before each of its steps, and stops when it is true. The clock
    starts here; the pretraining gets PRETRAINING_SHARE of the time. SIGTERM and SIGINT during it save its weights as a
    training of one step would (OUT/checkpoint and OUT/model), then end the process: the same command goes on with the
    training, without the rest of the pretraining.
    """
    begin = time.monotonic()
    limit = math.inf if stop_after_s is None else stop_after_s
    with deferred_signals() as signals:
        job = make_job(lambda: bool(signals) or time.monotonic() - begin > PRETRAINING_SHARE * limit)
        if signals:
            done = fit(job, config, out, init=init, stop_after_s=0, progress=False)
    if signals:
        end_by(
            signals[0],
            f"before the training: the pretraining's weights are saved as step {done}; the same command goes on from "  # pyright: ignore[reportPossiblyUnboundVariable]
            "there, without the rest of the pretraining",
        )
    left = None if stop_after_s is None else max(0.0, stop_after_s - (time.monotonic() - begin))
    return fit(job, config, out, init=init, stop_after_s=left)
