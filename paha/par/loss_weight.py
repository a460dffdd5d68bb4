"""Parts-Aware Re-weighting (section 4.1.2): keypoints and their confidences become the loss weight M of every pixel.

Design row 7 says how the paper is read. Notation: p_i -> points, c_{p_i} -> scores, tau_j -> thresholds, r -> radius,
S_a -> AwarenessArea, T(.) -> _smooth, omega_1 -> hand_face_weight, omega_2 -> body_weight, M(x) -> loss_weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from paha.config import ParConfig
from paha.types import FACE, LEFT_HAND, RIGHT_HAND

REFERENCE_SIZE = 512
"""Lengths of ParConfig are pixels of a frame whose shorter side is this."""
CACHED_PIXELS = 2**18
"""Pixels of the frames that are drawn at once on a CPU."""
HAND = slice(LEFT_HAND.start, RIGHT_HAND.stop)
TORSO_AND_ARMS = slice(5, 13)
"""COCO points 5-12: shoulders, elbows, wrists, hips. The head is left out, as Fig. 3 draws the rectangle."""
HIPS = slice(11, 13)


@dataclass(frozen=True)
class AwarenessArea:
    """S_a of Eq. 2 for every region: bool (B, T, H, W) masks of the pixels whose centres lie inside."""

    hand: Tensor
    face: Tensor
    body: Tensor


def awareness_area(points: Tensor, scores: Tensor, config: ParConfig, *, height: int, width: int) -> AwarenessArea:
    """Eq. 2: circles around the reliable hand and face points, a rectangle around the reliable body points.

    points: (B, T, 133, 2), (x, y) in [0, 1] of width and height. scores: (B, T, 133), clamped to [0, 1]; reliable means
    strictly above the region's threshold. Raises ValueError for NaN scores or a reliable NaN point.
    """
    frames = _frames(points, scores, height=height, width=width)
    radius = _radius(config, height, width)
    body = _fill(_body_rectangle(*frames, config, height=height), height=height, width=width)
    circles = {
        name: _stamp(frames[0], _reliable(frames[1], config, region), radius, Window(0, 0, width, height), "max") > 0
        for name, region in (("hand", HAND), ("face", FACE))
    }
    return AwarenessArea(**{k: v.unflatten(0, scores.shape[:2]) for k, v in (circles | {"body": body}).items()})


def loss_weight(
    points: Tensor,
    scores: Tensor,
    config: ParConfig,
    *,
    height: int,
    width: int,
    latent_height: int | None = None,
    latent_width: int | None = None,
) -> Tensor:
    """Eq. 3: M, (B, T, 1, h, w), at least 1, area-averaged to the latent size where one is given.

    points and scores as for `awareness_area`; height and width are those of the drawing, in pixels. Float64 points give
    M in float64, all others in float32.
    """
    pixels, kept = _frames(points, scores, height=height, width=width)
    confidence = _reliable(kept, config, HAND) + _reliable(kept, config, FACE)
    body = _body_rectangle(pixels, kept, config, height=height)
    # Frames that fit into the cache are drawn several times as fast; an accelerator wants them all at once.
    at_once = max(1, CACHED_PIXELS // (height * width)) if pixels.device.type == "cpu" else max(1, len(pixels))
    parts = []
    for some in zip(pixels.split(at_once), confidence.split(at_once), body.split(at_once), strict=True):
        weight = _weigh(*some, config, height=height, width=width)
        if latent_height is not None and latent_width is not None:
            weight = F.interpolate(weight[:, None], size=(latent_height, latent_width), mode="area")[:, 0]
        parts.append(weight)
    return torch.cat(parts).unflatten(0, scores.shape[:2])[:, :, None]


def _weigh(points: Tensor, confidence: Tensor, body: Tensor, config: ParConfig, *, height: int, width: int) -> Tensor:
    """M (N, H, W) of N frames. points: (N, 133, 2) px. confidence: (N, 133), 0 where not reliable. body: (N, 4) px."""
    inside = _fill(body, height=height, width=width)
    weight = torch.where(inside, max(config.body_weight, 1.0), 1.0).to(points.dtype)
    radius = _radius(config, height, width)
    window = _window(points, confidence > 0, math.ceil(radius + 3 * radius / 2), height=height, width=width)
    if window is None:
        return weight
    total = _stamp(points, confidence, radius, window, config.overlap)
    # Eq. 3
    hand_face = config.hand_face_weight * (_smooth(total, radius / 2) if config.smoothing else total)
    near = weight[:, window.y0 : window.y1, window.x0 : window.x1]
    near.copy_(torch.maximum(near, hand_face))
    return weight


class Window(NamedTuple):
    """Whole pixels x0 <= x < x1, y0 <= y < y1 of a frame."""

    x0: int
    y0: int
    x1: int
    y1: int


def _window(points: Tensor, keep: Tensor, margin: int, *, height: int, width: int) -> Window | None:
    """What part of the frames the kept points (N, K) reach with a margin; None where they reach nothing.

    The whole frame on an accelerator, which would have to wait for the answer.
    """
    if points.device.type != "cpu":
        return Window(0, 0, width, height)
    kept = points[keep]
    if not len(kept):
        return None
    low, high = kept.amin(dim=0).floor() - margin, kept.amax(dim=0).ceil() + margin
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    x1, y1 = min(width, int(high[0])), min(height, int(high[1]))
    return Window(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _radius(config: ParConfig, height: int, width: int) -> float:
    return config.radius * min(height, width) / REFERENCE_SIZE


def _frames(points: Tensor, scores: Tensor, *, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Points (N, 133, 2) in pixels and scores (N, 133) in [0, 1] of all B T frames.

    Points with score 0 may be NaN; they are moved far outside the frame.
    """
    if points.shape != (*scores.shape, 2):
        raise ValueError(f"points {tuple(points.shape)} and scores {tuple(scores.shape)} do not fit together")
    if torch.isnan(scores).any():
        raise ValueError("scores contain NaN")
    dtype = torch.float64 if points.dtype == torch.float64 else torch.float32
    scores = scores.to(dtype).clamp(0, 1)
    bad = ~torch.isfinite(points).all(dim=-1)
    if (bad & (scores > 0)).any():
        raise ValueError("a keypoint with a positive score has no finite position")
    pixels = points.to(dtype) * torch.tensor([width, height], dtype=dtype, device=points.device)
    pixels = torch.where(bad[..., None], -1e6, pixels).clamp(-1e6, 1e6)
    return pixels.flatten(0, 1), scores.flatten(0, 1)


