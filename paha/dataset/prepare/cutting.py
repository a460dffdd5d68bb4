"""From faults to clips: which stretches are kept, how they are divided, and the reason for every one that is not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paha.dataset.prepare.config import PrepareConfig
from paha.dataset.prepare.crop import Crop, find_crop
from paha.dataset.prepare.filters import Fault, find_faults, runs
from paha.dataset.prepare.scan import Scan
from paha.types import FPS

TOO_SHORT, LOW_RESOLUTION, NOT_LISTED = "too_short", "low_resolution", "not_listed"
REASONS_OF_CUTTING = (TOO_SHORT, LOW_RESOLUTION, NOT_LISTED)
"""Reasons that filters do not give: what is left is shorter than a clip; the person's crop would have to be enlarged
too much; a list of intervals was given and this is in none."""


@dataclass(frozen=True)
class Listed:
    """A stretch that a published list names: seconds, and whose it is. clip_id: the name of its clip."""

    clip_id: str
    identity: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Cut:
    """A clip to be made: frames start .. stop - 1 at 25 a second, and the part of the picture."""

    start: int
    stop: int
    crop: Crop
    listed: Listed | None = None


@dataclass(frozen=True)
class Rejected:
    """A stretch that was left out, why, the worst that was measured in it, and the limit. also: further reasons."""

    start_s: float
    end_s: float
    reason: str
    value: float
    limit: float
    also: tuple[str, ...] = ()


def plan_cuts(scan: Scan, config: PrepareConfig, listed: Sequence[Listed] = ()) -> tuple[list[Cut], list[Rejected]]:
    """The clips of a scanned file and everything else: together they cover every frame exactly once.

    listed: only these stretches become clips, each one clip.
    """
    faults = find_faults(scan, config)
    if listed:
        faults.append(_not_listed(scan, listed))
    bad = np.stack([fault.is_bad for fault in faults])
    good: np.ndarray = np.logical_not(np.any(bad, axis=0))
    cuts: list[Cut] = []
    rejected = _rejected(faults, bad)
    for start, stop in runs(good):
        for a, b, interval in _pieces(start, stop, config, listed):
            if b - a < _min_frames(config):
                rejected.append(Rejected(a / FPS, b / FPS, TOO_SHORT, (b - a) / FPS, config.min_s))
                continue
            crop, upscale = find_crop(scan, a, b, config, speaker=interval.identity if interval else "")
            if upscale > config.max_upscale:
                rejected.append(Rejected(a / FPS, b / FPS, LOW_RESOLUTION, upscale, config.max_upscale))
            else:
                cuts.append(Cut(a, b, crop, interval))
    return cuts, sorted(rejected, key=lambda r: r.start_s)


def divide(start: int, stop: int, config: PrepareConfig) -> list[tuple[int, int]]:
    """A clean run in pieces of at most `max_s`, as equal as can be; or of exactly `exact_frames`, and the rest."""
    if config.exact_frames is not None:
        edges = [*range(start, stop, config.exact_frames), stop]
    else:
        count = max(1, math.ceil((stop - start) / (config.max_s * FPS)))
        edges = np.linspace(start, stop, count + 1).round().astype(int).tolist()
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]


def _min_frames(config: PrepareConfig) -> int:
    return config.exact_frames or math.ceil(config.min_s * FPS)


def _pieces(
    start: int, stop: int, config: PrepareConfig, listed: Sequence[Listed]
) -> list[tuple[int, int, Listed | None]]:
    if not listed:
        return [(a, b, None) for a, b in divide(start, stop, config)]
    pieces: list[tuple[int, int, Listed | None]] = []
    position = start
    for interval in sorted(listed, key=lambda item: item.start_s):
        a, b = max(position, _frame(interval.start_s)), min(stop, _frame(interval.end_s))
        if b > a:
            longest = min(b, a + int(config.max_s * FPS))
            pieces.append((a, longest, interval))
            if longest < b:
                pieces.append((longest, b, None) if b - longest < _min_frames(config) else (longest, b, interval))
            position = b
    # Two clips of one interval cannot have its one name: the first one keeps it.
    named: set[str] = set()
    return [(a, b, _once(interval, named)) for a, b, interval in pieces]


def _once(interval: Listed | None, named: set[str]) -> Listed | None:
    if interval is None or interval.clip_id in named:
        return None
    named.add(interval.clip_id)
    return interval


def _frame(seconds: float) -> int:
    return round(seconds * FPS)


def _not_listed(scan: Scan, listed: Sequence[Listed]) -> Fault:
    outside = np.ones(scan.num_frames, bool)
    for interval in listed:
        outside[_frame(interval.start_s) : _frame(interval.end_s)] = False
    return Fault(NOT_LISTED, outside, outside.astype(np.float32), 0.0)


def _rejected(faults: Sequence[Fault], bad: np.ndarray) -> list[Rejected]:
    """Runs of frames with the same first fault, cut where the set of faults behind it changes nothing."""
    first = np.where(bad.any(0), bad.argmax(0), -1)
    edges = np.flatnonzero(np.diff(first, prepend=-2, append=-2))
    stretches = []
    for start, stop in itertools.pairwise(edges):
        if first[start] < 0:
            continue
        fault = faults[int(first[start])]
        values = fault.value[start:stop]
        worst = float(values[np.abs(values - fault.limit).argmax()])
        also = tuple(f.reason for f, b in zip(faults, bad, strict=True) if f is not fault and b[start:stop].any())
        limit = float(fault.limit)
        stretches.append(Rejected(int(start) / FPS, int(stop) / FPS, fault.reason, round(worst, 4), limit, also))
    return stretches
