"""The error of the pose extractor: what it reads, against exact keypoints where those are known."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from paha.dataset.manifest import load_annotations
from paha.evaluation.metrics.clips import Clip
from paha.evaluation.metrics.frechet import GaussianStats, frechet_distance
from paha.evaluation.metrics.gestures import gesture_features
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.keypoints import MIN_SCORE
from paha.evaluation.metrics.measured import Measured
from paha.runtime.statistics import lip_r


def extractor_error(clips: Iterable[tuple[Clip, Measured]], instruments: Instruments) -> dict[str, float] | None:
    """How wrong the pose extractor is on the measured clips whose exact keypoints are known; None where none is.

    points_px: median distance of points with a true confidence above 0.3, mean over clips. lip_r: of the read mouth to
    the rig's. fgd: distance between the gestures as read and as they are, which no method can be expected to go below.
    """
    if instruments.pose is None:
        return None
    distances: list[float] = []
    lips: list[float] = []
    read, exact = (None, None) if instruments.autoencoder is None else (_stats(instruments), _stats(instruments))
    for clip, made in clips:
        if clip.annotations is None:
            continue
        truth = load_annotations(clip.annotations)
        length = min(len(made.mouth), len(truth.face_box))
        points, seen = truth.keypoints.points[:length], truth.keypoints.scores[:length] >= MIN_SCORE
        distances.append(float(np.median(np.linalg.norm(made.keypoints.points[:length] - points, axis=-1)[seen])))
        if "mouth_open" in truth.rig:
            lips.append(lip_r(made.mouth[:length], truth.rig["mouth_open"][:length]))
        if read is not None and exact is not None and instruments.autoencoder is not None:
            read.update(gesture_features(instruments.autoencoder, made.keypoints))
            exact.update(gesture_features(instruments.autoencoder, truth.keypoints))
    if not distances:
        return None
    found = {"points_px": float(np.mean(distances))} | ({"lip_r": float(np.mean(lips))} if lips else {})
    if read is not None and exact is not None and min(read.num, exact.num) > 1:
        found["fgd"] = frechet_distance(read, exact)
    return found


def _stats(instruments: Instruments) -> GaussianStats:
    assert instruments.autoencoder is not None
    return GaussianStats.empty(instruments.autoencoder.config["latent_dim"])
