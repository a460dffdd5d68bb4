"""The dataset card: what is in a dataset, how long it is, what was left out and why, and its licence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paha.dataset.prepare.config import PrepareConfig
from paha.runtime.atomic import write_bytes
from paha.types import ClipRecord


def write_card(
    path: Path,
    config: PrepareConfig,
    records: Sequence[ClipRecord],
    rejected: Sequence[dict[str, Any]],
    failed: Sequence[tuple[str, str]],
) -> None:
    """Write the card as Markdown, with the metadata block that dataset hubs read."""
    kept_s = sum(record.num_frames / record.fps for record in records)
    left_s = sum(item["end_s"] - item["start_s"] for item in rejected)
    identities = _by_identity(records)
    lines = [
        "---",
        f"license: {config.licence or 'unknown'}",
        f"language: [{config.language or 'und'}]",
        "task_categories: [text-to-video]",
        "tags: [co-speech gesture, talking person]",
        "---",
        "",
        "# Clips of speaking people, cut by `paha prepare`",
        "",
        f"Layout `{config.layout}`: {config.width} x {config.height} pixels, 25 frames a second, clips of "
        f"{config.min_s:g} to {config.max_s:g} s, 16 kHz mono WAV beside the sound in the video"
        f"{f' at {config.sound_rate_hz} Hz' if config.sound_rate_hz else ''}; 133 keypoints by `{config.pose}`.",
        "",
        f"**Licence:** {config.licence or 'not stated: find out before anybody else gets these clips'}.",
        "",
        "| | clips | seconds |",
        "|---|---|---|",
        f"| kept | {len(records)} | {kept_s:.1f} |",
        f"| left out | | {left_s:.1f} |",
        *(f"| {name} | {count} | {seconds:.1f} |" for name, (count, seconds) in identities.items()),
        "",
        "Left out, by the first reason:",
        "",
        "| reason | stretches | seconds |",
        "|---|---|---|",
        *(f"| {reason} | {count} | {seconds:.1f} |" for reason, (count, seconds) in rejection_table(rejected).items()),
        "",
        f"Files that could not be used: {len(failed)}{'' if failed else '.'}",
        *(f"- {name}: {error}" for name, error in failed),
        "",
    ]
    write_bytes(path, "\n".join(lines).encode())


def rejection_table(rejected: Sequence[dict[str, Any]]) -> dict[str, tuple[int, float]]:
    """reason -> (how many stretches, seconds), the longest first."""
    count, seconds = Counter[str](), defaultdict(float)
    for item in rejected:
        count[item["reason"]] += 1
        seconds[item["reason"]] += item["end_s"] - item["start_s"]
    return {reason: (count[reason], seconds[reason]) for reason in sorted(seconds, key=lambda r: (-seconds[r], r))}


def _by_identity(records: Sequence[ClipRecord]) -> dict[str, tuple[int, float]]:
    table: dict[str, tuple[int, float]] = {}
    for record in records:
        count, seconds = table.get(record.identity, (0, 0.0))
        table[record.identity] = (count + 1, seconds + record.num_frames / record.fps)
    return dict(sorted(table.items()))
