"""Data that crosses module borders, and the legend of dimension letters.

B batch, T video frames, C channels, H W height and width (latent or pixel, said where it matters), S image tokens,
A audio tokens of one frame, L layers of an audio feature, D feature width, K keypoints (133).
Tensors at module borders are B T C H W.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

FPS = 25
"""Frames a second that the model works at."""
SAMPLE_RATE_HZ = 16_000
"""Samples a second that the audio encoders work at; FPS divides it."""

# COCO-WholeBody order of the 133 keypoints.
NUM_KEYPOINTS = 133
BODY = slice(0, 17)
FEET = slice(17, 23)
FACE = slice(23, 91)
LEFT_HAND = slice(91, 112)
RIGHT_HAND = slice(112, 133)


@dataclass(frozen=True)
class Keypoints:
    """Whole-body keypoints of a clip.

    points: (T, 133, 2) float32, (x, y) in pixels of the frame, pixel centres at +0.5.
    scores: (T, 133) float32 in [0, 1].
    """

    points: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        if self.points.shape != (*self.scores.shape, 2) or self.points.shape[1] != NUM_KEYPOINTS:
            raise ValueError(f"keypoints {self.points.shape} and scores {self.scores.shape} do not fit together")


class ClipRecord(BaseModel):
    """One line of manifest.jsonl (docs/data_format.md). Paths are relative to the manifest's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clip_id: str
    video: str
    audio: str
    annotations: str
    num_frames: int
    width: int
    height: int
    fps: float = FPS
    sample_rate_hz: int = SAMPLE_RATE_HZ
    identity: str
    source: str
    language: str = ""
    text: str = ""
    seed: int | None = None
    licence: str = ""


@dataclass(frozen=True)
class Conditioning:
    """What UniVDM is conditioned on, beside the noisy latents and their timesteps.

    ref_latent: (B, C, H, W), frame 0 of the merged sequence (design row 1), or None for no reference slot.
    ref_channels: (B, C, H, W) or (B, T, C, H, W), the channel half of every frame's input; zeros where dropped.
    image_tokens: (B, S, D). audio: (B, T, 2m+1, L, D), the window A(f) of raw audio features of each frame.
    audio_mask: (B,) 1 keeps the audio, 0 drops it (its tokens become zero). time_ids: (B, N) SVD's added ids, or None.
    """

    ref_latent: Tensor | None
    ref_channels: Tensor
    image_tokens: Tensor
    audio: Tensor
    audio_mask: Tensor | None = None
    time_ids: Tensor | None = None

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same conditioning on another device or in another floating-point type."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device=device, dtype=dtype) for k, v in values.items() if v is not None})

    def repeat(self, copies: int) -> Self:
        """The conditioning of `copies` copies of the batch, one after the other."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: torch.cat([v] * copies) for k, v in values.items() if v is not None})


@dataclass(frozen=True)
class ClipBatch:
    """Windows of clips as training sees them.

    latents: (B, T, C, H, W) scaled codec latents z_0. ref_latent: (B, C, H, W). audio: (B, T, 2m+1, L, D).
    image_tokens: (B, S, D). points: (B, T, K, 2) in [0, 1] of width and height. scores: (B, T, K).
    face_box: (B, 4) x0 y0 x1 y1 in [0, 1]. clip_ids: names of the clips.
    """

    latents: Tensor
    ref_latent: Tensor
    audio: Tensor
    image_tokens: Tensor
    points: Tensor
    scores: Tensor
    face_box: Tensor
    clip_ids: tuple[str, ...]
