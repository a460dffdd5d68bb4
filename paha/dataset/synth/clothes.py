"""Torso and sleeve textures: neck, garments with collars, lapels, ties, patterns and folds.

Unit: shoulder widths; the torso's origin is midway between the shoulders, y down; a sleeve's x runs along the bone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paha.dataset.synth.character import Character, Outfit
from paha.dataset.synth.drawing import Colour, Layer, ellipse, mirrored, mix, ribbon, scaled, shifted, smooth

TORSO_LOW, TORSO_HIGH = (-0.74, -0.62), (0.74, 1.3)
OUTLINE = [
    (0.3, -0.09),
    (0.42, -0.055),
    (0.515, -0.005),
    (0.57, 0.09),
    (0.565, 0.3),
    (0.52, 0.6),
    (0.5, 1.0),
    (0.5, 1.32),
]
"""Right side of the torso below the neck."""


def neck_half_width(character: Character) -> float:
    """Half the neck's width, in shoulder widths."""
    return character.framing.neck_width / character.framing.shoulder_ratio


def draw_torso(character: Character, *, scale: float) -> Layer:
    """Neck and dressed torso at `scale` pixels a shoulder width."""
    layer = Layer(low=TORSO_LOW, high=TORSO_HIGH, scale=scale)
    neck = neck_half_width(character)
    if character.outfit.kind == "hoodie":
        hood = smooth(mirrored([(0, -0.3), (neck + 0.06, -0.27), (neck + 0.15, -0.13), (neck + 0.16, 0.02), (0, 0.1)]))
        layer.paint(layer.mask(hood), scaled(character.outfit.outer, 0.72))
    if character.outfit.kind in ("shirt", "jacket_tie", "jacket_open"):
        band = smooth(mirrored([(0, -0.23), (neck + 0.02, -0.24), (neck + 0.045, -0.12), (0, -0.02)]))
        outfit = character.outfit
        layer.paint(layer.mask(band), scaled(outfit.outer if outfit.kind == "shirt" else outfit.inner, 0.72))
    _draw_neck(layer, character, neck)
    _KINDS[character.outfit.kind](layer, character, neck)
    return layer


def _draw_neck(layer: Layer, character: Character, neck: float) -> None:
    skin, light = character.skin, character.light
    half = [(0, -0.6), (neck, -0.6), (neck * 0.98, -0.3), (neck + 0.015, -0.19), (neck + 0.09, -0.125), (0.36, -0.02)]
    outline = smooth(mirrored([*half, (0.38, 0.15), (0.3, 0.4), (0, 0.5)]))
    layer.paint(layer.mask(outline), scaled(skin, 0.96))
    dark = scaled(character.blush, 0.62)
    inside = layer.rgba[..., 3].copy()
    x, y = layer.grid()
    layer.tint(np.clip(1.25 - layer.soften(inside, 0.035) * 1.25, 0, 1) * 1.6, dark, 0.5)
    layer.tint(np.clip(0.5 - light * x / (2.2 * neck), 0, 1) * inside, dark, 0.45 * character.light_strength)
    layer.tint(np.clip((-0.1 - y) / 0.24, 0, 1) * inside, dark, 0.35)
    for side in (-1, 1):
        tendon = smooth([(neck * 0.75, -0.26), (neck * 0.42, -0.12), (0.03, -0.015)], closed=False) * (side, 1)
        layer.tint(layer.mask(ribbon(tendon, np.full(len(tendon), 0.008)), blur=0.012), dark, 0.34)
        bone = smooth([(0.035, 0.0), (0.15, -0.03), (0.3, -0.035)], closed=False) * (side, 1)
        layer.tint(layer.mask(ribbon(bone, np.full(len(bone), 0.008)), blur=0.01), dark, 0.42)
        layer.tint(layer.mask(ribbon(bone - (0, 0.02), np.full(len(bone), 0.008)), blur=0.01), scaled(skin, 1.1), 0.4)


