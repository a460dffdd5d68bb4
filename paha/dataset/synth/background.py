"""Backgrounds: plain, gradient, studio with blurred shapes, bookshelf, window. Static, drawn once per character."""

from __future__ import annotations

import numpy as np

from paha.dataset.synth.character import Backdrop
from paha.dataset.synth.drawing import Layer, ellipse, mix, scaled

SIDE = 128.0
"""Backgrounds are laid out on a square of 128 units."""


def draw_background(backdrop: Backdrop, *, pixels: int) -> np.ndarray:
    """Background (pixels, pixels, 3) uint8."""
    layer = Layer(low=(0, 0), high=(SIDE, SIDE), scale=pixels / SIDE)
    layer.paint(np.ones(layer.shape, dtype=np.float32), backdrop.mid)
    rng = np.random.default_rng(backdrop.seed)
    {"gradient": _gradient, "studio": _studio, "bookshelf": _bookshelf, "window": _window}.get(backdrop.kind, _plain)(
        layer, backdrop, rng
    )
    _vignette(layer)
    return layer.to_uint8()[..., :3]


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Corners of a rectangle."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float32)


def _plain(layer: Layer, backdrop: Backdrop, rng: np.random.Generator) -> None:
    layer.paint(np.ones(layer.shape, dtype=np.float32), mix(backdrop.light, backdrop.mid, rng.uniform(0, 0.6)))


def _gradient(layer: Layer, backdrop: Backdrop, rng: np.random.Generator) -> None:
    x, y = layer.grid()
    angle = rng.uniform(0, 2 * np.pi)
    ramp = ((x - 64) * np.cos(angle) + (y - 64) * np.sin(angle)) / 150 + 0.5
    layer.paint(np.clip(ramp, 0, 1).astype(np.float32), backdrop.light)
    glow = np.exp(-(((x - 64) / 55) ** 2 + ((y - 50) / 50) ** 2))
    layer.paint(glow.astype(np.float32), scaled(backdrop.light, 1.06), 0.5)


def _studio(layer: Layer, backdrop: Backdrop, rng: np.random.Generator) -> None:
    _gradient(layer, backdrop, rng)
    for _ in range(int(rng.integers(5, 11))):
        x, y, r = rng.uniform(0, 128), rng.uniform(0, 110), rng.uniform(5, 22)
        shape = ellipse((x, y), (r, r)) if rng.random() < 0.7 else box(x - r, y - 2 * r, x + r, y + 2 * r)
        colour = mix(backdrop.light, backdrop.accent, rng.uniform(0, 1))
        layer.paint(layer.mask(shape, blur=rng.uniform(1, 4)), colour, rng.uniform(0.2, 0.6))


def _bookshelf(layer: Layer, backdrop: Backdrop, rng: np.random.Generator) -> None:
    layer.paint(layer.mask(box(0, 0, 128, 128)), scaled(backdrop.mid, 0.62))
    wood = mix(backdrop.accent, (130, 92, 62), 0.6)
    tones = [backdrop.light, backdrop.accent, backdrop.mid, (150, 84, 70), (70, 96, 108), (186, 152, 98), (84, 104, 80)]
    y, step = rng.uniform(-14, 0), rng.uniform(30, 38)
    while y < 128:
        _book_row(layer, rng, tones, y, step)
        layer.paint(layer.mask(box(0, y + step - 3, 128, y + step), blur=0.6), wood)
        y += step
    blurred = layer.soften(layer.rgba, 1.1)
    layer.rgba[:] = blurred
    layer.paint(np.ones(layer.shape, dtype=np.float32), backdrop.light, 0.22)


def _book_row(layer: Layer, rng: np.random.Generator, tones: list, y: float, step: float) -> None:
    x = rng.uniform(-4, 2)
    while x < 128:
        width = rng.uniform(3, 7)
        if rng.random() < 0.14:
            x += rng.uniform(4, 14)
            continue
        top = y + rng.uniform(3, 0.38 * step)
        colour = scaled(tones[int(rng.integers(len(tones)))], rng.uniform(0.75, 1.05))
        layer.paint(layer.mask(box(x, top, x + width, y + step - 3)), colour)
        layer.paint(layer.mask(box(x + width - 0.7, top, x + width, y + step - 3)), scaled(colour, 0.7))
        layer.paint(layer.mask(box(x, top + 3, x + width, top + 4)), scaled(colour, 1.25))
        x += width + rng.uniform(0, 0.6)


def _window(layer: Layer, backdrop: Backdrop, rng: np.random.Generator) -> None:
    wall = mix(backdrop.mid, backdrop.light, 0.4)
    layer.paint(layer.mask(box(0, 0, 128, 128)), wall)
    x0, y0 = rng.uniform(2, 14) + (56 if rng.random() < 0.5 else 0), rng.uniform(-10, 8)
    x1, y1 = x0 + rng.uniform(48, 62), rng.uniform(74, 92)
    pane = layer.mask(box(x0, y0, x1, y1), blur=0.8)
    _, y = layer.grid()
    sky = np.clip((y - y0) / (y1 - y0), 0, 1) * np.ones(layer.shape, dtype=np.float32)
    layer.paint(pane, mix((168, 204, 232), backdrop.light, 0.3))
    layer.paint(pane * sky, mix((250, 238, 216), backdrop.light, 0.3))
    for _ in range(5):
        hill = ellipse((rng.uniform(x0, x1), y1 + 4), (rng.uniform(10, 20), rng.uniform(12, 26)))
        tone = mix((122, 156, 122), backdrop.accent, rng.uniform(0.2, 0.7))
        layer.paint(layer.mask(hill, blur=1.6) * pane, tone, 0.7)
    frame = mix((250, 248, 242), backdrop.light, 0.3)
    middle = (x0 + x1) / 2
    bars = [box(x0 - 2, y0, x0 + 1, y1), box(x1 - 1, y0, x1 + 2, y1), box(middle - 1, y0, middle + 1, y1)]
    bars += [box(x0 - 3, y1 - 1, x1 + 3, y1 + 3), box(x0, (y0 + y1) / 2 - 1, x1, (y0 + y1) / 2 + 1)]
    layer.paint(layer.mask(*bars, blur=0.7), frame)
    layer.paint(layer.mask(box(x0 - 3, y1 + 3, x1 + 3, y1 + 7), blur=2), scaled(wall, 0.75), 0.6)


def _vignette(layer: Layer) -> None:
    x, y = layer.grid()
    layer.shade((1.03 - 0.16 * (((x - 64) / 90) ** 2 + ((y - 54) / 96) ** 2)).astype(np.float32))
