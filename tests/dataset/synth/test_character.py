"""Characters: the same seed gives the same one, seeds vary, numbers stay in their ranges."""

from dataclasses import asdict

import numpy as np
import pytest

from paha.dataset.synth.character import BACKGROUNDS, BEARDS, CLOTHES, GLASSES, HAIR_STYLES, PATTERNS, sample_character

CROWD = [sample_character(seed) for seed in range(400)]


def test_same_seed_same_character() -> None:
    assert sample_character(17) == sample_character(17)
    assert asdict(sample_character(17)) != asdict(sample_character(18))


@pytest.mark.parametrize(
    ("options", "read"),
    [
        (HAIR_STYLES, lambda c: c.hair.style),
        (BEARDS, lambda c: c.hair.beard),
        (CLOTHES, lambda c: c.outfit.kind),
        (PATTERNS, lambda c: c.outfit.pattern),
        (BACKGROUNDS, lambda c: c.backdrop.kind),
        (GLASSES, lambda c: c.glasses),
    ],
)
def test_every_option_occurs(options: tuple[str, ...], read) -> None:
    assert {read(character) for character in CROWD} == set(options)


def test_colours_are_colours() -> None:
    for c in CROWD:
        colours = [c.skin, c.blush, c.lips, c.eye_colour, c.hair.colour, c.outfit.outer, c.outfit.inner, c.backdrop.mid]
        assert all(0 <= value <= 255 for colour in colours for value in colour)


def test_skin_tones_spread() -> None:
    brightness = [np.mean(c.skin) for c in CROWD]
    assert min(brightness) < 85
    assert max(brightness) > 195


def test_clothes_differ_from_background() -> None:
    assert all(np.abs(np.subtract(c.outfit.outer, c.backdrop.mid)).sum() > 30 for c in CROWD)


def test_head_fits_in_the_frame() -> None:
    for c in CROWD:
        f = c.framing
        crown = f.shoulder_y - (0.56 + f.neck_length + 0.6) * f.face_height
        assert crown > 0
        assert 36 <= f.face_height <= 46
        assert f.shoulder_y < 90