def shoulder_outline(neck: float, *, rise: float = 0.0) -> np.ndarray:
    """Outline of a garment that closes around the neck at height -0.15 - rise."""
    half = [
        (0, -0.11 - rise),
        (neck * 0.7, -0.12 - rise),
        (neck + 0.05, -0.15 - rise),
        (neck + 0.09, -0.135),
        *OUTLINE,
        (0, 1.32),
    ]
    return smooth(mirrored(half), samples=5)


def pattern_paint(layer: Layer, mask: np.ndarray, outfit: Outfit, *, along: bool = False) -> None:
    """Lay the outfit's pattern over the garment where the mask is; `along` turns it for a sleeve."""
    x, y = layer.grid()
    if along:
        x, y = y, x

    def wave(v: np.ndarray, period: float) -> np.ndarray:
        return np.cos(2 * np.pi * v / (period * outfit.pattern_scale))

    def line(v: np.ndarray, sharp: float) -> np.ndarray:
        return np.clip((v - sharp) / (1 - sharp) * 2, 0, 1)

    light = sum(outfit.outer) > 380
    tone = scaled(outfit.outer, 0.72) if light else mix(outfit.outer, (255, 255, 255), 0.3)
    zero = np.zeros(layer.shape, dtype=np.float32)
    if outfit.pattern == "stripes":
        layer.tint(mask * (line(wave(y, 0.15), 0.1) + zero), mix(outfit.accent, tone, 0.4), 0.75)
    elif outfit.pattern == "pinstripes":
        layer.tint(mask * (line(wave(x, 0.085), 0.72) + zero), tone, 0.5)
    elif outfit.pattern == "checks":
        layer.tint(mask * (line(wave(x, 0.17), 0.3) + zero), outfit.accent, 0.4)
        layer.tint(mask * (line(wave(y, 0.17), 0.3) + zero), outfit.accent, 0.4)
    elif outfit.pattern == "dots":
        dots = wave(x, 0.13) * wave(y, 0.13)
        layer.tint(mask * line(np.abs(dots) * (dots > 0), 0.62), mix(outfit.inner, tone, 0.2), 0.85)
    elif outfit.pattern == "knit":
        rib = wave(x + 0.012 * np.abs(((y / 0.03) % 2) - 1), 0.05)
        layer.shade((1 + 0.055 * mask * rib).astype(np.float32))


def _fabric(layer: Layer, character: Character, mask: np.ndarray, colour: Colour, *, pattern: bool = True) -> None:
    """A garment's cloth: colour, pattern, light, folds."""
    layer.paint(mask, colour)
    if pattern:
        pattern_paint(layer, mask, character.outfit)
    x, y = layer.grid()
    light, strength = character.light, character.light_strength
    tone = 1.02 + 0.1 * strength * light * np.clip(x / 0.5, -1, 1) - 0.1 * np.clip(y, 0, 1)
    tone = tone - 0.26 * np.clip((np.abs(x) - 0.34) / 0.26, 0, 1) ** 1.5 * np.clip((y - 0.12) / 0.25, 0, 1)
    layer.shade(1 + mask * (tone.astype(np.float32) - 1))
    layer.shade(1 + mask * _folds(layer, character))


def _folds(layer: Layer, character: Character) -> np.ndarray:
    """Soft folds from the armpits inwards and across the belly, as a signed map."""
    rng = np.random.default_rng(character.seed + 7)
    total = np.zeros(layer.shape, dtype=np.float32)
    for side in (-1, 1):
        for start, reach in zip(rng.uniform(0.2, 0.4, 3), rng.uniform(0.12, 0.3, 3), strict=True):
            line = [(0.5, start), (0.44, start + 0.03), (0.48 - reach, start + rng.uniform(0.08, 0.2))]
            total += _fold(layer, np.asarray(line) * (side, 1), 0.2)
        y = rng.uniform(0.5, 0.95)
        total += _fold(
            layer, np.array([(0.46, y), (0.3, y + 0.07), (0.1, y + rng.uniform(0.02, 0.1))]) * (side, 1), 0.16
        )
        hang = np.array([(0.36, 0.02), (0.33, 0.25), (0.3, 0.5)]) * (side, 1)
        total += _fold(layer, hang, 0.08)
    return total


