"""Markdown of the report: measured, value with its interval, what the issue wants, and whether it is so."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paha.runtime.statistics import Interval, bootstrap

Numbers = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Line:
    """A row of a table. value: a mean with its interval, a number or words. low, high: what is wanted of it, inclusive;
    neither for what is only reported."""

    measured: str
    value: Interval | float | str
    low: float | None = None
    high: float | None = None

    @property
    def wanted(self) -> str:
        """In words; empty where nothing is wanted."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return "" if self.high is None else f"at most {self.high:g}"

    @property
    def verdict(self) -> str:
        """yes or no; empty where nothing is wanted or nothing was measured."""
        number = self.value.mean if isinstance(self.value, Interval) else self.value
        if not self.wanted or isinstance(number, str) or math.isnan(number):
            return ""
        return (
            "yes" if (self.low is None or number >= self.low) and (self.high is None or number <= self.high) else "no"
        )

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        value: dict[str, Any] = {"value": self.value}
        if isinstance(self.value, Interval):
            value = {"value": self.value.mean, "interval": [self.value.low, self.value.high], "people": self.value.num}
        return {"measured": self.measured, **value, "wanted": self.wanted, "reached": self.verdict}


def mean_of(numbers: Numbers, key: str) -> Interval | str:
    """Mean over people with its interval; those that could not be measured count for nothing."""
    values = [row[key] for row in numbers.values() if math.isfinite(row[key])]
    return bootstrap(values) if values else "not measured"


def extreme_of(numbers: Numbers, key: str, pick: Callable[[list[float]], float]) -> float:
    """The worst (min, max) of a number; NaN where there is none."""
    values = [row[key] for row in numbers.values() if math.isfinite(row[key])]
    return float(pick(values)) if values else float("nan")


def count_at_least(numbers: Numbers, key: str, bar: float) -> int:
    """How many people reach the bar."""
    return int(np.sum([row[key] >= bar for row in numbers.values()]))


def markdown(lines: Sequence[Line]) -> str:
    """The table."""
    rows = ["| measured | value [95 %] (people) | wanted | reached |", "|---|---|---|---|"]
    rows += [f"| {line.measured} | {_text(line.value)} | {line.wanted} | {line.verdict} |" for line in lines]
    return "\n".join(rows)


def _text(value: Interval | float | str) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)
