"""The presence check on raw footage: scores of parts that are not present become 0 before the filters look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from paha.dataset.prepare.filters import shots
from paha.dataset.prepare.scan import Scan
from paha.extractors.presence import PARTS, PartFeatures, absent, without
from paha.media.video_io import iter_video


def check_presence(scan: Scan, path: Path, features: PartFeatures, *, limit: float) -> Scan:
    """The scan of a raw file without the parts that are not present (`paha.extractors.presence`), shot by shot.

    One more pass over the file, for its scanned frames alone.
    """
    at = {int(number): place for place, number in enumerate(scan.at)}
    seen = [
        features.of_frame(frame, scan.points[at[number]], scan.scores[at[number]])
        for number, frame in enumerate(iter_video(path))
        if number in at
    ]
    is_absent = np.zeros((len(scan.at), len(PARTS)), bool)
    for shot in shots(scan):
        inside = (scan.at >= shot.start) & (scan.at < shot.stop)
        is_absent[inside] = absent(np.stack(seen)[inside], limit=limit)
    return replace(scan, scores=without(scan.scores, is_absent))
