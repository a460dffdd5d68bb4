"""Hair: outlines of each style and strands with sheen. Units and axes as in `head`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from paha.dataset.synth.character import Character, FaceShape, Hair
from paha.dataset.synth.drawing import Layer, ellipse, mirrored, scaled, shifted, smooth


@dataclass(frozen=True)
class Piece:
    """One mass of hair: its outline (M, 2) and the two guide lines that its strands run between, from start to end.

    `bend` pushes the middle of the strands outward; `wave` is the amplitude of their waves; `curl` draws rings instead.
    """

    outline: np.ndarray
    start: np.ndarray
    end: np.ndarray
    bend: tuple[float, float] = (0.0, 0.0)
    wave: float = 0.0
    curl: float = 0.0


@dataclass(frozen=True)
class HairShapes:
    """Pieces behind the neck, on the head below the features, and over brows and eyes."""

    back: list[Piece] = field(default_factory=list)
    under: list[Piece] = field(default_factory=list)
    front: list[Piece] = field(default_factory=list)


def hair_shapes(hair: Hair, *, face: FaceShape) -> HairShapes:
    """Pieces of a hair style fitted to a face."""
    return _STYLES[hair.style](hair, face)


def draw_hair(layer: Layer, pieces: list[Piece], character: Character, *, depth: float) -> None:
    """Paint pieces of hair; `depth` < 1 darkens what lies further back."""
    rng = np.random.default_rng(character.hair.seed)
    for piece in pieces:
        mask = layer.mask(piece.outline)
        shadow = layer.mask(piece.outline, blur=0.05)
        layer.paint(mask, scaled(character.hair.colour, depth))
        tone = 0.86 + 0.2 * shadow + _strand_map(layer, piece, rng) + _sheen(layer, character, depth)
        layer.shade(1 + mask * (tone.astype(np.float32) - 1))


def beard_strands(layer: Layer, mask: np.ndarray, character: Character) -> None:
    """Short downward hairs inside a beard's mask."""
    rng = np.random.default_rng(character.hair.seed + 1)
    starts = rng.uniform((-0.42, 0.08), (0.42, 0.62), (240, 2))
    lines = [np.array([p, shifted(p, 0.12 * p[0] + rng.normal(0, 0.01), rng.uniform(0.03, 0.06))]) for p in starts]
    tone = layer.strokes(lines, list(rng.uniform(-0.3, 0.3, len(lines))), width=0.008, blur=0.004)
    layer.shade(1 + mask * tone)


def _sheen(layer: Layer, character: Character, depth: float) -> np.ndarray:
    """Band of light around the crown, and the lamp's side a little brighter."""
    x, y = layer.grid()
    radius = np.sqrt((x - 0.1 * character.light) ** 2 + (y + 0.02) ** 2)
    dark = 1 - sum(character.hair.colour) / 765
    band = (0.12 + 0.3 * dark) * np.exp(-(((radius - 0.47) / 0.06) ** 2)) * np.clip(-y * 2.4, 0, 1)
    lean = 0.16 * character.light_strength * np.clip(character.light * x / 0.45, -1, 1)
    return (band * (depth > 0.8) * np.clip(0.8 + character.light * x, 0.2, 1.4) + lean).astype(np.float32)


def _strand_map(layer: Layer, piece: Piece, rng: np.random.Generator) -> np.ndarray:
    if piece.curl:
        return _curl_map(layer, piece, rng)
    count = 70
    at = np.sort(rng.uniform(0, 1, count))
    rng.shuffle(at)
    begin, finish = _along(piece.start, at), _along(piece.end, np.clip(at + rng.normal(0, 0.015, count), 0, 1))
    t = np.linspace(0, 1, 14)[None, :, None]
    lines = begin[:, None] * (1 - t) + finish[:, None] * t
    sign = np.sign(finish[:, :1] - begin[:, :1])[:, None]
    bow = 4 * t * (1 - t)
    lines = lines + bow * np.stack([sign[..., 0] * piece.bend[0], np.full_like(sign[..., 0], piece.bend[1])], -1)
    if piece.wave:
        phase = rng.normal(0, 0.5, (count, 1, 1))
        lines = lines + piece.wave * np.sin(t * 11 + phase) * np.array([1.0, 0.0])
    values = rng.uniform(-0.3, 0.26, count)
    return layer.strokes(list(lines), list(values), width=0.016, blur=0.006)


