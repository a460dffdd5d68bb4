"""Data that crosses module borders, and the legend of dimension letters.

B batch, T video frames, C channels, H W height and width (latent or pixel, said where it matters), S image tokens,
A audio tokens of one frame, L layers of an audio feature, D feature width, K keypoints (133).
Tensors at module borders are B T C H W.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
class ClipBatch:
    """Windows of clips as training sees them.

    latents: (B, T, C, H, W) scaled codec latents z_0. ref_latent: (B, C, H, W). audio: (B, T, 2m+1, L, D).
    ref_channels: (B, C, H, W), the channel half where it is not the unscaled reference latent (motion latents).
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
    ref_channels: Tensor | None = None
