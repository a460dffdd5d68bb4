"""Errors of libraries that a person can mend (a full disk, no memory, a missing package), put into one line."""

from __future__ import annotations

import errno
import re

from paha.runtime.extras import EXTRAS, missing

_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|out of memory|bad_alloc|unable to allocate"
    r"|failed to map segment|can't start new thread",  # of a library that is loaded, of a thread's stack
    re.I,
)
_SPACE = re.compile(r"no space left|disk quota", re.I)
_HIDDEN = re.compile(r"\.([^/\s]+)\.[0-9a-f]{12}\.partial")


def is_want_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, whoever says it: no fault of the file that was being read."""
    kind = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return kind or getattr(error, "errno", None) == errno.ENOMEM or bool(_MEMORY.search(" ".join(str(error).split())))


def explain(error: BaseException) -> str | None:
    """The one line for an exception that tells of the machine and not of our code; None for any other."""
    text = " ".join(str(error).split())
    if is_want_of_memory(error):
        return "out of memory: give a smaller --size, batch or number of --workers, or close other programs"
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] in EXTRAS:
        return str(missing(error.name.split(".")[0]))
    if isinstance(error, OSError):
        return f"{error.strerror or text}{f': {error.filename}' if error.filename else ''}"
    if _SPACE.search(text):  # what a library of another language reports
        return f"no space left on the disk ({text[:200]})"
    if isinstance(error, UnicodeEncodeError) and "surrogate" in text:
        return "a name is no valid UTF-8; give another one"
    return None


def without_temporary_names(message: str) -> str:
    """A message in which files have the names that a person gave them."""
    return _HIDDEN.sub(r"\1", message)
