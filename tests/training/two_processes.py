"""Two processes (gloo) of one run, as torchrun would start them."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path

import torch

from paha.errors import PahaError

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["toy_run", "toy"])  # imported once for all processes


def in_two(function: Callable[..., object], folder: Path, *, timeout_s: float = 300) -> list[str]:
    """What `function` returns in each of two processes that know of each other, or the PahaError that it raises."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [FORKS.Process(target=rank_main, args=(function, folder, rank, port)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout_s)
        process.kill()
    return [(folder / f"answer_{rank}").read_text() for rank in range(2)]


def rank_main(function: Callable[..., object], folder: Path, rank: int, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    torch.set_num_threads(1)
    try:
        answer = str(function(folder))
    except PahaError as error:
        answer = f"PahaError: {error}"
    (folder / f"answer_{rank}").write_text(answer)
    torch.distributed.barrier()  # the first one keeps the store
    torch.distributed.destroy_process_group()
