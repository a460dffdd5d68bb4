"""report.html: one file that shows a dataset: kept and rejected pictures, histograms, keypoints, PAR's coverage."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paha.config import ParConfig
from paha.dataset.manifest import load_annotations
from paha.dataset.prepare.card import rejection_table
from paha.dataset.prepare.config import PrepareConfig
from paha.dataset.prepare.scan import load_scan
from paha.dataset.prepare.sound import levels_db
from paha.media.audio_io import read_audio
from paha.media.image_io import fit_image
from paha.media.video_io import iter_video
from paha.par.statistics import ParStatistics
from paha.runtime.atomic import write_bytes
from paha.types import BODY, FACE, LEFT_HAND, RIGHT_HAND, ClipRecord

MAX_PICTURES = 24
MAX_MEASURED = 400
"""Clips that histograms and coverage are measured on, spread evenly over the dataset."""
_TITLE = "Clips of speaking people"
_THUMB = 176
_EVERY, _PAR_SIDE, _SEEN = 5, 128, 0.3
_COLOURS = {"face": (80, 220, 120), "left hand": (255, 210, 60), "right hand": (80, 200, 255), "body": (255, 90, 90)}
_REGIONS = {"face": FACE, "left hand": LEFT_HAND, "right hand": RIGHT_HAND, "body": BODY}
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1c2430}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}table{border-collapse:collapse}
td,th{padding:.2rem .9rem .2rem 0;text-align:left}td.n{text-align:right;font-variant-numeric:tabular-nums}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.8rem}figure{margin:0}
img{width:100%;border-radius:4px;display:block}figcaption{font-size:.78rem;color:#53606f;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1rem}svg{width:100%;height:auto}
.key{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin:0 .3em 0 .9em}
"""


@dataclass(frozen=True)
class Measures:
    """One number a clip. face: height over the picture's. hands, faces: mean score of the better hand and of the face.
    rate: peaks of loudness a second, near the syllables'. par: what `paha inspect --par` reports for the same clips.
    """

    length_s: list[float]
    face: list[float]
    hands: list[float]
    faces: list[float]
    rate: list[float]
    par: ParStatistics


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
    kept_s = sum(record.num_frames / record.fps for record in records)
    total_s = sum(result["seconds"] for result in results)
    parts = [
        f"<h1>{_TITLE}</h1>",
        f"<p>{len(records)} clip{'' if len(records) == 1 else 's'}, {kept_s:.1f} s kept of {total_s:.1f} s in "
        f"{len(results)} files; layout <b>{config.layout}</b>, {config.width} x {config.height}, keypoints by "
        f"<b>{config.pose}</b>. Licence: {html.escape(config.licence or 'not stated')}.</p>",
        _rejection_html(rejected),
        "<h2>Kept</h2>" + _legend() + _grid([_kept(out, record) for record in _spread(records, MAX_PICTURES)]),
        "<h2>Left out</h2>" + _grid(_left_out(out, rejected)),
        "<h2>Histograms</h2>" + _histograms(measures),
        "<h2>What PAR sees</h2>" + _coverage(measures.par),
        _failed_html(failed),
    ]
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{_TITLE}</title>"
    page += f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>"
    write_bytes(path, page.encode())


def measure(out: Path, records: Sequence[ClipRecord]) -> Measures:
    """The numbers of those clips, from their annotations and sound."""
    measures = Measures([], [], [], [], [], ParStatistics(ParConfig(), (_SEEN,)))
    for record in records:
        annotations = load_annotations(out / record.annotations)
        scores, box = annotations.keypoints.scores, annotations.face_box
        mono, _ = read_audio(out / record.audio)
        hand = np.maximum(scores[:, LEFT_HAND].mean(1), scores[:, RIGHT_HAND].mean(1))
        measures.length_s.append(record.num_frames / record.fps)
        measures.face.append(float((box[:, 3] - box[:, 1]).mean()) / record.height)
        measures.hands.append(float(hand.mean()))
        measures.faces.append(float(scores[:, FACE].mean()))
        measures.rate.append(speech_rate(levels_db(mono[:, 0], record.num_frames)))
        points = annotations.keypoints.points[::_EVERY] / np.array([record.width, record.height], np.float32)
        scale = _PAR_SIDE / min(record.width, record.height)
        size = {"height": round(record.height * scale), "width": round(record.width * scale)}
        measures.par.add(torch.from_numpy(points), torch.from_numpy(scores[::_EVERY].copy()), **size)
    return measures


def speech_rate(level_db: np.ndarray) -> float:
    """Peaks of loudness a second: near the rate of syllables. level_db: (T,) at 25 a second."""
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(level_db, prominence=3.0, height=float(level_db.max()) - 30)
    return 25 * len(peaks) / max(1, len(level_db))


