"""Work in a few threads of one process: results in order, no more work begun than is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    pool: ThreadPoolExecutor | None = None,
) -> Generator[Result]:
    """function(item) of each item, in order, `workers` at a time; `workers` results at most wait to be taken. One
    worker is this thread. pool: whose threads work, by default new ones."""
    if workers <= 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) if pool is None else nullcontext(pool) as threads:
        for item in items:
            waiting.append(threads.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def one_ahead(items: Iterable[Item]) -> Generator[Item]:
    """The items, each made in another thread while the one before it is used."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item  # pyright: ignore[reportReturnType]


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """PyTorch computes in so many threads meanwhile, in all of the process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
