"""The start of a process that makes a video: a quarter of a second of PyTorch's import is had for nothing."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIBRARIES = (("libtorch_global_deps.so", "RTLD_GLOBAL"), ("libtorch_cpu.so", "RTLD_LOCAL"))
"""What `import torch` opens, in its order."""


@contextmanager
def quick_start() -> Iterator[None]:
    """Heavy imports inside take less time (docs/results.md): PyTorch's library is opened on another thread while the
    readers of media are imported, and nobody looks for garbage, of which imports leave none."""
    opening = threading.Thread(target=open_torch, daemon=True)
    opening.start()
    collects = gc.isenabled()
    gc.disable()
    try:
        import av
        import cv2
        from PIL import Image

        _ = av, cv2, Image
        yield
    finally:
        gc.freeze()  # what was imported stays, and need not be looked at again
        if collects:
            gc.enable()


def open_torch() -> bool:
    """Have the operating system load PyTorch's library, as its import would; returns whether it is there now.

    Nothing happens where it is another system than Linux or the library lies elsewhere: the import does it then.
    """
    found = importlib.util.find_spec("torch") if sys.platform == "linux" else None
    if found is None or found.origin is None:
        return False
    # Called as a function of C, it leaves Python's other threads alone; `ctypes.CDLL(path)` stops them all.
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    folder = Path(found.origin).parent / "lib"
    return all(dlopen(os.fsencode(folder / name), os.RTLD_LAZY | getattr(os, how)) for name, how in _LIBRARIES)
