"""Whether the parts that keypoints claim are really there: DINOv2 features of their regions (Appendix C).

The paper "employ[s] DINO v2 to assist with body part detection" and says no more. Our reading: a part is present in a
frame where the keypoints find it *and* its region looks like itself, that is, where the cosine similarity between the
region's features in this frame and their mean over the clip's frames reaches a limit. A detector that slips from a hand
to a sleeve, or puts a face onto a curtain, claims a part whose features jump. What is not present gets scores of 0, so
that the filters and PAR see it as not found. A part that slips in most frames of a clip is not noticed.

Legend: T frames, P parts, D feature width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from paha.extractors.choose import PoseExtractor
from paha.extractors.pose import PoseTrack
from paha.extractors.pretrained import load_pretrained
from paha.extractors.weights import model_folder
from paha.types import FACE, LEFT_HAND, RIGHT_HAND, Keypoints

PARTS = {"face": FACE, "left_hand": LEFT_HAND, "right_hand": RIGHT_HAND, "body": slice(5, 13)}
"""Keypoints of each part; the body's are shoulders to hips, as in Eq. 3's rectangle."""
_FOUND = 0.3
_GROW = 1.2
"""Side of a part's square over the longer side of its points' extent."""
_PATCHES = 8
"""Patches a side that a part is looked at with."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PartFeatures:
    """DINOv2's patch features of body parts. Use `load`."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.side = _PATCHES * int(model.config.patch_size)

    @classmethod
    def load(cls, name: str) -> PartFeatures:
        """One of `paha.extractors.weights.DINOV2`. Raises PahaError where its folder is missing or damaged."""
        return cls(load_pretrained("Dinov2Model", model_folder(name), remedy="copy the folder again"))

    @torch.no_grad()
    def of_frame(self, frame: np.ndarray, points: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """(P, D) float32: the mean patch feature of every part of a frame (H, W, 3) uint8; NaN where it is not found.

        points: (133, 2) px. scores: (133,).
        """
        squares = [part_square(frame, points[part], scores[part]) for part in PARTS.values()]
        features = np.full((len(PARTS), int(self.model.config.hidden_size)), np.nan, np.float32)
        found = [k for k, square in enumerate(squares) if square is not None]
        if found:
            pixels = torch.cat([self._pixels(square) for square in squares if square is not None])
            tokens = self.model(pixels).last_hidden_state[:, 1:]  # the first one stands for the whole picture
            features[found] = tokens.mean(1).float().numpy()
        return features

    def _pixels(self, square: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255
        x = F.interpolate(x, (self.side, self.side), mode="bicubic", antialias=True, align_corners=False)
        mean, std = (torch.tensor(values)[:, None, None] for values in (_MEAN, _STD))
        return (x.clamp(0, 1) - mean) / std


class PresentPose:
    """A pose extractor's answer, less the parts that are not present."""

    def __init__(self, extractor: PoseExtractor, features: PartFeatures, *, limit: float) -> None:
        self.extractor, self.features, self.limit = extractor, features, limit

    def detect(self, frames: np.ndarray) -> PoseTrack:
        """Pose of one clip's frames (T, H, W, 3) uint8, in their pixels."""
        track = self.extractor.detect(frames)
        points, scores = track.keypoints.points, track.keypoints.scores
        seen = np.stack([self.features.of_frame(*one) for one in zip(frames, points, scores, strict=True)])
        return replace(track, keypoints=Keypoints(points, without(scores, absent(seen, limit=self.limit))))


def part_square(frame: np.ndarray, points: np.ndarray, scores: np.ndarray) -> np.ndarray | None:
    """The square of a frame (H, W, 3) about a part's found points (K, 2), cut at the borders; None if most are not."""
    found = scores > _FOUND
    if found.mean() < 0.5:
        return None
    low, high = points[found].min(0), points[found].max(0)
    half = max(1.0, _GROW * float((high - low).max()) / 2)
    size = np.array([frame.shape[1], frame.shape[0]])
    centre = (low + high) / 2
    x0, y0 = np.clip(np.floor(centre - half), 0, size - 1).astype(int)
    x1, y1 = np.clip(np.ceil(centre + half), [x0 + 1, y0 + 1], size).astype(int)
    return frame[y0:y1, x0:x1]


def absent(features: np.ndarray, *, limit: float) -> np.ndarray:
    """(T, P) bool: parts that were found but are not present. features: (T, P, D) of one clip, NaN where not found."""
    unit = features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-9)
    found = ~np.isnan(unit).any(-1)
    mean = np.nansum(unit, axis=0) / np.maximum(found.sum(0), 1)[:, None]
    mean /= np.maximum(np.linalg.norm(mean, axis=-1, keepdims=True), 1e-9)
    return found & (np.nan_to_num(unit * mean).sum(-1) < limit)


def without(scores: np.ndarray, is_absent: np.ndarray) -> np.ndarray:
    """A copy of scores (T, 133) with those of absent parts (T, P) at 0."""
    scores = scores.copy()
    for k, part in enumerate(PARTS.values()):
        scores[is_absent[:, k], part] = 0
    return scores
