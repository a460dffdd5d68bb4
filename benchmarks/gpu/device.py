"""What a table of speeds is made with: the device and its rates, timing, and rows that are kept as they come."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import typer

from paha.runtime.atomic import write_bytes

MANY_SECONDS = 2.0
"""A measure that has taken so long is not repeated."""


@dataclass(frozen=True)
class Reading:
    """One cell of the table. seconds: the median. share: of the device's matrix rate. peak_gb: of torch's memory, the
    networks included. ratio: to what the row's name says, in the same run. per_second: how many things a second.
    """

    seconds: float | None = None
    tflops: float | None = None
    share: float | None = None
    peak_gb: float | None = None
    ratio: float | None = None
    per_second: float | None = None
    note: str = ""

    @property
    def text(self) -> str:
        """As it stands in the table."""
        parts = {
            "seconds": lambda s: f"{1000 * s:.1f} ms" if s < 1 else f"{s:.2f} s",
            "tflops": lambda x: f"{x:.3g} TFLOP/s",
            "share": lambda x: f"{x:.0%}",
            "peak_gb": lambda x: f"{x:.1f} GB",
            "ratio": lambda x: f"{x:.2f} x",
            "per_second": lambda x: f"{x:.3g} a second",
            "note": str,
        }
        return ", ".join(
            show(value) for name, show in parts.items() if (value := getattr(self, name)) not in (None, "")
        )


class Bench:
    """The device, the type of its networks, its measured rates, and the time that is left."""

    def __init__(self, device: torch.device, *, seconds: float, dtype: torch.dtype | None = None) -> None:
        self.device = device
        self.gpu = device.type == "cuda"
        self.dtype = dtype or (torch.bfloat16 if self.gpu else torch.float32)
        self.deadline = time.monotonic() + seconds
        self.tflops = self._matrix_tflops()
        self.bandwidth_gb = self._bandwidth_gb()

    @property
    def name(self) -> str:
        """The device, in words."""
        return torch.cuda.get_device_name(self.device) if self.gpu else f"CPU, {torch.get_num_threads()} threads"

    @property
    def left(self) -> float:
        """Seconds until the budget is out."""
        return self.deadline - time.monotonic()

    def _matrix_tflops(self) -> float:
        """TFLOP/s of one large matrix product in the networks' type."""
        n = 8192 if self.gpu else 512
        a = torch.randn(n, n, device=self.device, dtype=self.dtype)
        return 2 * n**3 / self.median(lambda: a @ a, repeats=7)[0] / 1e12

    def _bandwidth_gb(self) -> float:
        """GB/s of a large copy, reading and writing."""
        a = torch.empty(2**30 if self.gpu else 2**22, device=self.device, dtype=torch.uint8)
        b = torch.empty_like(a)
        return 2 * a.numel() / self.median(lambda: b.copy_(a), repeats=7)[0] / 1e9

    def timed(self, compute: Callable[[], object]) -> float:
        """Seconds of one call, the device waited for."""
        self.wait()
        begin = time.perf_counter()
        compute()
        self.wait()
        return time.perf_counter() - begin

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.gpu:
            torch.cuda.synchronize(self.device)

    def median(self, compute: Callable[[], object], *, repeats: int = 5) -> tuple[float, float | None]:
        """(median seconds after one call to warm up, peak GB of torch's memory); fewer calls where one takes long."""
        self.timed(compute)
        if self.gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        seconds = [self.timed(compute)]
        while len(seconds) < repeats and sum(seconds) < MANY_SECONDS and self.left > 0:
            seconds.append(self.timed(compute))
        peak = torch.cuda.max_memory_allocated(self.device) / 1e9 if self.gpu else None
        return statistics.median(seconds), peak

    def reading(
        self, compute: Callable[[], object], *, flops: float | None = None, items: int | None = None
    ) -> Reading:
        """Time, rate, share of the matrix rate and peak memory of a call; items: of which the rate a second is told."""
        seconds, peak = self.median(compute)
        tflops = None if flops is None else flops / seconds / 1e12
        share = None if tflops is None else tflops / self.tflops
        return Reading(seconds, tflops, share, peak, per_second=None if items is None else items / seconds)


class Table:
    """Readings by case and measure; each is printed, and written to `json_path`, at once."""

    def __init__(self, facts: dict[str, object], *, json_path: Path | None = None) -> None:
        self.facts, self.json_path = facts, json_path
        self.columns: dict[str, dict[str, Reading]] = {}

    def add(self, case: str, measure: str, reading: Reading) -> None:
        """Keep and show one reading."""
        self.columns.setdefault(case, {})[measure] = reading
        typer.echo(f"| {case} | {measure} | {reading.text} |")
        self.write()

    def run(self, case: str, name: str, part: Callable[[], Iterator[tuple[str, Reading]]], bench: Bench) -> None:
        """All rows of a part; what does not fit, fails or has no time left says so."""
        free()
        if bench.left <= 0:
            return self.add(case, f"({name})", Reading(note="no time left"))
        rows = part()
        try:
            for measure, reading in rows:
                self.add(case, measure, reading)
                if bench.left <= 0:
                    self.add(case, f"({name}, the rest)", Reading(note="no time left"))
                    break
        except torch.OutOfMemoryError:
            self.add(case, f"({name})", Reading(note="out of memory"))
        except (RuntimeError, TypeError, ValueError) as error:  # one row's failure must not cost the others
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self.add(case, f"({name})", Reading(note=f"failed: {reason[:200]}"))
        finally:
            rows.close()  # type: ignore[attr-defined]

    def write(self) -> None:
        """The JSON file, so far."""
        if self.json_path is None:
            return
        rows = {
            case: {measure: _told(reading) for measure, reading in column.items()}
            for case, column in self.columns.items()
        }
        write_bytes(self.json_path, (json.dumps(self.facts | {"cases": rows}, indent=1) + "\n").encode())

    def markdown(self) -> str:
        """A measure a row, a case a column."""
        names = list(dict.fromkeys(name for rows in self.columns.values() for name in rows))
        lines = ["| | " + " | ".join(self.columns) + " |", "|---" * (len(self.columns) + 1) + "|"]
        for name in names:
            cells = [rows[name].text if name in rows else "" for rows in self.columns.values()]
            lines.append("| " + " | ".join([name, *cells]) + " |")
        return "\n".join(lines)


def _told(reading: Reading) -> dict[str, object]:
    return {name: value for name, value in asdict(reading).items() if value not in (None, "")}


def free() -> None:
    """Give freed memory back."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