def _curl_map(layer: Layer, piece: Piece, rng: np.random.Generator) -> np.ndarray:
    low, high = piece.outline.min(0), piece.outline.max(0)
    count = int(np.prod(high - low) / (piece.curl**2) * 1.5)
    lines, values = [], rng.uniform(-0.34, 0.28, count)
    for centre in rng.uniform(low, high, (count, 2)):
        turn, t = rng.uniform(0, 6.28), np.linspace(0, 3.6, 9)
        lines.append(centre + piece.curl * rng.uniform(0.5, 1) * np.stack([np.cos(t + turn), np.sin(t + turn)], 1))
    return layer.strokes(lines, list(values), width=0.018, blur=0.006)


def _along(line: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points of a polyline at fractions of its length."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    position = at * length[-1]
    return np.stack([np.interp(position, length, line[:, 0]), np.interp(position, length, line[:, 1])], 1)


def _line(*points: tuple[float, float]) -> np.ndarray:
    return smooth(np.asarray(points, dtype=np.float32), closed=False)


def _skull(face: FaceShape, volume: float, *, sides: float = 0.0, low: float = 0.03) -> list[tuple[float, float]]:
    """Right half of the outer outline of hair, crown to ear."""
    c = face.cheek + sides
    v = volume
    return [
        (0, -0.565 - v),
        (0.2, -0.535 - v * 0.95),
        (c * 0.96, -0.36 - v * 0.6),
        (c + 0.035 + v * 0.3, -0.17),
        (c + 0.02, low),
    ]


def _flip(points: np.ndarray, side: float) -> np.ndarray:
    return points * np.array([side, 1.0], dtype=np.float32)


def _cap(face: FaceShape, volume: float, hairline: list[tuple[float, float]], *, burn: float = 0.08) -> Piece:
    """Hair that frames the face: outer outline, sideburns, and a hairline given from image right to left."""
    outer = _skull(face, volume)
    right = [*outer, (face.cheek + 0.012, burn), (face.cheek - 0.03, burn - 0.02), (face.cheek - 0.05, -0.1)]
    left = [(-x, y) for x, y in reversed(right)]
    outline = smooth(np.asarray([*right[1:], *hairline, *left[:-1], right[0]], dtype=np.float32))
    top = _line(*[(x * 0.99, y) for x, y in [*[(-a, b) for a, b in reversed(outer[1:])], *outer]])
    edge = _line(*[(-face.cheek + 0.02, -0.05), *reversed(hairline), (face.cheek - 0.02, -0.05)])
    return Piece(outline=outline, start=top, end=edge)


def _side_part(hair: Hair, face: FaceShape) -> HairShapes:
    v = 0.035 + 0.05 * hair.volume
    line = [
        (face.cheek - 0.06, -0.2),
        (0.2, -0.29),
        (0.02, -0.31),
        (-0.14, -0.37),
        (-0.2, -0.4),
        (-0.25, -0.33),
        (-face.cheek + 0.06, -0.2),
    ]
    cap = _cap(face, v, line)
    swept = Piece(
        outline=_flip(cap.outline, hair.side),
        start=_flip(_line((-0.16, -0.6 - v), (-0.19, -0.5), (-0.2, -0.4)), hair.side),
        end=_flip(_line((0.1, -0.66 - v), (face.cheek + 0.1, -0.3), (face.cheek, -0.05), (0.1, -0.26)), hair.side),
        bend=(0.02, -0.07),
    )
    return HairShapes(under=[_under_cap(face)], front=[swept])


def _under_cap(face: FaceShape) -> Piece:
    """Short hair at the temples below the front piece, hides the skull's edge."""
    line = [(face.cheek - 0.05, -0.2), (0.24, -0.33), (0.0, -0.37), (-0.24, -0.33), (-face.cheek + 0.05, -0.2)]
    return _cap(face, 0.02, line)


def _crop(hair: Hair, face: FaceShape) -> HairShapes:
    line = [
        (face.cheek - 0.055, -0.18),
        (0.27, -0.3),
        (0.12, -0.345),
        (-0.12, -0.345),
        (-0.27, -0.3),
        (-face.cheek + 0.055, -0.18),
    ]
    return HairShapes(front=[_cap(face, 0.012 + 0.025 * hair.volume, line, burn=0.05)])


def _receding(hair: Hair, face: FaceShape) -> HairShapes:
    line = [
        (face.cheek - 0.045, -0.2),
        (0.28, -0.36),
        (0.2, -0.46),
        (0.06, -0.4),
        (-0.06, -0.4),
        (-0.2, -0.46),
        (-0.28, -0.36),
    ]
    return HairShapes(front=[_cap(face, 0.01 + 0.02 * hair.volume, [*line, (-face.cheek + 0.045, -0.2)])])


def _quiff(hair: Hair, face: FaceShape) -> HairShapes:
    v = 0.07 + 0.07 * hair.volume
    line = [
        (face.cheek - 0.055, -0.2),
        (0.26, -0.33),
        (0.1, -0.37),
        (-0.1, -0.37),
        (-0.26, -0.33),
        (-face.cheek + 0.055, -0.2),
    ]
    cap = _cap(face, v, line)
    start, end = _line((-0.27, -0.33), (0, -0.37), (0.27, -0.33)), _line((-0.3, -0.5), (0.02, -0.6 - v), (0.36, -0.46))
    piece = Piece(
        outline=_flip(cap.outline, hair.side),
        start=_flip(start, hair.side),
        end=_flip(end, hair.side),
        bend=(0.03, -0.03),
    )
    return HairShapes(under=[_under_cap(face)], front=[piece])


def _waves_short(hair: Hair, face: FaceShape) -> HairShapes:
    shapes = _side_part(hair, face)
    piece = shapes.front[0]
    t = np.linspace(0, 2 * np.pi, len(piece.outline), endpoint=False)
    ripple = 0.014 * np.sin(14 * t)[:, None] * np.stack([np.cos(t), np.sin(t)], 1)
    outline = (piece.outline + ripple).astype(np.float32)
    return HairShapes(under=shapes.under, front=[Piece(outline, piece.start, piece.end, piece.bend, wave=0.018)])


def _cloud(outline: np.ndarray, radius: float, seed: int) -> np.ndarray:
    """An outline with bumps, for curls."""
    rng = np.random.default_rng(seed)
    closed = np.concatenate([outline, outline[:1]])
    length = np.linalg.norm(np.diff(closed, axis=0), axis=1).sum()
    at = np.linspace(0, 1, int(length / radius) * 8, endpoint=False)
    points = _along(closed, at)
    tangent = np.gradient(points, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], 1) / (np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9)
    normal *= np.sign(((points - outline.mean(0)) * normal).sum())
    bump = np.abs(np.sin(np.arange(len(at)) * np.pi / 8)) * radius * 0.55 * (0.8 + 0.4 * rng.random())
    return (points + normal * bump[:, None]).astype(np.float32)