def _fold(layer: Layer, line: np.ndarray, depth: float) -> np.ndarray:
    curve = smooth(line, closed=False)
    width = 0.02 * np.sin(np.linspace(0.4, np.pi, len(curve)))
    dark = layer.mask(ribbon(curve, width), blur=0.016)
    bright = layer.mask(ribbon(curve - (0, 0.035), width), blur=0.018)
    return (0.6 * bright - dark) * depth


def _edge(layer: Layer, line: np.ndarray, colour: Colour, *, width: float = 0.007, alpha: float = 0.8) -> None:
    """A seam or rim along a line."""
    layer.paint(layer.mask(ribbon(line, np.full(len(line), width))), colour, alpha)


def _cast(layer: Layer, shape: np.ndarray, *, strength: float = 0.3, drop: float = 0.025) -> None:
    """Shadow that a shape casts on what is there already."""
    layer.shade(1 - strength * layer.mask(shifted(shape, 0, drop), blur=0.02))


def _pullover(layer: Layer, character: Character, neckline: np.ndarray, *, rib: float = 0.03) -> None:
    """A garment with a hole for neck and chest, rimmed by a band."""
    colour = character.outfit.outer
    hole = layer.mask(neckline)
    whole = layer.mask(shoulder_outline(neck_half_width(character)))
    layer.shade(
        1 - 0.35 * layer.mask(neckline - (0, 0.02), blur=0.03) * (1 - layer.mask(shifted(neckline, 0, 0.03), blur=0.03))
    )
    _fabric(layer, character, whole * (1 - hole), colour)
    if rib:
        grown = (neckline - neckline.mean(0)) * (1 + rib / 0.1) + neckline.mean(0)
        band = layer.mask(grown) * (1 - hole) * whole
        layer.shade(1 - 0.3 * layer.soften(band, 0.015) * (1 - band) * (1 - hole))
        layer.tint(band, scaled(colour, 0.88), 0.8)


def _crew(layer: Layer, character: Character, neck: float) -> None:
    _pullover(layer, character, ellipse((0, -0.16), (neck + 0.035, 0.12), samples=48))


def _v_neck(layer: Layer, character: Character, neck: float) -> None:
    shape = np.array([(-neck - 0.04, -0.2), (neck + 0.04, -0.2), (neck + 0.02, -0.1), (0, 0.15), (-neck - 0.02, -0.1)])
    if character.outfit.pattern_scale > 1.0:
        inner = ellipse((0, -0.16), (neck + 0.02, 0.1), samples=48)
        chest = layer.mask(shoulder_outline(neck)) * (1 - layer.mask(inner))
        layer.paint(chest, scaled(character.outfit.inner, 0.95))
    _pullover(layer, character, shape, rib=0.018)


def _dress(layer: Layer, character: Character, neck: float) -> None:
    if character.outfit.pattern_scale > 1.05:
        shape = smooth(
            [(-neck - 0.1, -0.2), (neck + 0.1, -0.2), (neck + 0.085, 0.06), (-neck - 0.085, 0.06)], samples=10
        )
    else:
        shape = ellipse((0, -0.14), (neck + 0.1, 0.25), samples=48)
    _pullover(layer, character, shape, rib=0.012)
    if character.seed % 3 == 0:
        chain = smooth(
            [(-neck - 0.02, -0.15), (-0.06, 0.0), (0, 0.035), (0.06, 0.0), (neck + 0.02, -0.15)], closed=False
        )
        _edge(layer, chain, (222, 190, 112), width=0.005)
        layer.paint(layer.mask(ellipse((0, 0.045), (0.016, 0.02))), (236, 208, 132))


