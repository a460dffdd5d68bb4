"""Scans made up by hand, for the filters and for cutting."""

import numpy as np

from paha.dataset.prepare.scan import Scan
from paha.types import FACE, FPS, LEFT_HAND

BOX = np.array([140, 60, 180, 110], np.float32)


def toy_scan(seconds: float = 12.0, **changes) -> Scan:
    """320 x 240, one person of whom nothing is wrong: face in the middle, shoulders, elbows and a hand, speaking."""
    count, stride = round(seconds * FPS), 5
    at = np.arange(0, count, stride)
    rng = np.random.default_rng(0)
    points = np.zeros((len(at), 133, 2), np.float32)
    scores = np.zeros((len(at), 133), np.float32)
    points[:, FACE] = rng.uniform(BOX[:2], BOX[2:], (68, 2))
    points[:, [23, 39, 53]] = [[140, 85], [180, 85], [160, 88]]  # ears and the nose's tip
    points[:, 5:9] = [[200, 140], [120, 140], [210, 190], [110, 190]]
    points[:, LEFT_HAND] = [190, 180]
    scores[:, FACE] = scores[:, 5:9] = scores[:, LEFT_HAND] = 0.9
    # 0.3 s of speech, 0.1 s of pause, again and again
    level = np.where(np.arange(count) % 10 < 7, -20.0, -45.0).astype(np.float32)
    values = {
        "luma": np.full(count, 120, np.float32),
        "motion": np.full(count, 3, np.float32),
        "is_cut": np.zeros(count, bool),
        "at": at,
        "bars": np.zeros((len(at), 4), np.float32),
        "points": points,
        "scores": scores,
        "face_box": np.tile(BOX, (len(at), 1)),
        "mouth": (np.arange(len(at)) % 3 * 0.2).astype(np.float32),
        "other_face": np.zeros(len(at), np.float32),
        "level_db": level,
        "clipped": np.zeros(count, np.float32),
        "size": np.array([320, 240, 25_000]),
        "thumbs": np.zeros(0, np.uint8),
        "thumb_ends": np.zeros(0, np.int64),
    }
    return Scan(**(values | changes))