def _curly(hair: Hair, face: FaceShape) -> HairShapes:
    v = 0.05 + 0.06 * hair.volume
    line = [
        (face.cheek - 0.06, -0.17),
        (0.22, -0.27),
        (0.06, -0.27),
        (-0.1, -0.28),
        (-0.24, -0.27),
        (-face.cheek + 0.06, -0.17),
    ]
    cap = _cap(face, v, line)
    piece = Piece(_cloud(cap.outline, 0.075, hair.seed), cap.start, cap.end, curl=0.045)
    return HairShapes(under=[_under_cap(face)], front=[piece])


def _afro(hair: Hair, face: FaceShape) -> HairShapes:
    size = 0.5 + 0.08 * hair.volume
    blob = _cloud(ellipse((0, -0.2), (size, size * 0.92), samples=40), 0.06, hair.seed)
    line = [
        (face.cheek - 0.04, -0.17),
        (0.28, -0.29),
        (0.12, -0.34),
        (-0.12, -0.34),
        (-0.28, -0.29),
        (-face.cheek + 0.04, -0.17),
    ]
    cap = _cap(face, 0.05, line)
    back = Piece(blob, cap.start, cap.end, curl=0.035)
    return HairShapes(back=[back], under=[], front=[Piece(cap.outline, cap.start, cap.end, curl=0.035)])


