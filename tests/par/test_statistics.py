"""What Parts-Aware Re-weighting weighs, by region and threshold."""

import math

import pytest
import torch

from paha.config import ParConfig
from paha.par.loss_weight import loss_weight
from paha.par.statistics import ParStatistics, as_rows, region_sums, with_threshold
from paha.types import FACE, LEFT_HAND, RIGHT_HAND

CONFIG = ParConfig(radius=60, smoothing=False)
SIZE = {"height": 32, "width": 32}


def person(*, face: float, left: float, right: float, body: float, frames: int = 4):
    """Points (N, 133, 2) in [0, 1] with the hands apart, and scores of each part."""
    points = torch.full((frames, 133, 2), 0.5)
    points[:, FACE] = torch.tensor([0.5, 0.2])
    points[:, LEFT_HAND], points[:, RIGHT_HAND] = torch.tensor([0.8, 0.8]), torch.tensor([0.2, 0.8])
    points[:, 5:9] = torch.tensor([0.3, 0.4])
    points[:, 9:13] = torch.tensor([0.7, 0.9])
    scores = torch.zeros(frames, 133)
    scores[:, FACE], scores[:, LEFT_HAND], scores[:, RIGHT_HAND], scores[:, 5:13] = face, left, right, body
    return points, scores


def test_shares_add_up_and_equal_those_of_the_weight_itself():
    points, scores = person(face=0.9, left=0.95, right=0.5, body=0.9)
    statistics = ParStatistics(CONFIG, [0.8])
    statistics.add(points, scores, **SIZE)
    stats = statistics.result()["0.8"]
    weight = loss_weight(points[None], scores[None], with_threshold(CONFIG, 0.8), **SIZE)[0, :, 0]
    assert sum(s.area for s in stats.values()) == pytest.approx(1)
    assert sum(s.loss_share for s in stats.values()) == pytest.approx(1)
    assert sum(s.area * s.mean_weight for s in stats.values()) == pytest.approx(float(weight.mean()), rel=1e-6)
    assert stats["hand"].mean_weight == pytest.approx(21 * 10 * 0.95, rel=1e-5)  # a sum over coinciding points
    assert stats["body"].mean_weight == pytest.approx(2)
    assert stats["background"].mean_weight == pytest.approx(1)


def test_a_threshold_above_a_regions_scores_takes_it_out():
    points, scores = person(face=0.65, left=0.45, right=0.2, body=0.95)
    statistics = ParStatistics(CONFIG, [0.3, 0.5, 0.7])
    statistics.add(points, scores, **SIZE)
    found = statistics.result()
    assert [found[tau]["hand"].frames_half for tau in ("0.3", "0.5", "0.7")] == [1, 0, 0]
    assert [found[tau]["face"].frames_half for tau in ("0.3", "0.5", "0.7")] == [1, 1, 0]
    assert found["0.3"]["hand"].points == pytest.approx(0.5)
    assert found["0.7"]["hand"].area == 0
    assert math.isnan(found["0.7"]["hand"].mean_weight)
    assert found["0.7"]["hand"].loss_share == 0
    assert found["0.3"]["hand"].loss_share > 0.1


def test_frames_with_any_and_with_half_of_the_points_differ():
    points, scores = person(face=0.0, left=0.0, right=0.0, body=0.0)
    scores[0, FACE.start] = 0.9  # one point in one of four frames
    scores[1, FACE] = 0.9
    stats = ParStatistics(CONFIG, [])
    stats.add(points, scores, **SIZE)
    face = stats.result()["configured"]["face"]
    assert (face.frames_any, face.frames_half) == (0.5, 0.25)


def test_frames_added_in_parts_count_the_same():
    points, scores = person(face=0.9, left=0.9, right=0.9, body=0.9, frames=70)
    points = points + 0.1 * torch.rand(points.shape, generator=torch.Generator().manual_seed(0))
    whole, parts = ParStatistics(CONFIG), ParStatistics(CONFIG)
    whole.add(points, scores, **SIZE)
    for some in (slice(0, 3), slice(3, 70)):
        parts.add(points[some], scores[some], **SIZE)
    assert whole.num_frames == parts.num_frames == 70
    for a, b in zip(as_rows(whole.result()), as_rows(parts.result()), strict=True):
        assert a == pytest.approx(b, nan_ok=True)


def test_a_hand_in_front_of_the_face_counts_once():
    points, scores = person(face=0.9, left=0.9, right=0.0, body=0.0)
    points[:, LEFT_HAND] = points[:, FACE][:, :21]
    sums = region_sums(points, scores, CONFIG, **SIZE)
    assert sums["face"][3] == 0
    assert sums["hand"][3] > 0
