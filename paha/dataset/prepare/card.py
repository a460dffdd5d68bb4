"""The dataset card: what is in a dataset, how long it is, what was left out and why, and its licence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paha.dataset.prepare.config import PrepareConfig
from paha.runtime.atomic import write_bytes
from paha.runtime.pages import render_page
from paha.types import ClipRecord


def write_card(
    path: Path,
    config: PrepareConfig,
    records: Sequence[ClipRecord],
    rejected: Sequence[dict[str, Any]],
    failed: Sequence[tuple[str, str]],
) -> None:
    """Write the card as Markdown, with the metadata block that dataset hubs read."""
    from huggingface_hub import DatasetCardData

    card = DatasetCardData(
        license=config.licence or "unknown",
        language=[config.language or "und"],
        task_categories=["text-to-video"],
        tags=["co-speech gesture", "talking person"],
    )
    text = render_page(
        "dataset_card.md",
        card_data=card.to_yaml(),
        config=config,
        kept_s=sum(record.num_frames / record.fps for record in records),
        left_s=sum(item["end_s"] - item["start_s"] for item in rejected),
        identities=_by_identity(records),
        rejections=rejection_table(rejected),
        failed=failed,
    )
    write_bytes(path, text.encode())


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
