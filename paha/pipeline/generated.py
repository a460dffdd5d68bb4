"""What the pipeline gives back: finished segments one by one, or the whole video in diffusers' form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from paha.sampling.long_video import Segment

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass
class PahaPipelineOutput:
    """frames: uint8 (T, H, W, 3); a list of PIL images; or float32 codec latents (T, C, h, w), by output_type."""

    frames: Any


@dataclass(frozen=True)
class SegmentOutput:
    """A finished segment. latents: (T, C, h, w) float32 on the CPU, of the whole segment, as they were diffused; what
    `decode` takes and, its last one, what the next segment starts from. iter_frames: its new frames (H, W, 3) uint8,
    each as it is decoded."""

    segment: Segment
    latents: Tensor
    iter_frames: Callable[[], Iterator[np.ndarray]]

    @cached_property
    def frames(self) -> np.ndarray:
        """Its new frames, uint8 (T', H, W, 3)."""
        return np.stack(list(self.iter_frames()))

    @property
    def last_latent(self) -> Tensor:
        """(C, h, w): `first_latent` of the next segment."""
        return self.latents[-1]


def as_pil(frames: np.ndarray) -> list[Image]:
    """uint8 (T, H, W, 3) as PIL images."""
    from PIL import Image

    return [Image.fromarray(frame) for frame in frames]
