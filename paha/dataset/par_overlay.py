"""Pictures of Eq. 2 and 3: keypoints by confidence, their circles, the areas, and M as a heat map with its scale.

Legend: T frames, H W pixels of the frames, z the factor by which a panel is larger than a frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from paha.config import ParConfig
from paha.dataset.posed_clips import PosedClip
from paha.par import loss_weight as par
from paha.types import FACE, FPS

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

PANEL_PX = 384
"""Side of a panel of a square frame; others have the same area."""
TITLES = ("keypoints by confidence", "areas (Eq. 2)", "M in pixels (Eq. 3)", "M on the latents")
_BAR_PX, _HEAD_PX, _GAP_PX, _TEXT_PX = 72, 40, 6, 13
_HAND_RGB, _FACE_RGB, _BODY_RGB = (255, 140, 0), (60, 160, 255), (120, 220, 120)
_UNSURE_RGB, _INK_RGB, _PAPER_RGB = (170, 170, 170), (30, 30, 30), (255, 255, 255)
# Dark violet, magenta, orange, pale yellow: rising in brightness, so that it reads in grey too.
_HEAT = np.array([(10, 6, 30), (75, 15, 110), (150, 40, 105), (215, 75, 60), (250, 150, 20), (252, 245, 165)], float)
# Red, yellow, blue: told apart by the colour-blind.
_SURE = np.array([(200, 30, 40), (245, 200, 60), (30, 90, 220)], float)


@dataclass(frozen=True)
class Weights:
    """PAR of a clip. M: (T, H, W) in pixels. M_latent: (T, h, w). hand, face, body: (T, H, W) bool, S_a of Eq. 2."""

    M: np.ndarray
    M_latent: np.ndarray
    hand: np.ndarray
    face: np.ndarray
    body: np.ndarray

    @property
    def top(self) -> float:
        """The largest weight, never below 2: the upper end of the scale."""
        return max(2.0, float(self.M.max()))


def weigh_clip(clip: PosedClip, config: ParConfig, *, downsample: int) -> Weights:
    """M and the areas of every frame of a clip. downsample: pixels of a latent cell's side."""
    height, width = clip.frames.shape[1:3]
    points, scores = torch.from_numpy(clip.points)[None], torch.from_numpy(clip.scores)[None]
    size = {"height": height, "width": width}
    latent = {"latent_height": max(1, height // downsample), "latent_width": max(1, width // downsample)}
    area = par.awareness_area(points, scores, config, **size)
    return Weights(
        M=par.loss_weight(points, scores, config, **size)[0, :, 0].numpy(),
        M_latent=par.loss_weight(points, scores, config, **size, **latent)[0, :, 0].numpy(),
        hand=area.hand[0].numpy(),
        face=area.face[0].numpy(),
        body=area.body[0].numpy(),
    )


def draw_clip(clip: PosedClip, config: ParConfig, *, downsample: int) -> Iterator[np.ndarray]:
    """The overlay of every frame of a clip, (H', W', 3) uint8, all of one size."""
    weights = weigh_clip(clip, config, downsample=downsample)
    for t in range(len(clip.frames)):
        yield draw_frame(clip, weights, t, config)


def draw_frame(clip: PosedClip, weights: Weights, t: int, config: ParConfig) -> np.ndarray:
    """Four panels of frame t side by side under their titles, and the scales of confidence and M beside them."""
    height, width = clip.frames.shape[1:3]
    zoom = PANEL_PX / math.sqrt(height * width)
    size = (round(width * zoom), round(height * zoom))
    frame = _resize(clip.frames[t], size)
    radius = zoom * config.radius * min(height, width) / par.REFERENCE_SIZE
    areas = {name: _grow(getattr(weights, name)[t], size) for name in ("hand", "face", "body")}
    panels = [
        _draw_points(frame, clip.points[t], clip.scores[t], config, radius=radius),
        _draw_areas(frame, areas),
        _draw_heat(frame, _resize_map(weights.M[t], size), weights.top),
        _draw_heat(frame, _grow(weights.M_latent[t], size), weights.top),
    ]
    caption = f"{clip.name}   {t / FPS:.2f} s   points: {clip.origin}   tau {_thresholds(config)}   omega_1 "
    caption += f"{config.hand_face_weight:g}, omega_2 {config.body_weight:g}, overlap {config.overlap}"
    return _assemble(panels, caption, config, weights.top)


def heat_colours(weight: np.ndarray, top: float) -> np.ndarray:
    """Colours (..., 3) uint8 of weights: dark for 1, pale for `top`, even in the logarithm."""
    return _ramp(np.log(np.maximum(weight, 1)) / math.log(top), _HEAT)


def _thresholds(config: ParConfig) -> str:
    values = {config.hand_threshold, config.face_threshold, config.body_threshold}
    if len(values) == 1:
        return f"{values.pop():g}"
    return f"hand {config.hand_threshold:g} face {config.face_threshold:g} body {config.body_threshold:g}"


def _draw_points(
    frame: np.ndarray, points: np.ndarray, scores: np.ndarray, config: ParConfig, *, radius: float
) -> np.ndarray:
    """Dots coloured by confidence, small and grey-rimmed below the threshold; a circle around each that counts."""
    from PIL import Image, ImageDraw

    zoom = 2  # drawn at twice the size: Pillow's lines are not smooth
    size = (frame.shape[1], frame.shape[0])
    picture = Image.fromarray(frame).point(lambda v: 0.7 * v).resize((zoom * size[0], zoom * size[1]))
    draw = ImageDraw.Draw(picture)
    tau = np.full(len(scores), config.body_threshold)
    tau[FACE], tau[par.HAND] = config.face_threshold, config.hand_threshold
    at = points * (np.array(size) * zoom)
    for k in np.flatnonzero((scores > tau) & (np.arange(len(scores)) >= FACE.start)):
        draw.ellipse(_disc(at[k], zoom * radius), outline=(255, 255, 255), width=1)
    for k in np.argsort(scores):
        if scores[k] <= 0:
            continue
        colour = tuple(_ramp(scores[k], _SURE).tolist())
        sure = scores[k] > tau[k]
        large = k < FACE.start
        draw.ellipse(
            _disc(at[k], zoom * ((4.0 if large else 2.2) if sure else 1.6)),
            fill=colour,
            outline=None if sure else _UNSURE_RGB,
        )
    return np.array(picture.resize(size, Image.Resampling.BOX))


def _disc(centre: np.ndarray, radius: float) -> tuple[float, float, float, float]:
    x, y = float(centre[0]), float(centre[1])
    return (x - radius, y - radius, x + radius, y + radius)


def _draw_areas(frame: np.ndarray, areas: dict[str, np.ndarray]) -> np.ndarray:
    picture = frame.astype(float) * 0.7
    colours = {"body": (_BODY_RGB, 0.35), "face": (_FACE_RGB, 0.6), "hand": (_HAND_RGB, 0.6)}
    for name, (rgb, share) in colours.items():
        mask = areas[name] > 0
        picture[mask] = (1 - share) * picture[mask] + share * np.array(rgb)
    return picture.round().astype(np.uint8)


def _draw_heat(frame: np.ndarray, weight: np.ndarray, top: float) -> np.ndarray:
    grey = frame.mean(-1, keepdims=True)
    return (0.35 * grey + 0.65 * heat_colours(weight, top)).round().astype(np.uint8)


def _assemble(panels: list[np.ndarray], caption: str, config: ParConfig, top: float) -> np.ndarray:
    from PIL import Image, ImageDraw

    height, width = panels[0].shape[:2]
    total = len(panels) * (width + _GAP_PX) + 2 * _BAR_PX
    page = Image.new("RGB", (total + total % 2, _HEAD_PX + height + height % 2), _PAPER_RGB)
    draw = ImageDraw.Draw(page)
    _text(draw, (_GAP_PX, 2), caption, limit=total)
    for i, panel in enumerate(panels):
        left = i * (width + _GAP_PX)
        page.paste(Image.fromarray(panel), (left, _HEAD_PX))
        _text(draw, (left + _GAP_PX, _HEAD_PX // 2), TITLES[i], limit=width)
    left = len(panels) * (width + _GAP_PX)
    _scale(page, left, height, "score", _SURE, {0.0: "0", 0.5: "0.5", 1.0: "1"} | {config.hand_threshold: "tau"})
    marks = [m for m in (1, 2, 5, 10, 20, 50, 100, 200, 500) if m <= top]
    _scale(page, left + _BAR_PX, height, "M", _HEAT, {math.log(m) / math.log(top): f"{m}" for m in marks})
    return np.array(page)


def _scale(page, left: int, height: int, title: str, colours: np.ndarray, marks: dict[float, str]) -> None:
    """A bar of colours from 0 (below) to 1 with marks."""
    from PIL import Image, ImageDraw

    draw = ImageDraw.Draw(page)
    top, tall, wide = _HEAD_PX + 4, height - 8, 14
    bar = np.repeat(_ramp(np.linspace(1, 0, tall)[:, None], colours), wide, axis=1)
    page.paste(Image.fromarray(bar), (left, top))
    _text(draw, (left, _HEAD_PX // 2), title, limit=_BAR_PX)
    for value, name in marks.items():
        y = top + round((1 - value) * (tall - 1))
        draw.line((left + wide, y, left + wide + 4, y), fill=_INK_RGB)
        _text(draw, (left + wide + 6, min(max(y - _TEXT_PX // 2, top - 4), top + tall - _TEXT_PX)), name, limit=_BAR_PX)


def _text(draw: ImageDraw, at: tuple[int, int], text: str, *, limit: int) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(_TEXT_PX)
    while len(text) > 4 and draw.textlength(text, font=font) > limit - 2:
        text = text[:-4] + "..."
    draw.text(at, text, fill=_INK_RGB, font=font)


def _ramp(value: np.ndarray | float, colours: np.ndarray) -> np.ndarray:
    """Values in [0, 1] to (..., 3) uint8, linear between evenly spaced colours."""
    value = np.asarray(value, float)
    at = np.clip(value, 0, 1) * (len(colours) - 1)
    low = np.minimum(at.astype(int), len(colours) - 2)
    share = (at - low)[..., None]
    return ((1 - share) * colours[low] + share * colours[low + 1]).round().astype(np.uint8)


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _resize_map(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    return np.array(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))


def _grow(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest neighbour, so that cells and edges stay as sharp as they are."""
    from PIL import Image

    return np.array(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.NEAREST))
