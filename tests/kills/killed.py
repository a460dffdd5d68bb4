"""Commands in a child process that is killed at a chosen moment, and what they leave."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from paha.cli import main as cli

_EVENTS = frozenset(("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"))


@dataclass(frozen=True)
class Moment:
    """When a command is killed: before its n-th change of the disk, or after so many seconds; never without either."""

    event: int | None = None
    seconds: float | None = None
    number: int = signal.SIGKILL
    """The signal, of an event."""


@dataclass(frozen=True)
class Ended:
    """How it ended. status: None where it was killed. events: changes of the disk. told: what it wrote on stderr.
    modules: the names of what it had imported."""

    status: int | None
    events: int
    seconds: float
    told: str
    modules: tuple[str, ...] = ()


def run(command: Sequence[object], moment: Moment = Moment()) -> Ended:
    """`paha COMMAND` in a child of this process, which has everything imported: what is killed is the work itself."""
    torch.set_num_threads(1)
    log, report = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    began, child = time.monotonic(), os.fork()
    if child == 0:
        # Ignored where the tests run in a shell's background, and that is inherited.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _child(command, moment, report.fileno(), log.fileno())
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if moment.seconds is not None and time.monotonic() - began > moment.seconds:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.002)
    seconds = time.monotonic() - began
    with log, report:
        log.seek(0)
        report.seek(0)
        said, told = log.read().decode(), report.read().decode().split()
    return Ended(int(told[0]), int(told[1]), seconds, said, tuple(told[2:])) if told else Ended(None, 0, seconds, said)


def import_what(ended: Ended) -> None:
    """In this process: the next commands, its children, need not, and are killed at their own work."""
    for name in ended.modules:
        with suppress(Exception):  # some modules are made by others, not found on the disk
            importlib.import_module(name)


def _child(command: Sequence[object], moment: Moment, report: int, log: int) -> None:
    status, count = 99, 0

    def count_changes(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in _EVENTS or opened:
            count += 1
            if count == moment.event:
                os.kill(os.getpid(), moment.number)

    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        sys.argv = ["paha", *map(str, command)]
        sys.addaudithook(count_changes)
        cli.main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(report, " ".join((f"{status} {count}", *sys.modules)).encode())
        os._exit(0)


def moments(count: int, whole: Ended, seed: int) -> list[Moment]:
    """Moments spread over a run of that length: before changes of the disk, and in between by the clock."""
    rng = random.Random(seed)
    by_event = [Moment(event=rng.randint(1, whole.events)) for _ in range(count - count // 3)]
    return by_event + [Moment(seconds=rng.uniform(0.0, whole.seconds)) for _ in range(count // 3)]


def contents(folder: Path, *, without: Sequence[str] = ()) -> dict[str, str]:
    """Hashes of all files below a folder by name, hidden ones too; of a log of steps without its clock."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not name.startswith(tuple(without)):
            data = path.read_bytes()
            if path.name == "stats.jsonl":
                lines = [json.loads(line) for line in data.splitlines()]
                data = json.dumps([{k: v for k, v in line.items() if k != "seconds"} for line in lines]).encode()
            found[name] = hashlib.sha256(data).hexdigest()
    return found
