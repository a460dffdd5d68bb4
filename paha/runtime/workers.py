"""How many workers there may be, and how their processes start: one core each, and an end with their parent's."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from multiprocessing import parent_process


def num_cores() -> int:
    """Cores that this process may use; all of the machine's where the system does not say (macOS, Windows)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def begin_worker() -> None:
    """Initialiser of a process pool: one core a worker (OpenCV would start threads of its own); it ends with its
    parent."""
    with suppress(ImportError):  # not every task needs it
        import cv2

        cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed tells its workers nothing; they would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
