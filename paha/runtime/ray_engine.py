"""Many tasks on a Ray cluster, as `engine` runs them here: on the one that RAY_ADDRESS names, or on one of these cores.

OUT and the raw files must lie where every node sees them. A task whose worker dies is run again by Ray, up to three
times; as everything is written under temporary names first, that changes nothing in the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from paha.errors import PahaError
from paha.runtime.tasks import Outcome, attempt

_RETRIES = 3


def run_on_ray(
    function: Callable[..., object], tasks: Sequence[tuple], *, workers: int, gpus: int
) -> Iterator[Outcome]:
    """`paha.runtime.engine.run_tasks` on Ray, with at most `workers` tasks under way on a cluster begun here.

    On a cluster that runs already, Ray decides how many: one a core. Raises PahaError where ray is not installed.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise PahaError(f"ray is not there ({error}); pip install 'paha[scale]'") from error
    began = not ray.is_initialized()
    if began:
        _connect(ray, workers)
    try:
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=_RETRIES)(attempt)
        running = {remote.remote(function, task): index for index, task in enumerate(tasks)}
        while running:
            finished, _ = ray.wait(list(running), num_returns=1)
            yield _outcome(ray, finished[0], running.pop(finished[0]))
    finally:
        if began:
            ray.shutdown()


def _connect(ray: Any, workers: int) -> None:
    import os

    quiet = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level="ERROR")
    else:
        ray.init(num_cpus=workers, **quiet)


def _outcome(ray: Any, reference: Any, index: int) -> Outcome:
    try:
        result, error = ray.get(reference)
    except ray.exceptions.RayError as failure:
        return index, None, f"its worker died again and again: {str(failure).splitlines()[0]}"
    return index, result, error
