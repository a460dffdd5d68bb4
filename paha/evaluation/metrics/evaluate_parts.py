"""The measuring of `paha evaluate` in parts, on a Ray cluster: they fill OUT/measured, where `evaluate` finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from paha.evaluation.metrics.clips import find_sides
from paha.evaluation.metrics.evaluate import MeasuredSet, Say, measure_set
from paha.evaluation.metrics.instruments import load_instruments
from paha.evaluation.metrics.measured import MeasurementCache
from paha.runtime.engine import run_tasks

SIDES = ("real", "generated")


def measure_in_parts(
    real: Path,
    fake: Path,
    out: Path,
    instruments: dict[str, Any],
    options: dict[str, Any],
    *,
    workers: int,
    engine: str,
    say: Say,
) -> None:
    """Measure both sets in `workers` parts; the real one first, as the generated one is held against it.

    instruments: arguments of `load_instruments`, which every part loads for itself. options: pairs, split, limit,
    ceilings and cache of `evaluate`. A clip or part that fails is left to `evaluate`, which tries it again and says
    why. Raises PahaError for an unknown engine.
    """
    folders = [path.resolve() for path in (real, fake, out)]  # workers may start in another folder
    own = {name: value.resolve() if isinstance(value, Path) else value for name, value in instruments.items()}
    options = options | {"pairs": options["pairs"] and options["pairs"].resolve()}
    for side in SIDES:
        tasks = [(side, *folders, own, options, part, workers) for part in range(workers)]
        for index, _, error in run_tasks(measure_part, tasks, workers=workers, engine=engine):
            say(f"{side}: part {index + 1} of {workers} {f'failed: {error}' if error else 'measured'}")


def measure_part(
    side: str, real: Path, fake: Path, out: Path, instruments: dict[str, Any], options: dict, part: int, every: int
) -> None:
    """Measure every `every`-th clip of one side from the `part`-th on, on one core."""
    torch.set_num_threads(1)
    tools = load_instruments(**instruments)
    sides = find_sides(real, fake, split=options["split"], pairs=options["pairs"], limit=options["limit"])
    folder = out / "measured" / side
    common: dict[str, Any] = {"workers": 1, "say": _quiet}
    if side == "real":
        cache = MeasurementCache() if options["cache"] else None
        measure_set(sides.reals[part::every], tools, folder, variants=options["ceilings"], cache=cache, **common)
        return
    against = MeasuredSet(out / "measured" / "real", sides.reals)
    measure_set(sides.fakes[part::every], tools, folder, truths=sides.truths, against=against, **common)


def _quiet(line: str) -> None:
    """Parts print nothing; `evaluate` prints once for all."""