def _turtleneck(layer: Layer, character: Character, neck: float) -> None:
    colour = character.outfit.outer
    _fabric(layer, character, layer.mask(shoulder_outline(neck)), colour)
    roll = smooth(
        mirrored(
            [
                (0, -0.235),
                (neck * 0.9, -0.25),
                (neck + 0.03, -0.24),
                (neck + 0.045, -0.13),
                (neck * 0.8, -0.085),
                (0, -0.06),
            ]
        )
    )
    _cast(layer, roll)
    layer.paint(layer.mask(roll), scaled(colour, 1.0))
    x, _ = layer.grid()
    layer.shade(1 - layer.mask(roll) * (0.28 * np.clip(np.abs(x) / (neck + 0.04), 0, 1) ** 2).astype(np.float32))
    layer.shade(1 - 0.25 * layer.mask(ellipse((0, -0.26), (neck, 0.05)), blur=0.02))


def _collar(layer: Layer, character: Character, neck: float, colour: Colour, *, spread: float) -> None:
    """The two wings of a shirt collar."""
    for side in (-1, 1):
        wing = [
            (neck + 0.012, -0.25),
            (neck + 0.06, -0.17),
            (neck + 0.035, -0.015),
            (neck * 0.62 + spread, 0.05),
            (spread * 0.6, -0.035),
            (neck * 0.75, -0.13),
        ]
        shape = np.asarray(wing) * (side, 1)
        _cast(layer, shape, strength=0.35)
        layer.paint(layer.mask(shape), scaled(colour, 1.0 + 0.05 * side * character.light))
        _edge(layer, shape[1:5], scaled(colour, 0.7), width=0.005)


def _shirt(layer: Layer, character: Character, neck: float) -> None:
    colour = character.outfit.outer
    opening = np.array(
        [(-neck - 0.02, -0.22), (neck + 0.02, -0.22), (neck * 0.5, -0.06), (0, 0.07), (-neck * 0.5, -0.06)]
    )
    mask = layer.mask(shoulder_outline(neck)) * (1 - layer.mask(opening))
    _fabric(layer, character, mask, colour)
    for x in (-0.03, 0.03):
        _edge(layer, np.array([(x, 0.08), (x, 1.3)]), scaled(colour, 0.82), width=0.004)
    for y in np.arange(0.17, 1.2, 0.19):
        layer.paint(layer.mask(ellipse((0, y + 0.006), (0.016, 0.016))), scaled(colour, 0.6), 0.7)
        layer.paint(layer.mask(ellipse((0, y), (0.015, 0.015))), mix(colour, (250, 248, 240), 0.6))
    _collar(layer, character, neck, colour, spread=0.05)


def _jacket(layer: Layer, character: Character, neck: float, *, tie: bool) -> None:
    outfit = character.outfit
    opening = np.array(
        [
            (-neck - 0.02, -0.22),
            (neck + 0.02, -0.22),
            (neck * 0.4, -0.04),
            (0, 0.03 if tie else 0.08),
            (-neck * 0.4, -0.04),
        ]
    )
    shirt = layer.mask(shoulder_outline(neck)) * (1 - layer.mask(opening))
    _fabric(layer, character, shirt, outfit.inner, pattern=False)
    if tie:
        _tie(layer, outfit.accent)
    else:
        _edge(layer, np.array([(0, 0.08), (0, 0.9)]), scaled(outfit.inner, 0.8), width=0.004)
    _collar(layer, character, neck, outfit.inner, spread=0.035 if tie else 0.06)
    front = np.array(
        [
            (-neck - 0.035, -0.22),
            (neck + 0.035, -0.22),
            (neck + 0.05, -0.05),
            (0.02, 0.72),
            (0.04, 1.35),
            (-0.02, 1.35),
            (-0.02, 0.72),
            (-neck - 0.05, -0.05),
        ]
    )
    coat = layer.mask(shoulder_outline(neck, rise=0.03)) * (1 - layer.mask(front))
    layer.shade(1 - 0.4 * layer.soften(coat, 0.02) * (1 - coat))
    _fabric(layer, character, coat, outfit.outer)
    for side in (-1, 1):
        lapel = [
            (neck + 0.035, -0.21),
            (neck + 0.11, -0.14),
            (0.33, 0.1),
            (0.25, 0.14),
            (0.29, 0.2),
            (0.02, 0.73),
            (neck + 0.02, 0.02),
        ]
        shape = np.asarray(lapel) * (side, 1)
        _cast(layer, shape, strength=0.3)
        layer.paint(layer.mask(shape), scaled(outfit.outer, 1.1 + 0.06 * side * character.light))
        _edge(layer, shape[1:6], scaled(outfit.outer, 0.62), width=0.005)
    layer.paint(layer.mask(ellipse((0.02, 0.82), (0.022, 0.022))), scaled(outfit.outer, 0.5))