def _bald(hair: Hair, face: FaceShape) -> HairShapes:
    return HairShapes()


def _falling(face: FaceShape, *, volume: float, bottom: float, flare: float) -> Piece:
    """Hair that falls behind the shoulders down to `bottom`."""
    half = [*_skull(face, volume, sides=0.03)[:4], (face.cheek + 0.1 + flare * 0.3, 0.1)]
    half += [
        (face.cheek + 0.1 + flare * 0.8, bottom * 0.62),
        (face.cheek + 0.03 + flare, bottom - 0.04),
        (0.2, bottom),
        (0, bottom),
    ]
    outline = smooth(mirrored(half))
    start = _line((-0.3, -0.5), (0, -0.58), (0.3, -0.5))
    end = _line((-face.cheek - 0.08 - flare, bottom), (0, bottom + 0.05), (face.cheek + 0.08 + flare, bottom))
    return Piece(outline, start, end, bend=(0.22, 0.0))


def _curtain(
    face: FaceShape, *, side: int, part: float, volume: float, bottom: float, wave: float, flare: float
) -> Piece:
    """Front hair on one side of a parting, down along the cheek to `bottom`."""
    c, s = face.cheek, side
    p = part * s
    outer = [
        (p, -0.575 - volume),
        (0.2, -0.54 - volume),
        (c, -0.37 - volume * 0.5),
        (c + 0.075, -0.13),
        (c + 0.09 + flare * 0.4, 0.16),
    ]
    outer += [(c + 0.07 + flare, bottom * 0.7 + 0.05), (c + 0.02 + flare, bottom)]
    inner = [
        (c - 0.07 + flare * 0.8, bottom - 0.02),
        (c - 0.045 + flare * 0.3, bottom * 0.6),
        (c - 0.028, 0.2),
        (c - 0.035, -0.02),
    ]
    inner += [(c - 0.075, -0.2), (0.5 * c, -0.315), (p + 0.015, -0.4)]
    outline = smooth(np.asarray([*outer, *inner], dtype=np.float32)) * np.array([s, 1], dtype=np.float32)
    start = _line((p, -0.575 - volume), (p, -0.48), (p + 0.01, -0.4)) * (s, 1)
    end = _line(outer[-1], ((c - 0.02 + flare), bottom + 0.02), inner[0]) * (s, 1)
    return Piece(outline, start.astype(np.float32), end.astype(np.float32), bend=(0.13, -0.2), wave=wave)


def _parted(hair: Hair, face: FaceShape, *, bottom: float, back: float, wave: float, flare: float) -> HairShapes:
    v = 0.03 + 0.04 * hair.volume
    part = 0.14 * hair.side * (hair.volume > 0.35)
    sides = [_curtain(face, side=s, part=part, volume=v, bottom=bottom, wave=wave, flare=flare) for s in (-1, 1)]
    return HairShapes(back=[_falling(face, volume=v, bottom=back, flare=flare)], front=sides)


def _long(hair: Hair, face: FaceShape) -> HairShapes:
    bottom = 0.75 + 0.4 * hair.length
    return _parted(hair, face, bottom=bottom, back=bottom + 0.12, wave=0.0, flare=0.02)


