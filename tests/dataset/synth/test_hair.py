"""Hair of every style, on one head."""

from dataclasses import replace

import numpy as np
import pytest

from paha.dataset.synth.character import HAIR_STYLES, sample_character
from paha.dataset.synth.hair import HairShapes, hair_shapes

CHARACTER = sample_character(3)


def shapes(style: str, **changes: float) -> HairShapes:
    return hair_shapes(replace(CHARACTER.hair, style=style, **changes), face=CHARACTER.face)  # pyright: ignore[reportArgumentType]


def lowest(made: HairShapes) -> float:
    return max(float(piece.outline[:, 1].max()) for piece in (*made.back, *made.front))


@pytest.mark.parametrize("style", sorted(set(HAIR_STYLES) - {"bald"}))
def test_hair_lies_on_the_head_and_leaves_the_face_free(style):
    """y is down, 0 between brows and nose, the crown at about -0.6."""
    made = shapes(style)
    pieces = [*made.back, *made.under, *made.front]
    assert all(np.isfinite(piece.outline).all() and len(piece.outline) > 8 for piece in pieces)
    front = np.concatenate([piece.outline for piece in made.front])
    assert -0.9 < front[:, 1].min() < -0.5, "it reaches the crown"
    assert np.abs(np.concatenate([piece.outline for piece in pieces])[:, 0]).max() < 0.9
    nose_and_mouth = [piece for piece in made.front if _holds(piece.outline, (0.0, 0.15))]
    assert not nose_and_mouth


@pytest.mark.parametrize("style", ["bob", "long", "long_wavy", "ponytail"])
def test_longer_hair_is_longer(style):
    assert lowest(shapes(style, length=1.0)) > lowest(shapes(style, length=0.0)) + 0.1


@pytest.mark.parametrize("style", ["afro", "bun", "quiff"])
def test_more_volume_is_larger(style):
    size = [
        float(np.ptp(np.concatenate([p.outline for p in (*made.back, *made.front)])[:, 1]))
        for made in (shapes(style, volume=0.0), shapes(style, volume=1.0))
    ]
    assert size[1] > size[0] + 0.02


@pytest.mark.parametrize("style", ["quiff", "ponytail"])
def test_the_side_is_a_mirror(style):
    left, right = shapes(style, side=-1.0), shapes(style, side=1.0)
    name = "front" if style == "quiff" else "back"
    a, b = getattr(left, name)[0].outline, getattr(right, name)[0].outline
    assert a[:, 0].min() == pytest.approx(-b[:, 0].max())


def test_the_bald_have_none():
    assert shapes("bald") == HairShapes()


def _holds(outline: np.ndarray, point: tuple[float, float]) -> bool:
    import cv2

    return cv2.pointPolygonTest(outline.astype(np.float32), point, False) > 0
