"""Arm textures: strips along the upper arm and the forearm, as cloth or skin, each with round ends.

Unit: shoulder widths; x runs along the bone from the joint nearer to the body (0) to the further one, y across.
"""

from __future__ import annotations

import numpy as np

from paha.dataset.synth.character import Character
from paha.dataset.synth.clothes import pattern_paint
from paha.dataset.synth.drawing import Layer, mix, ribbon, scaled, shifted, smooth

UPPER_ARM, FOREARM = 0.74, 0.66
"""Lengths of the bones."""
MARGIN = 0.2
"""Room around a strip."""


def draw_upper_arm(character: Character, *, scale: float, side: int) -> Layer:
    """Strip of the upper arm (side +1: image right)."""
    layer = _strip(UPPER_ARM, scale)
    bulk = 1.12 if character.outfit.kind.startswith(("jacket", "hoodie")) else 1.0
    sleeve = UPPER_ARM if character.outfit.long_sleeves else 0.42
    if not character.outfit.long_sleeves:
        _limb(layer, character, widths=(0.1, 0.092, 0.082), length=UPPER_ARM, skin=True, side=side)
    widths = (0.116, 0.116 * bulk, 0.1 * bulk) if sleeve == UPPER_ARM else (0.116, 0.122, 0.124)
    _limb(layer, character, widths=widths, length=sleeve, skin=False, side=side, flat_end=sleeve != UPPER_ARM)
    return layer


def draw_forearm(character: Character, *, scale: float, side: int) -> Layer:
    """Strip of the forearm with its cuff (side +1: image right)."""
    layer = _strip(FOREARM, scale)
    _limb(layer, character, widths=(0.084, 0.074, 0.05), length=FOREARM, skin=True, side=side)
    if character.outfit.long_sleeves:
        bulk = 1.12 if character.outfit.kind.startswith(("jacket", "hoodie")) else 1.0
        end = FOREARM - 0.03
        if character.outfit.kind.startswith("jacket"):
            _limb(
                layer,
                character,
                widths=(0.09, 0.08, 0.069),
                length=FOREARM,
                skin=False,
                side=side,
                flat_end=True,
                inner=True,
            )
            end = FOREARM - 0.07
        widths = (0.1 * bulk, 0.09 * bulk, 0.07 * bulk)
        _limb(layer, character, widths=widths, length=end, skin=False, side=side, flat_end=True)
        _cuff(layer, character, end)
    return layer


def _strip(length: float, scale: float) -> Layer:
    return Layer(low=(-MARGIN, -MARGIN), high=(length + MARGIN, MARGIN), scale=scale)


def _profile(widths: tuple[float, float, float], length: float, *, flat_end: bool) -> np.ndarray:
    """Outline of a tapered limb with a round start and a round or flat end."""
    a, b, c = widths
    t = np.linspace(0, length, 14)
    half = np.interp(t, [0, 0.45 * length, length], [a, b, c])
    half = half + 0.004 * np.sin(t * 21) * (not flat_end)
    start = np.linspace(-np.pi / 2, -3 * np.pi / 2, 12)
    cap = np.stack([a * np.cos(start), a * np.sin(start)], 1)
    top, bottom = np.stack([t, half], 1), np.stack([t, -half], 1)[::-1]
    turn = np.linspace(np.pi / 2, -np.pi / 2, 12)[1:-1]
    end = np.stack([length + (0.12 if flat_end else 1.0) * c * np.cos(turn), c * np.sin(turn)], 1)
    return np.concatenate([cap, top, end, bottom])


def _limb(
    layer: Layer,
    character: Character,
    *,
    widths: tuple[float, float, float],
    length: float,
    skin: bool,
    side: int,
    flat_end: bool = False,
    inner: bool = False,
) -> None:
    """One limb of skin, of the outer garment's cloth, or of the inner garment's."""
    outfit = character.outfit
    colour = character.skin if skin else (outfit.inner if inner else outfit.outer)
    outline = _profile(widths, length, flat_end=flat_end)
    grown = ribbon(np.concatenate([outline, outline[:1]]), np.full(len(outline) + 1, 0.009))
    mask = layer.mask(outline)
    x, y = layer.grid()
    # The end at the nearer joint has no rim and no shading of its own: it melts into what it grows out of.
    free = np.clip((x - 0.02) / 0.16, 0, 1).astype(np.float32)
    layer.paint(layer.mask(outline, grown) * free, scaled(colour, 0.55 if not skin else 0.66), 0.85)
    layer.paint(mask, colour)
    if not skin and not inner:
        pattern_paint(layer, mask, outfit, along=True)
    round_ = np.clip(np.abs(y) / (widths[1] * 1.1), 0, 1) ** 2
    # Positive y lies to the image's left of a hanging arm.
    lean = -np.clip(y / widths[1], -1, 1) * character.light
    tone = 1.03 - 0.26 * round_ + 0.14 * character.light_strength * lean - (0.0 if skin else 0.02)
    layer.shade(1 + mask * free * (tone.astype(np.float32) - 1))
    if not skin:
        layer.shade(1 + mask * _wrinkles(layer, character, length, side))


def _wrinkles(layer: Layer, character: Character, length: float, side: int) -> np.ndarray:
    """Short folds near both ends of a sleeve."""
    rng = np.random.default_rng(character.seed * 2 + side + 11)
    total = np.zeros(layer.shape, dtype=np.float32)
    for x in [*rng.uniform(0.14, 0.3, 2), *rng.uniform(length - 0.2, length - 0.02, 3), *rng.uniform(0.2, length, 1)]:
        s = rng.choice((-1, 1))
        y0, reach, lean = 0.12 * s, rng.uniform(0.08, 0.17), rng.normal(0, 0.05)
        curve = smooth([(x, y0), (x + lean * 0.4, y0 - s * reach * 0.5), (x + lean, y0 - s * reach)], closed=False)
        width = 0.014 * np.linspace(1, 0.1, len(curve))
        total += 0.14 * layer.mask(ribbon(shifted(curve, 0.022, 0), width), blur=0.012)
        total -= 0.26 * layer.mask(ribbon(curve, width), blur=0.012)
    return total


def _cuff(layer: Layer, character: Character, end: float) -> None:
    outfit = character.outfit
    if outfit.kind.startswith("jacket"):
        return
    band = np.array([(end - 0.07, -0.2), (end + 0.03, -0.2), (end + 0.03, 0.2), (end - 0.07, 0.2)])
    skin_free = layer.mask(band) * (layer.grid()[0] < end + 0.005)
    ribbed = outfit.kind in ("sweater", "hoodie", "turtleneck", "cardigan", "v_neck")
    layer.tint(skin_free, mix(outfit.outer, (0, 0, 0), 0.16), 0.35 if ribbed else 0.15)
    seam = np.array([(end - 0.07, -0.1), (end - 0.07, 0.1)])
    layer.shade(1 - 0.3 * layer.mask(ribbon(seam, np.full(2, 0.006))))
