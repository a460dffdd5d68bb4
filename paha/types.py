"""Data that crosses module borders, and the legend of dimension letters.

B batch, T video frames, C channels, H W height and width (latent or pixel, said where it matters), S image tokens,
A audio tokens of one frame, L layers of an audio feature, D feature width, K keypoints (133).
Tensors at module borders are B T C H W.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import Generator, Tensor  # seconds of start-up

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


def _within(path: str) -> str:
    """A path below the manifest's folder."""
    if path.startswith(("/", "\\")) or ":" in path.split("/")[0] or ".." in path.replace("\\", "/").split("/"):
        raise ValueError(f"'{path}' leads out of the dataset's folder")
    return path


def _file_name(name: str) -> str:
    """A name that files may be called by."""
    if "/" in name or "\\" in name or "\0" in name or name.startswith("."):
        raise ValueError(f"'{name}' is no name of a file")
    return name


class ClipRecord(BaseModel):
    """One line of manifest.jsonl (docs/data_format.md). Paths are relative to the manifest's folder, and within it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    clip_id: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_file_name)]
    video: Annotated[str, AfterValidator(_within)]
    audio: Annotated[str, AfterValidator(_within)]
    annotations: Annotated[str, AfterValidator(_within)]
    num_frames: int = Field(ge=1, le=10**8)
    width: int = Field(ge=1, le=10**5)
    height: int = Field(ge=1, le=10**5)
    fps: float = Field(default=FPS, gt=0, le=1000)
    sample_rate_hz: int = Field(default=SAMPLE_RATE_HZ, ge=1, le=10**7)
    identity: str
    source: str
    language: str = ""
    text: str = ""
    seed: int | None = None
    licence: str = ""


class BatchContext(Protocol):
    """Which part of which step a batch is of, and the randomness that follows from it (`paha.training.job`)."""

    @property
    def step(self) -> int:
        """Completed steps, from 0."""
        ...

    @property
    def micro(self) -> int:
        """Which part of the step's batch, over all processes."""
        ...

    def generator(self, name: str) -> Generator:
        """A fresh CPU generator for one named use."""
        ...


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
