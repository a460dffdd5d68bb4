"""What a run reports: one status line (rich), one machine-readable stream (stats.jsonl), TensorBoard where it is
installed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import TextColumn

from paha.runtime.atomic import write_bytes
from paha.runtime.progress import progress_bar

CONSOLE = Console(stderr=True)


def say(message: str) -> None:
    """One line for the person at the terminal."""
    CONSOLE.print(message, markup=False, highlight=False, soft_wrap=True)


class Report:
    """Progress bar, `OUT/stats.jsonl` and `OUT/tensorboard` of one run; a context manager.

    start: completed steps that the run goes on from; later lines of an earlier part of the run are removed.
    """

    def __init__(self, out: Path, *, name: str, start: int, total: int, progress: bool) -> None:
        truncate_stats(out / "stats.jsonl", start)
        self._file = (out / "stats.jsonl").open("a", encoding="utf-8")
        self._board = _summary_writer(out / "tensorboard", start)
        self._progress = progress_bar(TextColumn("{task.fields[loss]}"), enabled=progress, console=CONSOLE)
        self._task = self._progress.add_task(name, total=total, completed=start, loss="")

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Report one step. Non-finite scalars are stored as null."""
        record = {"step": step} | {k: (v if math.isfinite(v) else None) for k, v in scalars.items()}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        for key, value in scalars.items() if self._board else ():
            self._board.add_scalar(key, value, step)
        self._progress.update(self._task, completed=step, loss=f"loss {scalars['loss']:.4f}")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()
        self._file.close()
        if self._board:
            self._board.close()


def truncate_stats(path: Path, step: int) -> None:
    """Keep the whole lines of stats.jsonl up to `step`: later ones are computed again, a half one was cut by a kill."""
    if not path.exists():
        return
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) in range(1, step + 1)]
    write_bytes(path, "".join(line + "\n" for line in kept).encode())


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return -1


def _summary_writer(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        say("no TensorBoard log: install the extra with  pip install 'paha[train]'")
        return None
    return SummaryWriter(str(folder), purge_step=start + 1 if start else None)
