"""How worker processes start: one core each, and an end with their parent's."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from multiprocessing import parent_process


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