def _long_wavy(hair: Hair, face: FaceShape) -> HairShapes:
    bottom = 0.7 + 0.35 * hair.length
    return _parted(hair, face, bottom=bottom, back=bottom + 0.1, wave=0.022, flare=0.08)


def _bob(hair: Hair, face: FaceShape) -> HairShapes:
    bottom = 0.38 + 0.16 * hair.length
    return _parted(hair, face, bottom=bottom, back=bottom + 0.04, wave=0.006, flare=0.03)


def _bangs(face: FaceShape, *, volume: float, low: float) -> Piece:
    c = face.cheek
    half = [*_skull(face, volume)[:4], (c - 0.01, -0.1), (c - 0.05, low + 0.01), (0.12, low), (0, low - 0.006)]
    return Piece(
        smooth(mirrored(half)),
        _line((-0.2, -0.58 - volume), (0, -0.6 - volume), (0.2, -0.58 - volume)),
        _line((-c, low + 0.05), (0, low), (c, low + 0.05)),
        bend=(0.03, -0.04),
    )


def _fringe_bob(hair: Hair, face: FaceShape) -> HairShapes:
    shapes = _bob(hair, face)
    v = 0.03 + 0.04 * hair.volume
    return HairShapes(back=shapes.back, front=[*shapes.front, _bangs(face, volume=v, low=-0.165 - 0.04 * hair.length)])


def _pulled_back(face: FaceShape, volume: float) -> Piece:
    line = [
        (face.cheek - 0.04, -0.15),
        (0.29, -0.29),
        (0.14, -0.365),
        (0, -0.385),
        (-0.14, -0.365),
        (-0.29, -0.29),
        (-face.cheek + 0.04, -0.15),
    ]
    cap = _cap(face, volume, line, burn=0.02)
    start = _line((-face.cheek, -0.1), (-0.29, -0.29), (0, -0.39), (0.29, -0.29), (face.cheek, -0.1))
    return Piece(cap.outline, start, _line((-0.12, -0.66), (0, -0.68), (0.12, -0.66)), bend=(-0.08, -0.03))


def _bun(hair: Hair, face: FaceShape) -> HairShapes:
    r = 0.14 + 0.04 * hair.volume
    knot = Piece(
        ellipse((0.04 * hair.side, -0.66), (r * 1.1, r)),
        _line((-0.15, -0.6), (0, -0.8)),
        _line((0.15, -0.6), (0.1, -0.75)),
        bend=(0, -0.08),
    )
    return HairShapes(back=[knot], front=[_pulled_back(face, 0.02)])


def _ponytail(hair: Hair, face: FaceShape) -> HairShapes:
    s, bottom = hair.side, 0.55 + 0.3 * hair.length
    tail = smooth(
        [
            (0.1, -0.55),
            (0.4, -0.42),
            (0.53, -0.05),
            (0.5, 0.35),
            (0.44, bottom),
            (0.36, 0.35),
            (0.34, -0.1),
            (0.1, -0.3),
        ]
    )
    piece = Piece(
        _flip(tail, s),
        _flip(_line((0.1, -0.55), (0.12, -0.35)), s),
        _flip(_line((0.47, bottom), (0.4, bottom)), s),
        bend=(0.2, -0.2),
    )
    return HairShapes(back=[piece], front=[_pulled_back(face, 0.025)])


_STYLES: dict[str, Callable[[Hair, FaceShape], HairShapes]] = {
    "side_part": _side_part,
    "crop": _crop,
    "quiff": _quiff,
    "waves_short": _waves_short,
    "curly": _curly,
    "bob": _bob,
    "fringe_bob": _fringe_bob,
    "long": _long,
    "long_wavy": _long_wavy,
    "bun": _bun,
    "ponytail": _ponytail,
    "bald": _bald,
    "receding": _receding,
    "afro": _afro,
}
