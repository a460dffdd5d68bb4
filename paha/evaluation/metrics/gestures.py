"""Gestures as a distribution: windows of bone directions, their latents (FGD) and their Diversity (B.5).

Legend: T frames, K keypoints, N windows, D pose width, L latent width.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paha.errors import PahaError
from paha.evaluation.metrics.keypoints import MIN_SCORE, fill_unseen, resample
from paha.runtime.statistics import Interval
from paha.types import FPS, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND, Keypoints

if TYPE_CHECKING:
    from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder  # brings torch, seconds of start-up

SHIPPED_AUTOENCODER = Path(__file__).parents[2] / "assets" / "pose_autoencoder"
MID_SHOULDER = NUM_KEYPOINTS
"""Index of the point between the shoulders, appended to the 133."""


def _hand_bones(start: int) -> list[tuple[int, int]]:
    fingers = [[start, *range(start + 4 * i + 1, start + 4 * i + 5)] for i in range(5)]
    return [bone for finger in fingers for bone in pairwise(finger)]


BONES = np.array(
    [(MID_SHOULDER, 0), (MID_SHOULDER, 5), (MID_SHOULDER, 6), (5, 7), (7, 9), (6, 8), (8, 10)]
    + _hand_bones(LEFT_HAND.start)
    + _hand_bones(RIGHT_HAND.start)
)
"""Head, shoulders, arms and 20 bones a hand: 47 pairs of points, from the root outwards."""
POSE_DIM = 2 * len(BONES)
MAX_SAMPLES = 1000
"""Windows of which Diversity takes all pairs: 500 against 500 in the published code."""


def bone_directions(keypoints: Keypoints, *, min_score: float = MIN_SCORE) -> np.ndarray:
    """Unit vectors (T, 94) of the 47 bones, x then y of each: where the person is and how large does not count.

    Gaps are filled in time; a bone with an end that is never seen is (0, 0) throughout.
    """
    points, seen = fill_unseen(keypoints.points, keypoints.scores, min_score=min_score)
    middle, both = (points[:, 5] + points[:, 6]) / 2, seen[5] & seen[6]
    points = np.concatenate([points, middle[:, None]], 1)
    seen = np.append(seen, both)
    bones = points[:, BONES[:, 1]] - points[:, BONES[:, 0]]
    length = np.linalg.norm(bones, axis=-1, keepdims=True)
    directions = np.where(length > 1e-6, bones / np.maximum(length, 1e-6), 0)
    directions[:, ~(seen[BONES[:, 0]] & seen[BONES[:, 1]])] = 0
    return directions.reshape(len(directions), -1)


def pose_windows(
    keypoints: Keypoints,
    *,
    fps: float = FPS,
    window_fps: float = 15.0,
    num_frames: int = 34,
    stride: int = 10,
    min_score: float = MIN_SCORE,
) -> np.ndarray:
    """Windows (N, num_frames, 94) of bone directions of a clip, resampled to `window_fps`; N is 0 for a short clip.

    The points are resampled, not the directions, so that these stay unit vectors.
    """
    points = resample(
        fill_unseen(keypoints.points, keypoints.scores, min_score=min_score)[0], fps=fps, to_fps=window_fps
    )
    # Seen or not is a matter of the clip; the scores only carry it over to the new clock.
    seen = np.tile(keypoints.scores.max(0), (len(points), 1))
    poses = bone_directions(Keypoints(points.astype(np.float32), seen), min_score=min_score)
    starts = range(0, len(poses) - num_frames + 1, stride)
    windows = [poses[start : start + num_frames] for start in starts]
    return np.stack(windows).astype(np.float32) if windows else np.zeros((0, num_frames, poses.shape[1]), np.float32)


def gesture_features(autoencoder: PoseAutoencoder, keypoints: Keypoints, *, fps: float = FPS) -> np.ndarray:
    """Latent vectors (N, L) of a clip's windows, at the autoencoder's own clock, length and stride."""
    config = autoencoder.config
    windows = pose_windows(
        keypoints,
        fps=fps,
        window_fps=config["fps"],
        num_frames=config["num_frames"],
        stride=config["stride"],
        min_score=config["min_score"],
    )
    return autoencoder.encode(windows)


def min_seconds(autoencoder: PoseAutoencoder) -> float:
    """Length of the shortest clip that holds one window."""
    return autoencoder.config["num_frames"] / autoencoder.config["fps"]


def load_autoencoder(folder: Path | None = None) -> PoseAutoencoder:
    """The autoencoder of a folder, by default the one shipped for presenters. Raises PahaError where it is none."""
    from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder
    from paha.univdm.pretrained import load_part

    folder = folder or SHIPPED_AUTOENCODER
    if not (folder / "config.json").is_file():
        raise PahaError(f"no pose autoencoder in {folder}; train one with `paha train pose-autoencoder --data DATASET`")
    return load_part(PoseAutoencoder, folder, remedy="train it again with `paha train pose-autoencoder`")


class Diversity:
    """Mean distance between the latents of a set's windows, L1 and L2, over a sample of fixed size.

    L1 is the sum of absolute differences over the latent's dimensions, as HA2G's code computes it; L2 the Euclidean
    distance. From the windows as they come a uniform sample of at most `max_samples` is kept (reservoir sampling with a
    fixed seed), and the mean runs over all pairs of different windows in it. The published code pairs 500 *batches*
    with 500 others at random, which may pair a batch with itself.
    """

    def __init__(self, *, max_samples: int = MAX_SAMPLES, seed: int = 0) -> None:
        self.max_samples = max_samples
        self._rng = np.random.default_rng(seed)
        self._kept: list[np.ndarray] = []
        self._clips: list[int] = []
        self._seen = self.clips = 0

    def add(self, features_NL: np.ndarray) -> None:
        """Add the windows of one clip."""
        for feature in features_NL:
            self._seen += 1
            if len(self._kept) < self.max_samples:
                self._kept.append(np.asarray(feature, np.float64))
                self._clips.append(self.clips)
            elif (place := int(self._rng.integers(self._seen))) < self.max_samples:
                self._kept[place], self._clips[place] = np.asarray(feature, np.float64), self.clips
        self.clips += bool(len(features_NL))

    def interval(self, norm: int, *, replicates: int = 200) -> Interval | None:
        """The mean over pairs with a bootstrap 95 % interval over clips. norm: 1 or 2. None with fewer than two
        windows."""
        if len(self._kept) < 2:
            return None
        distance = pair_distances(np.stack(self._kept), norm=norm)
        clips = np.asarray(self._clips)
        weights = self._rng.spawn(1)[0].poisson(1.0, (replicates, self.clips)).astype(np.float64)[:, clips]
        value = distance.sum() / (len(clips) * (len(clips) - 1))
        pairs = weights.sum(1) ** 2 - np.square(weights).sum(1)
        totals = np.einsum("bi,ij,bj->b", weights, distance, weights, optimize=True)
        drawn = totals[pairs > 0] / pairs[pairs > 0]
        low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (value, value)
        return Interval(float(value), float(min(low, value)), float(max(high, value)), self.clips)


def pair_distances(features_NL: np.ndarray, *, norm: int) -> np.ndarray:
    """Distances (N, N) between all rows; norm 1 (sum of absolute differences) or 2 (Euclidean)."""
    from scipy.spatial.distance import cdist

    return cdist(features_NL, features_NL, "cityblock" if norm == 1 else "euclidean")