def draw_keypoints(frame: np.ndarray, points: np.ndarray, scores: np.ndarray, *, threshold: float = 0.3) -> np.ndarray:
    """A copy of frame (H, W, 3) uint8 with the points (133, 2) px above the threshold as dots, coloured by region."""
    import cv2

    drawn = np.ascontiguousarray(frame)
    radius = max(1, min(frame.shape[:2]) // 140)
    for name, region in _REGIONS.items():
        for (x, y), score in zip(points[region], scores[region], strict=True):
            if score > threshold:
                cv2.circle(drawn, (round(float(x)), round(float(y))), radius, _COLOURS[name], -1, cv2.LINE_AA)
    return drawn


def histogram_svg(title: str, values: Sequence[float], *, bins: int = 20, unit: str = "") -> str:
    """A histogram as inline SVG, with its median."""
    if not values:
        return ""
    low, high = min(values), max(values)
    if high == low:
        low, high = min(0.0, 2 * low), max(2 * high, 0.0) or 1.0
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    top, width = max(1, counts.max()), 380 / bins
    bars = "".join(
        f'<rect x="{10 + k * width:.1f}" y="{150 - 110 * n / top:.1f}" width="{width - 1.5:.1f}" '
        f'height="{110 * n / top:.1f}" fill="#4a7fb5"/>'
        for k, n in enumerate(counts)
    )
    median = float(np.median(values))
    return (
        f'<svg viewBox="0 0 400 175" role="img"><text x="10" y="18" font-size="13" font-weight="600">'
        f'{html.escape(title)}</text><text x="390" y="18" font-size="11" text-anchor="end" fill="#53606f">'
        f'median {median:.2f}{unit}, n = {len(values)}</text>{bars}<line x1="10" x2="390" y1="150" y2="150" '
        f'stroke="#8a94a0"/><text x="10" y="166" font-size="11">{edges[0]:.2f}{unit}</text>'
        f'<text x="390" y="166" font-size="11" text-anchor="end">{edges[-1]:.2f}{unit}</text></svg>'
    )


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


def _grid(pictures: Sequence[tuple[bytes, str]]) -> str:
    if not pictures:
        return "<p>None.</p>"
    figures = (
        f'<figure><img alt="" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for data, caption in pictures
    )
    return f'<div class="grid">{"".join(figures)}</div>'


def _legend() -> str:
    keys = (f'<span class="key" style="background:rgb{colour}"></span>{name}' for name, colour in _COLOURS.items())
    return f"<p>One frame a clip, with the keypoints above 0.3:{''.join(keys)}</p>"


def _rejection_html(rejected: Sequence[dict[str, Any]]) -> str:
    rows = "".join(
        f'<tr><td>{reason}<td class="n">{count}<td class="n">{seconds:.1f}'
        for reason, (count, seconds) in rejection_table(rejected).items()
    )
    table = f"<table><tr><th>first reason<th>stretches<th>seconds{rows}</table>" if rows else "<p>None were.</p>"
    return f"<h2>Why seconds were left out</h2>{table}"


def _histograms(measures: Measures) -> str:
    charts = (
        histogram_svg("face height / picture height", measures.face),
        histogram_svg("hand confidence (the better hand)", measures.hands),
        histogram_svg("face confidence", measures.faces),
        histogram_svg("speech rate", measures.rate, unit=" peaks/s"),
        histogram_svg("clip length", measures.length_s, unit=" s"),
    )
    return f'<div class="charts">{"".join(charts)}</div>'


def _coverage(par: ParStatistics) -> str:
    rows = "".join(
        f"<tr><td>{'its own' if tau == 'configured' else tau}<td>{region}"
        + "".join(f'<td class="n">{_percent(getattr(stats, name))}' for name in ("frames_any", "points", "area"))
        + f'<td class="n">{"" if stats.mean_weight != stats.mean_weight else f"{stats.mean_weight:.2f}"}'
        f'<td class="n">{_percent(stats.loss_share)}'
        for tau, regions in par.result().items()
        for region, stats in regions.items()
    )
    return (
        "<p>The coverage of <code>paha inspect --par</code>: what Eq. 2 and 3 weight at the paper's thresholds (0.8) "
        f"and at {_SEEN:g}, which the field uses.</p>"
        "<table><tr><th>threshold<th>region<th>frames that have it<th>points above<th>of the picture<th>mean weight"
        f"<th>of the loss{rows}</table>"
    )


def _percent(share: float) -> str:
    return "" if share != share else f"{100 * share:.1f} %"


def _failed_html(failed: Sequence[tuple[str, str]]) -> str:
    if not failed:
        return ""
    rows = "".join(f"<tr><td>{html.escape(name)}<td>{html.escape(error)}" for name, error in failed)
    return f"<h2>Files that could not be used</h2><table><tr><th>file<th>why{rows}</table>"