def _tie(layer: Layer, colour: Colour) -> None:
    knot = np.array([(-0.055, 0.0), (0.055, 0.0), (0.035, 0.085), (-0.035, 0.085)])
    blade = np.array([(-0.035, 0.085), (0.035, 0.085), (0.08, 0.8), (-0.08, 0.8)])
    _cast(layer, blade, strength=0.3, drop=0.015)
    layer.paint(layer.mask(blade), colour)
    x, y = layer.grid()
    stripe = (np.sin((x + y) * 52) > 0.75).astype(np.float32)
    layer.tint(layer.mask(blade) * layer.soften(stripe, 0.004), mix(colour, (255, 255, 255), 0.45), 0.6)
    layer.shade(1 - 0.25 * layer.mask(blade) * np.clip(np.abs(x) / 0.07, 0, 1).astype(np.float32))
    layer.paint(layer.mask(knot), scaled(colour, 1.12))
    _edge(layer, np.array([(-0.035, 0.085), (0.035, 0.085)]), scaled(colour, 0.55), width=0.006)


def _cardigan(layer: Layer, character: Character, neck: float) -> None:
    outfit = character.outfit
    inner = ellipse((0, -0.14), (neck + 0.04, 0.17), samples=48)
    _fabric(layer, character, layer.mask(shoulder_outline(neck)) * (1 - layer.mask(inner)), outfit.inner, pattern=False)
    front = smooth(mirrored([(0, -0.3), (neck + 0.06, -0.2), (0.23, 0.15), (0.15, 0.7), (0.12, 1.35), (0, 1.4)]))
    coat = layer.mask(shoulder_outline(neck, rise=0.015)) * (1 - layer.mask(front))
    layer.shade(1 - 0.4 * layer.soften(coat, 0.02) * (1 - coat))
    _fabric(layer, character, coat, outfit.outer)
    grown = layer.mask((front - (0, 0.3)) * (1.16, 1.0) + (0, 0.3)) * coat
    layer.tint(grown, scaled(outfit.outer, 0.84), 0.8)


def _hoodie(layer: Layer, character: Character, neck: float) -> None:
    colour = character.outfit.outer
    _pullover(layer, character, ellipse((0, -0.15), (neck + 0.03, 0.13), samples=48), rib=0.0)
    for side in (-1, 1):
        rim = [
            (neck + 0.02, -0.26),
            (neck + 0.13, -0.16),
            (neck + 0.08, 0.0),
            (0.0, 0.1),
            (0, 0.035),
            (neck * 0.8, -0.06),
        ]
        shape = smooth(np.asarray(rim) * (side, 1), samples=8)
        _cast(layer, shape, strength=0.35)
        layer.paint(layer.mask(shape), scaled(colour, 1.04 + 0.06 * side * character.light))
        _edge(
            layer,
            np.array([(0.05 * side, 0.06), (0.055 * side, 0.2), (0.05 * side, 0.36)]),
            mix(colour, (255, 255, 255), 0.65),
        )
    pocket = np.array([(-0.26, 1.2), (-0.19, 0.74), (0.19, 0.74), (0.26, 1.2)])
    _edge(layer, pocket, scaled(colour, 0.75))


_KINDS: dict[str, Callable[[Layer, Character, float], None]] = {
    "shirt": _shirt,
    "jacket_tie": lambda layer, character, neck: _jacket(layer, character, neck, tie=True),
    "jacket_open": lambda layer, character, neck: _jacket(layer, character, neck, tie=False),
    "sweater": _crew,
    "tee": _crew,
    "v_neck": _v_neck,
    "turtleneck": _turtleneck,
    "cardigan": _cardigan,
    "dress": _dress,
    "hoodie": _hoodie,
}
