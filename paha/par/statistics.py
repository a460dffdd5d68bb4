"""What Parts-Aware Re-weighting does to a dataset: per region and threshold, how often it is seen and what it weighs.

Legend: N frames, K keypoints (133), H W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from paha.config import ParConfig
from paha.par import loss_weight as par
from paha.types import FACE, LEFT_HAND, RIGHT_HAND

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
REGIONS = ("face", "hand", "body", "background")
PARTS = {"face": (FACE,), "hand": (LEFT_HAND, RIGHT_HAND), "body": (par.TORSO_AND_ARMS,)}
"""Keypoints of each region; one slice a part that can be seen by itself."""
RELIABLE_SHARE = 0.5
AT_ONCE = 64


@dataclass(frozen=True)
class RegionStats:
    """One region at one threshold; shares are of 1, NaN where there is nothing to measure.

    frames_any: frames with a reliable keypoint of the region. frames_half: frames in which half or more of the points
    of the face, of one hand or of the torso and arms are reliable. points: reliable ones among the region's keypoints.
    area: of the frame. mean_weight: M over the region's pixels. loss_share: the region's part of the sum of M over
    the frame, which is its part of the loss where the error is the same everywhere.
    """

    frames_any: float
    frames_half: float
    points: float
    area: float
    mean_weight: float
    loss_share: float


def with_threshold(config: ParConfig, tau: float) -> ParConfig:
    """The configuration with one threshold for all regions."""
    return config.model_copy(update={"hand_threshold": tau, "face_threshold": tau, "body_threshold": tau})


class ParStatistics:
    """Sums over frames that come clip by clip. thresholds: each for all regions; beside them `config`'s own."""

    def __init__(self, config: ParConfig, thresholds: Iterable[float] = THRESHOLDS) -> None:
        self.configs = {"configured": config} | {f"{tau:g}": with_threshold(config, tau) for tau in thresholds}
        self.num_frames = 0
        self._sums = {
            (name, region): torch.zeros(5, dtype=torch.float64) for name in self.configs for region in REGIONS
        }

    def add(self, points: Tensor, scores: Tensor, *, height: int, width: int) -> None:
        """Add frames. points: (N, 133, 2) in [0, 1]. scores: (N, 133). height, width: of the drawing, in pixels."""
        for some in zip(points.split(AT_ONCE), scores.split(AT_ONCE), strict=True):
            for name, config in self.configs.items():
                for region, sums in region_sums(*some, config, height=height, width=width).items():
                    self._sums[name, region] += sums
        self.num_frames += len(points)

    def result(self) -> dict[str, dict[str, RegionStats]]:
        """Threshold ("configured" for the configuration's own) -> region -> statistics."""
        return {name: {region: self._stats(name, region) for region in REGIONS} for name in self.configs}

    def _stats(self, name: str, region: str) -> RegionStats:
        total = sum(float(self._sums[name, each][4]) for each in REGIONS)
        any_, half, points, pixels, weight = (self._sums[name, region] / max(self.num_frames, 1)).tolist()
        empty, seen = float("nan"), region in PARTS
        return RegionStats(
            frames_any=any_ if seen else empty,
            frames_half=half if seen else empty,
            points=points if seen else empty,
            area=pixels,
            mean_weight=weight / pixels if pixels else empty,
            loss_share=weight * self.num_frames / total if total else empty,
        )


def region_sums(points: Tensor, scores: Tensor, config: ParConfig, *, height: int, width: int) -> dict[str, Tensor]:
    """Sums over N frames, (5,) a region: frames with any reliable point, frames with a reliable part, shares of
    reliable points, shares of the frame covered, sums of M over the covered pixels (as shares of the frame's pixels).

    A pixel counts for one region: the hand before the face before the body, background where none is.
    """
    size = {"height": height, "width": width}
    weight = par.loss_weight(points[None], scores[None], config, **size)[0, :, 0]
    masks = exclusive(par.awareness_area(points[None], scores[None], config, **size))
    sums = {}
    for region in REGIONS:
        mask = masks[region][0]
        seen = _seen(scores, region, config) if region in PARTS else torch.zeros(3)
        covered = torch.stack([mask.double().mean((1, 2)).sum(), (weight * mask).double().mean((1, 2)).sum()])
        sums[region] = torch.cat([seen.double(), covered])
    return sums


def exclusive(area: par.AwarenessArea) -> dict[str, Tensor]:
    """Masks that share no pixel and cover the frame, by region; hands are in front of the face."""
    small = area.hand | area.face
    return {
        "hand": area.hand,
        "face": area.face & ~area.hand,
        "body": area.body & ~small,
        "background": ~(area.body | small),
    }


def _seen(scores: Tensor, region: str, config: ParConfig) -> Tensor:
    """(3,): frames with any reliable point, frames with a part of which half is reliable, shares of reliable points."""
    tau = getattr(config, f"{region}_threshold")
    shares = torch.stack([(scores[:, part].clamp(0, 1) > tau).double().mean(1) for part in PARTS[region]])
    return torch.stack(
        [(shares > 0).any(0).double().sum(), (shares >= RELIABLE_SHARE).any(0).double().sum(), shares.mean(0).sum()]
    )


def as_rows(result: dict[str, dict[str, RegionStats]]) -> list[dict[str, float | str]]:
    """One flat row a threshold and region, for tables and files."""
    return [
        {"tau": tau, "region": region} | {f.name: getattr(stats, f.name) for f in fields(stats)}
        for tau, regions in result.items()
        for region, stats in regions.items()
    ]
