"""Running one function over many tasks: in this process, in several, or on a Ray cluster. A failure stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from paha.errors import PahaError
from paha.runtime.extras import need
from paha.runtime.tasks import Outcome, attempt
from paha.runtime.workers import begin_worker, ended

ENGINES = ("local", "ray")


def run_tasks(
    function: Callable[..., object], tasks: Sequence[tuple], *, workers: int, engine: str, gpus: int = 0
) -> Iterator[Outcome]:
    """Call function(*task) for every task, and yield the outcomes as they come.

    workers: processes (`local`; 1 stays in this one) or tasks under way at once (`ray`). gpus: of a task, on Ray. A
    worker that dies takes its task with it: it is tried once more, by itself, and then counts as failed. Raises
    PahaError for an unknown engine.
    """
    check_engine(engine)
    if engine == "ray":
        from paha.runtime.ray_engine import run_on_ray

        return run_on_ray(function, tasks, workers=workers, gpus=gpus)
    if workers == 1 or len(tasks) == 1:
        return ((index, *attempt(function, task)) for index, task in enumerate(tasks))
    return _in_processes(function, tasks, workers)


def check_engine(engine: str) -> None:
    """Raises PahaError for an unknown engine, or one whose package is missing."""
    if engine not in ENGINES:
        raise PahaError(f"unknown engine '{engine}'; known: {', '.join(ENGINES)}")
    if engine == "ray":
        need("ray")


def _in_processes(function: Callable[..., object], tasks: Sequence[tuple], workers: int) -> Iterator[Outcome]:
    waiting = list(range(len(tasks)))
    while waiting:
        done: set[int] = set()
        broken: list[int] = []
        for outcome in _until_broken(function, tasks, waiting, workers, broken):
            done.add(outcome[0])
            yield outcome
        # Which of those under way killed its worker nobody knows: each is tried by itself.
        for index in broken:
            alone: list[int] = []
            outcomes = list(_until_broken(function, tasks, [index], 1, alone))
            yield from outcomes or [(index, None, "its worker died twice (out of memory, or a crash of the decoder)")]
        waiting = [index for index in waiting if index not in done and index not in broken]


def _until_broken(
    function: Callable[..., object], tasks: Sequence[tuple], indices: list[int], workers: int, broken: list[int]
) -> Iterator[Outcome]:
    """Outcomes as they come; where a worker dies, the tasks that were under way go to `broken` and it ends."""
    todo, running = list(reversed(indices)), {}
    with ended(ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=begin_worker)) as pool:
        try:
            while todo or running:
                while todo and len(running) < workers:
                    index = todo.pop()
                    running[pool.submit(attempt, function, tasks[index])] = index
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield _outcome(future, running[future])
                    del running[future]
        except BrokenProcessPool:
            broken.extend(sorted(running.values()))


def _outcome(future: Future, index: int) -> Outcome:
    result, error = future.result()
    return index, result, error