def _reliable(scores: Tensor, config: ParConfig, region: slice) -> Tensor:
    """Scores (N, 133) of the region's reliable points, 0 for all others."""
    threshold = config.hand_threshold if region == HAND else config.face_threshold
    kept = torch.zeros_like(scores)
    kept[:, region] = scores[:, region]
    return torch.where(kept > threshold, kept, 0.0)


def _stamp(points: Tensor, values: Tensor, radius: float, window: Window, overlap: str) -> Tensor:
    """(N, h, w) of the window: at every pixel centre, the sum (or maximum) of `values` over the circles that cover it.

    points: (N, 133, 2) px, values: (N, 133). Face and hand points only are drawn. Only the (2r + 2)^2 pixels around
    each of them are touched, so the cost does not grow with the frame.
    """
    points, values = points[:, FACE.start :], values[:, FACE.start :]
    width, height = window.x1 - window.x0, window.y1 - window.y0
    offset = torch.arange(math.ceil(2 * radius) + 1, device=points.device)
    corner = torch.floor(points - radius).long()  # N K 2
    x = corner[..., 0, None] + offset  # N K side
    y = corner[..., 1, None] + offset
    near = ((x + 0.5 - points[..., 0, None]) ** 2)[..., None, :] + ((y + 0.5 - points[..., 1, None]) ** 2)[..., None]
    x, y = x - window.x0, y - window.y0
    inside = ((x >= 0) & (x < width))[..., None, :] & ((y >= 0) & (y < height))[..., None]
    covered = (near <= radius**2) & inside  # N K side side
    index = ((y.clamp(0, height - 1) * width)[..., None] + x.clamp(0, width - 1)[..., None, :]).flatten(1)
    stamped = torch.where(covered, values[..., None, None], 0.0).flatten(1)
    image = values.new_zeros(len(points), height * width)
    if overlap == "sum":
        image.scatter_add_(1, index, stamped)
    else:
        image.scatter_reduce_(1, index, stamped, reduce="amax")
    return image.unflatten(1, (height, width))


def _body_rectangle(points: Tensor, scores: Tensor, config: ParConfig, *, height: int) -> Tensor:
    """(N, 4) x0 y0 x1 y1 px: the extremes of the reliable body points; inf to -inf where there are none."""
    p = points[:, TORSO_AND_ARMS]
    keep = (scores[:, TORSO_AND_ARMS] > config.body_threshold)[..., None]
    low = torch.where(keep, p, torch.inf).amin(dim=1)  # N 2
    high = torch.where(keep, p, -torch.inf).amax(dim=1)
    if config.extend_body_to_bottom:
        hips_hidden = (scores[:, HIPS] <= config.body_threshold).all(dim=1)
        high[:, 1] = torch.where(hips_hidden & keep.any(dim=1).squeeze(-1), float(height), high[:, 1])
    return torch.cat([low, high], dim=1)


def _fill(box: Tensor, *, height: int, width: int) -> Tensor:
    """(N, H, W) bool: pixel centres within boxes (N, 4) x0 y0 x1 y1 px, their edges included."""
    x = torch.arange(width, device=box.device) + 0.5
    y = torch.arange(height, device=box.device) + 0.5
    in_x = (x >= box[:, 0, None]) & (x <= box[:, 2, None])
    in_y = (y >= box[:, 1, None]) & (y <= box[:, 3, None])
    return in_y[..., None] & in_x[:, None]


def _smooth(image: Tensor, sigma: float) -> Tensor:
    """T(.) of Eq. 3: separable Gaussian cut at 3 sigma, normalised, zero padding. image: (N, H, W).

    Sums of shifted images: 50 times as fast on a CPU as a one-channel convolution.
    """
    reach = int(3 * sigma)
    taps = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sigma**2))
    kernel = (taps / taps.sum()).tolist()
    for dim in (-1, -2):
        size = image.shape[dim]
        blurred = image * kernel[reach]
        for shift in range(1, min(reach, size - 1) + 1):
            kept = size - shift
            blurred.narrow(dim, shift, kept).add_(image.narrow(dim, 0, kept), alpha=kernel[reach + shift])
            blurred.narrow(dim, 0, kept).add_(image.narrow(dim, shift, kept), alpha=kernel[reach + shift])
        image = blurred
    return image
