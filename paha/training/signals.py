"""Signals that end a training: it saves first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from paha.training.report import say


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
