"""How many workers there may be, and how their processes start: one core each, and an end with their parent's."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import parent_process


def num_cores() -> int:
    """Cores that this process may use; all of the machine's where the system does not say (macOS, Windows)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def begin_worker() -> None:
    """Initialiser of a process pool: one core a worker (OpenCV would start threads of its own); it ends with its
    parent, also where Ctrl-C reaches it first, without a traceback of its own."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    with suppress(ImportError):  # not every task needs it
        import cv2

        cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


@contextmanager
def ended(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    """The pool, whose workers are ended where the work is: a person who stops a command does not wait for theirs."""
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """A parent that is killed tells its workers nothing; they would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
