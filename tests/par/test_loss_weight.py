"""PAR against a per-pixel brute-force version, and the identities of the design's section 4."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paha.config import ParConfig
from paha.par.loss_weight import HAND, awareness_area, loss_weight
from paha.types import FACE

CONFIG = ParConfig(radius=60)  # 60 px at 512 is 3.75 px on a frame of 32
SIZE = {"height": 32, "width": 40}


def brute_force_weight(points, scores, config, height, width):
    """Eq. 2 and 3 pixel by pixel for one frame."""
    radius = config.radius * min(height, width) / 512
    total = [[0.0] * width for _ in range(height)]
    small = [*range(HAND.start, HAND.stop), *range(FACE.start, FACE.stop)]
    for y in range(height):
        for x in range(width):
            values = []
            for k in small:
                tau = config.hand_threshold if HAND.start <= k < HAND.stop else config.face_threshold
                score = min(max(scores[k], 0.0), 1.0)
                if score > tau and (x + 0.5 - points[k][0]) ** 2 + (y + 0.5 - points[k][1]) ** 2 <= radius**2:
                    values.append(score)
            total[y][x] = (sum(values) if config.overlap == "sum" else max(values)) if values else 0.0
    reach, sigma = int(3 * radius / 2), radius / 2
    taps = {d: math.exp(-d * d / (2 * sigma**2)) for d in range(-reach, reach + 1)}
    norm = sum(taps.values())
    body = [points[k] for k in range(5, 13) if min(scores[k], 1) > config.body_threshold]
    weight = torch.ones(height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            blurred = sum(
                taps[dy] / norm * taps[dx] / norm * total[y + dy][x + dx]
                for dy in taps
                for dx in taps
                if 0 <= y + dy < height and 0 <= x + dx < width
            )
            m = max(1.0, config.hand_face_weight * blurred)
            if body:
                bottom = max(p[1] for p in body)
                if config.extend_body_to_bottom and all(min(scores[k], 1) <= config.body_threshold for k in (11, 12)):
                    bottom = height
                in_x = min(p[0] for p in body) <= x + 0.5 <= max(p[0] for p in body)
                if in_x and min(p[1] for p in body) <= y + 0.5 <= bottom:
                    m = max(m, config.body_weight)
            weight[y, x] = m
    return weight


def weigh(pixels, scores, config=CONFIG):
    unit = pixels / torch.tensor([SIZE["width"], SIZE["height"]], dtype=pixels.dtype)
    return loss_weight(unit[None, None], scores[None, None], config, **SIZE)[0, 0, 0]


def agree(pixels, scores, config=CONFIG):
    """Within 1e-6 in float64; in float32, of weights up to tens, within their last digits."""
    expected = brute_force_weight(
        pixels.double().tolist(), scores.double().tolist(), config, SIZE["height"], SIZE["width"]
    )
    exact = weigh(pixels.double(), scores.double(), config)
    assert exact.dtype == torch.float64
    near = torch.allclose(weigh(pixels, scores, config).double(), expected, atol=1e-6, rtol=1e-6)
    return near and torch.allclose(exact, expected, atol=1e-6, rtol=0)


def random_frame(seed, spread=1.4):
    g = torch.Generator().manual_seed(seed)
    # Coordinates on a grid of 1/64 keep "on the circle" the same question in float32 and float64.
    pixels = (torch.rand(133, 2, generator=g) * spread - (spread - 1) / 2) * torch.tensor([40.0, 32.0])
    return (pixels * 64).round() / 64 + 1 / 128, torch.rand(133, generator=g) * 1.3


@pytest.mark.parametrize("overlap", ["sum", "max"])
@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_brute_force(seed, overlap):
    assert agree(*random_frame(seed), CONFIG.model_copy(update={"overlap": overlap}))


def test_edge_cases_agree_with_brute_force():
    pixels, _ = random_frame(3)
    one = torch.zeros(133)
    one[100] = 0.9
    crowd = torch.zeros(133)
    crowd[FACE] = 0.95
    same = pixels.clone()
    same[FACE] = torch.tensor([20.25, 15.25])
    assert agree(pixels, one)
    assert agree(same, crowd)
    assert agree(pixels + 1000, torch.ones(133))
    level = CONFIG.model_copy(update={"hand_threshold": 0.75, "face_threshold": 0.75, "body_threshold": 0.75})
    assert agree(pixels, torch.full((133,), 0.75), level)


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 0.8), st.integers(0, 1000))
def test_nothing_above_the_threshold_weighs_one_everywhere(top, seed):
    pixels, scores = random_frame(seed)
    assert torch.equal(weigh(pixels, scores.clamp(max=top)), torch.ones(32, 40))


def test_raising_one_score_changes_the_weight_only_near_that_point():
    pixels, scores = random_frame(5)
    pixels[95], raised = torch.tensor([20.0, 16.0]), scores.clone()
    scores[95], raised[95] = 0.85, 0.99
    changed = (weigh(pixels, scores) != weigh(pixels, raised)).nonzero()
    radius = CONFIG.radius * 32 / 512
    distance = (changed + 0.5 - torch.tensor([16.0, 20.0])).abs().amax(dim=1)
    assert len(changed) > 0
    assert distance.max() <= radius + int(3 * radius / 2) + 1e-6


def test_area_is_where_the_weight_is_drawn_from():
    pixels, scores = random_frame(7)
    unit = (pixels / torch.tensor([40.0, 32.0]))[None, None]
    area = awareness_area(unit, scores[None, None], CONFIG, **SIZE)
    sharp = loss_weight(unit, scores[None, None], CONFIG.model_copy(update={"smoothing": False}), **SIZE)[:, :, 0]
    small = area.hand | area.face
    assert (sharp[small] >= CONFIG.hand_face_weight * 0.8).all()
    assert (sharp[area.body & ~small] == CONFIG.body_weight).all()
    assert (sharp[~(area.body | small)] == 1).all()


def test_latent_weight_is_the_area_average():
    pixels, scores = random_frame(9)
    unit = (pixels / torch.tensor([40.0, 32.0]))[None, None]
    full = loss_weight(unit, scores[None, None], CONFIG, **SIZE)
    small = loss_weight(unit, scores[None, None], CONFIG, **SIZE, latent_height=4, latent_width=5)
    assert torch.allclose(small, full.reshape(1, 1, 1, 4, 8, 5, 8).mean(dim=(4, 6)), rtol=1e-5)


def test_frames_are_drawn_the_same_alone_and_together():
    frames = [random_frame(seed) for seed in range(5)]
    points = torch.stack([p / torch.tensor([40.0, 32.0]) for p, _ in frames])
    scores = torch.stack([s for _, s in frames])
    scores[3, HAND], scores[3, FACE] = 0, 0
    scores[4] = 0
    size = {"height": 320, "width": 400}  # two frames at once; the rest of par.CACHED_PIXELS starts a new part
    together = loss_weight(points[None], scores[None], CONFIG, **size)[0]
    for t in range(5):
        alone = loss_weight(points[None, t : t + 1], scores[None, t : t + 1], CONFIG, **size)[0, 0]
        assert torch.equal(together[t], alone)
    by_clip = loss_weight(points[:4].unflatten(0, (2, 2)), scores[:4].unflatten(0, (2, 2)), CONFIG, **size)
    assert torch.equal(by_clip.flatten(0, 1), together[:4])


def test_bad_input_is_refused():
    pixels, scores = random_frame(0)
    scores[3] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        weigh(pixels, scores)
    with pytest.raises(ValueError, match="fit together"):
        weigh(pixels[:5], torch.ones(133))
