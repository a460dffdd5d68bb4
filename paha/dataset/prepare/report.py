"""report.html: one file that shows a dataset: kept and rejected pictures, histograms, keypoints, PAR's coverage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paha.dataset.manifest import load_annotations
from paha.dataset.prepare.card import rejection_table
from paha.dataset.prepare.config import PrepareConfig
from paha.dataset.prepare.measures import SEEN, histograms, measure
from paha.dataset.prepare.scan import load_scan
from paha.media.image_io import fit_image
from paha.media.video_io import iter_video
from paha.runtime.atomic import write_bytes
from paha.runtime.pages import render_page
from paha.types import BODY, FACE, LEFT_HAND, RIGHT_HAND, ClipRecord

MAX_PICTURES = 24
MAX_MEASURED = 400
"""Clips that histograms and coverage are measured on, spread evenly over the dataset."""
_THUMB = 176
_COLOURS = {"face": (80, 220, 120), "left hand": (255, 210, 60), "right hand": (80, 200, 255), "body": (255, 90, 90)}
_REGIONS = {"face": FACE, "left hand": LEFT_HAND, "right hand": RIGHT_HAND, "body": BODY}


def write_report(
    path: Path,
    config: PrepareConfig,
    out: Path,
    results: Sequence[dict[str, Any]],
    failed: Sequence[tuple[str, str]],
) -> None:
    """Write the report of a dataset folder. The same dataset gives the same report, to the byte."""
    records = [ClipRecord.model_validate(clip) for result in results for clip in result["clips"]]
    rejected = [{**item, **{k: r[k] for k in ("source", "source_id")}} for r in results for item in r["rejected"]]
    measures = measure(out, _spread(records, MAX_MEASURED))
    page = render_page(
        "dataset_report.html",
        config=config,
        num_clips=len(records),
        num_files=len(results),
        kept_s=sum(record.num_frames / record.fps for record in records),
        total_s=sum(result["seconds"] for result in results),
        rejections=rejection_table(rejected),
        colours=_COLOURS,
        kept=[_kept(out, record) for record in _spread(records, MAX_PICTURES)],
        left_out=_left_out(out, rejected),
        histograms=histograms(measures),
        coverage=measures.par.result(),
        seen=SEEN,
        failed=failed,
    )
    write_bytes(path, page.encode())


def draw_keypoints(frame: np.ndarray, points: np.ndarray, scores: np.ndarray, *, threshold: float = SEEN) -> np.ndarray:
    """A copy of frame (H, W, 3) uint8 with the points (133, 2) px above the threshold as dots, coloured by region."""
    import cv2

    drawn = np.ascontiguousarray(frame)
    radius = max(1, min(frame.shape[:2]) // 140)
    for name, region in _REGIONS.items():
        for (x, y), score in zip(points[region], scores[region], strict=True):
            if score > threshold:
                cv2.circle(drawn, (round(float(x)), round(float(y))), radius, _COLOURS[name], -1, cv2.LINE_AA)
    return drawn


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    chosen = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).astype(int)) if items else []
    return [items[k] for k in chosen]


def _kept(out: Path, record: ClipRecord) -> tuple[bytes, str]:
    annotations = load_annotations(out / record.annotations)
    middle = record.num_frames // 2
    for number, frame in enumerate(iter_video(out / record.video)):
        if number == middle:
            points, scores = annotations.keypoints.points[middle], annotations.keypoints.scores[middle]
            picture = draw_keypoints(frame, points, scores)
            return _jpeg(picture), f"{record.source}, {record.identity}"
    return b"", record.clip_id


def _left_out(out: Path, rejected: Sequence[dict[str, Any]]) -> list[tuple[bytes, str]]:
    """The longest stretches of every reason, a reason at a time."""
    by_reason = {reason: [r for r in rejected if r["reason"] == reason] for reason in rejection_table(rejected)}
    pictures = []
    for items in by_reason.values():
        items = sorted(items, key=lambda r: (r["start_s"] - r["end_s"], r["source"], r["start_s"]))
        for item in items[: max(1, MAX_PICTURES // max(1, len(by_reason)))]:
            scan = load_scan(out / "sources" / f"{item['source_id']}.safetensors")
            if scan is not None:
                thumb = scan.thumb(int((item["start_s"] + item["end_s"]) / 2))
                where = f"{item['source']} {item['start_s']:.2f}-{item['end_s']:.2f} s"
                also = f", also {', '.join(item['also'])}" if item["also"] else ""
                why = f"{item['reason']}: {item['value']:.3g} (limit {item['limit']:g}){also}"
                pictures.append((thumb, f"{why}; {where}"))
    return pictures


def _jpeg(picture: np.ndarray) -> bytes:
    import cv2

    height, width = picture.shape[:2]
    small = fit_image(picture, width=2 * _THUMB, height=round(2 * _THUMB * height / width))
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
