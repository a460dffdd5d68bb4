"""stderr put away while MediaPipe's C++ writes its notes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing reaches stderr: MediaPipe's C++ writes a page of notes there when it starts, past any logging setting.

    stderr is the whole process's. Of threads that are quiet at once, the first one in puts it away and the last one out
    brings it back; each for itself, one would keep what another had put away and bring that back.
    """
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()


class _Quiet:
    """stderr, put away while anybody is inside."""

    def __init__(self) -> None:
        self._lock, self._inside, self._kept = threading.Lock(), 0, -1

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                sys.stderr.flush()
                self._kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                os.dup2(self._kept, 2)
                os.close(self._kept)


_QUIET = _Quiet()
