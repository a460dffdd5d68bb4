"""The pictures of `paha inspect --par`."""

import numpy as np
import pytest

from paha.config import ParConfig
from paha.dataset.par_overlay import PANEL_PX, draw_clip, heat_colours, weigh_clip
from paha.dataset.posed_clips import PosedClip, view_size
from paha.types import FACE, LEFT_HAND

CONFIG = ParConfig(radius=40)


def clip(*, height: int = 48, width: int = 64, hand: float = 0.95) -> PosedClip:
    points = np.full((2, 133, 2), 0.5, np.float32)
    points[:, FACE], points[:, LEFT_HAND] = (0.5, 0.25), (0.8, 0.75)
    scores = np.zeros((2, 133), np.float32)
    scores[:, FACE], scores[:, LEFT_HAND] = 0.9, hand
    return PosedClip("toy", np.full((2, height, width, 3), 128, np.uint8), points, scores, "test")


def test_areas_lie_around_their_points():
    weights = weigh_clip(clip(), CONFIG, downsample=8)
    assert weights.face[0, 12, 32]
    assert weights.hand[0, 36, 51]
    assert not weights.hand[0, 12, 32]
    assert weights.M[0, 36, 51] > 10
    assert weights.M[0, 0, 0] == 1
    assert weights.M_latent.shape == (2, 6, 8)
    assert weights.M_latent.mean() == pytest.approx(weights.M.mean(), rel=1e-5)


def test_all_frames_are_drawn_in_one_even_size_and_show_the_hand_where_it_is():
    with_hand, without = (next(iter(draw_clip(clip(hand=s), CONFIG, downsample=8))) for s in (0.95, 0.0))
    pictures = list(draw_clip(clip(), CONFIG, downsample=8))
    assert {picture.shape for picture in pictures} == {pictures[0].shape}
    assert pictures[0].shape[0] % 2 == 0
    assert pictures[0].shape[1] % 2 == 0
    changed = np.argwhere((with_hand != without).any(-1))
    zoom = PANEL_PX / (48 * 64) ** 0.5
    in_first = changed[(changed[:, 1] < 64 * zoom) & (changed[:, 0] > 40)]
    assert len(in_first)
    centre = in_first.mean(0) - [40, 0]  # below the head with the titles
    assert np.abs(centre - np.array([36, 51.2]) * zoom).max() < 6 * zoom


def test_the_heat_map_is_dark_at_one_and_gets_brighter_all_the_way():
    brightness = heat_colours(np.array([1.0, 2, 4, 8, 16, 32]), 32).astype(int).sum(-1)
    assert (np.diff(brightness) > 0).all()
    assert brightness[0] < 60


def test_frames_are_seen_with_a_shorter_side_of_at_most_512():
    assert view_size(1080, 1920) == (512, 910)
    assert view_size(360, 288) == (360, 288)
    assert view_size(128, 128) == (128, 128)
