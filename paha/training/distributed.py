"""Many processes of one run (torchrun, or any launcher that sets RANK and WORLD_SIZE): which one prints and writes.

The main process writes all files of a run. Messages are printed once: processes that fail together agree through the
launcher's key-value store on the one that prints.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

from paha.errors import PahaError

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch import nn
    from torch.distributed import Store

LONGEST_WAIT = timedelta(days=14)
"""What the others wait for the main process's work, such as the features of a large dataset."""
_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|by peer", re.IGNORECASE)


def world_size() -> int:
    """Processes of the run, 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this is the process that writes and prints."""
    return int(os.environ.get("RANK", "0")) == 0


def join() -> PartialState:
    """Join the processes of the run, as its Accelerator will; accelerate's own state, which is one for the process."""
    import torch
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    # Unless it is told, accelerate takes processes on CPUs for a run each: all would train alone and write one folder.
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available())


def from_main(name: str, make: Callable[[], str]) -> str:
    """make(), computed by the main process alone; all others wait for its result. Called by all, with one `name`.

    Raises the PahaError that `make` raised, in every process.
    """
    if world_size() == 1:
        return make()
    join()  # before it there may be no store
    store = _store()
    if is_main():
        try:
            value = make()
        except PahaError as error:
            store.set(name, f"!{error}")
            raise
        store.set(name, f"={value}")
        return value
    store.wait([name], LONGEST_WAIT)
    answer = store.get(name).decode()
    if answer.startswith("!"):
        raise PahaError(answer[1:])
    return answer[1:]


def broadcast_weights(model: nn.Module) -> None:
    """Give every process the main one's weights. Called by all, on models that are not wrapped yet."""
    if world_size() == 1:
        return
    from torch.distributed import broadcast_object_list

    held = [model.state_dict() if is_main() else None]
    broadcast_object_list(held, src=0)
    model.load_state_dict(held[0])  # type: ignore[arg-type]


def first_to_say(message: str) -> bool:
    """Whether no other process of the run has asked for this message yet; always true in a run of one process."""
    if world_size() == 1:
        return True
    try:
        return _store().add(blake2b(message.encode(), digest_size=16).hexdigest(), 1) == 1
    except (KeyError, ValueError, RuntimeError):
        return True  # no store to agree through: better twice than never


def is_lost_process(error: BaseException) -> bool:
    """Whether an exception means that another process of the run is gone (and not that this one did something
    wrong)."""
    return world_size() > 1 and isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None


def _store() -> Store:
    from torch.distributed import PrefixStore, TCPStore

    attempt = f"paha/{os.environ.get('TORCHELASTIC_RUN_ID', '')}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '')}"
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    client = TCPStore(host, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=10))
    return PrefixStore(attempt, client)
