"""One setting of the guidance sweep as it lies on disk: what the scores need of all clips' frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from paha.types import LEFT_HAND, RIGHT_HAND, Keypoints

KEPT = np.r_[0:23, LEFT_HAND.start : RIGHT_HAND.stop]
"""Keypoints that are kept: body, feet and hands; of the face, its mouth opening is."""


STEPS_OF_HEIGHT = 2**15
"""Coordinates are kept in so many steps a frame height, from half a height outside: 0.004 px of 128."""


def read_setting(path: Path) -> tuple[list[Keypoints], list[np.ndarray], dict[str, np.ndarray]]:
    """(keypoints, mouth openings) by clip, and the other arrays; the face's points, not kept, have score 0."""
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files}
    ends = np.cumsum(kept["lengths"])[:-1]
    points = np.zeros((len(kept["points"]), 133, 2), np.float32)
    scores = np.zeros(points.shape[:2], np.float32)
    points[:, KEPT] = (kept.pop("points") / STEPS_OF_HEIGHT - 0.5) * float(kept["height"])
    scores[:, KEPT] = kept.pop("scores")
    parts = zip(np.split(points, ends), np.split(scores, ends), strict=True)
    mouths = np.split(kept.pop("mouth").astype(np.float64), ends)
    return [Keypoints(p, s) for p, s in parts], mouths, kept
