"""Work in a process of its own, how it ended, and what a person saw of it."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn


class FaultError(Exception):
    """What a person saw that should not be."""


class SkippedError(Exception):
    """Why a fault cannot be tried here."""


def expect(holds: object, what: str) -> None:
    """Raises FaultError, with what is wrong, where it does not hold."""
    if not holds:
        raise FaultError(what)


@dataclass(frozen=True)
class Ended:
    """status: None where it was stopped. out, err: what it wrote."""

    status: int | None
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines of the standard error; a bar that is drawn again counts as lines."""
        return [line for line in self.err.replace("\r", "\n").splitlines() if line.strip()]

    @property
    def saw(self) -> str:
        """In one line."""
        if self.status == 0:
            return "exit 0"
        last = self.lines[-1] if self.lines else "no word"
        return f"{'stopped' if self.status is None else f'exit {self.status}'}: {last}"

    def refused(self, *naming: object) -> None:
        """Raises FaultError unless it ended in one line that names all that."""
        expect(self.status not in (0, None), self.saw)
        expect("Traceback" not in self.err, f"traceback: {self.saw}")
        expect(self.lines and self.lines[-1].startswith("paha: error: "), self.saw)
        missing = [name for name in naming if str(name) not in self.lines[-1]]
        expect(not missing, f"{self.saw} (not named: {', '.join(map(str, missing))})")

    def done(self) -> None:
        """Raises FaultError unless it did what it should."""
        expect(self.status == 0, f"traceback: {self.saw}" if "Traceback" in self.err else self.saw)


@dataclass(frozen=True)
class Limits:
    """What a process gets. seconds: on the clock. file_bytes: of a file; the system refuses more, as where a disk is
    full. stop: sends `signal_number` once it is true. user: runs as this user, where the one who calls may change it.
    env: further variables."""

    seconds: float = 1200.0
    file_bytes: int | None = None
    stop: Callable[[], bool] | None = None
    signal_number: int = signal.SIGKILL
    user: int | None = None
    env: dict[str, str] = field(default_factory=dict)


def in_process(work: Callable[[], object], folder: Path, limits: Limits = Limits()) -> Ended:
    """Call `work` in a child of this process, which has everything imported, in a folder."""
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    began, child, sent = time.monotonic(), os.fork(), False
    if child == 0:
        _child(work, folder, limits, out_end, err_end)
    os.close(out_end)
    os.close(err_end)
    os.set_blocking(out, False)
    os.set_blocking(err, False)
    said: dict[int, bytearray] = {out: bytearray(), err: bytearray()}
    status: int | None = None
    while True:
        pid, code = os.waitpid(child, os.WNOHANG)
        for end, text in said.items():
            text += _read(end)
        if pid:
            status = None if os.WIFSIGNALED(code) else os.waitstatus_to_exitcode(code)
            break
        if time.monotonic() - began > limits.seconds:
            with suppress(ProcessLookupError):  # on a busy machine it has no group of its own yet
                os.killpg(child, signal.SIGKILL)
        elif limits.stop is not None and not sent and limits.stop():
            os.kill(child, limits.signal_number)
            sent = True
        time.sleep(0.02 if limits.stop is None else 0.001)
    os.close(out)
    os.close(err)
    return Ended(status, said[out].decode(errors="replace"), said[err].decode(errors="replace"))


def _read(end: int) -> bytes:
    parts = []
    try:
        while part := os.read(end, 65536):
            parts.append(part)
    except BlockingIOError:
        pass
    return b"".join(parts)


def _child(work: Callable[[], object], folder: Path, limits: Limits, out: int, err: int) -> NoReturn:
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so would we
        with tempfile.TemporaryFile() as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), os.fdopen(1, "w"), os.fdopen(2, "w")  # noqa: SIM115
        os.chdir(folder)
        os.environ.update(limits.env)
        if limits.file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
        if limits.user is not None and os.geteuid() == 0:
            os.setgid(limits.user)
            os.setuid(limits.user)
        work()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
