"""The one exception type that reaches people: a single clear line that names the thing and the remedy."""

from __future__ import annotations

import errno


class PahaError(Exception):
    """Bad input or a missing part. The command line prints the message as one line and exits with status 2.

    The message names the thing (the file, the option, the key) and says what to do about it.
    """


class StoppedError(PahaError):
    """A person stopped the command by Ctrl-C; the message says what is kept. Exit status 130."""


class MediaError(PahaError):
    """A file's own fault: another try would end the same way, so that it may be remembered."""


_PASSING = {
    getattr(errno, name)
    for name in "ENOSPC EDQUOT ENOMEM EMFILE ENFILE EACCES EPERM EIO EROFS ESTALE ETIMEDOUT ENOENT".split()  # noqa: SIM905
    if hasattr(errno, name)
}
"""What the system says of itself, not of a file's contents."""


def media_error(message: str, cause: Exception) -> PahaError:
    """MediaError, or PahaError where the cause may pass: no space, no memory, no right, no disk."""
    passing = isinstance(cause, MemoryError) or getattr(cause, "errno", None) in _PASSING
    return PahaError(message) if passing else MediaError(message)
