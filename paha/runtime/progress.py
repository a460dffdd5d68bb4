"""Progress bars: all alike, all on stderr, so that standard output holds results alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")


def progress_bar(
    *more: ProgressColumn, enabled: bool = True, in_bytes: bool = False, console: Console | None = None
) -> Progress:
    """A bar with its description, count, time and time left. more: columns after the count. in_bytes: counts those.

    console: on stderr, which other lines go through as well while the bar is shown.
    """
    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), count, *more, *times)
    return Progress(*columns, console=console or Console(stderr=True), disable=not enabled)


def tracked(items: Iterable[Item], what: str, *, total: int, enabled: bool = True) -> Iterator[Item]:
    """The items, with a bar that counts them."""
    with progress_bar(enabled=enabled and total > 0) as bar:
        yield from bar.track(items, total=total, description=what)
