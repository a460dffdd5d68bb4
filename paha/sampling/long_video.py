"""Videos of any length out of segments of the trained length (appendix B.4.1, design rows 2 and 17).

The first segment starts from noise alone; each later one is given the last *latent* of the one before as its first
frame, which is not emitted twice. The last segment runs at full length too, on the last frame's audio, and is cut.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from paha.errors import PahaError


@dataclass(frozen=True)
class Segment:
    """Frames start .. start + length - 1 of the video are sampled together; those of `emitted` are new and wanted.

    emitted: indices within the segment.
    """

    index: int
    start: int
    length: int
    emitted: slice

    @property
    def frames(self) -> Tensor:
        """(length,) int64: the video's frames that are sampled together; the last segment's may lie past its end."""
        return torch.arange(self.start, self.start + self.length)

    @property
    def num_emitted(self) -> int:
        """New frames of the video."""
        return self.emitted.stop - self.emitted.start


def plan_segments(num_frames: int, segment_frames: int) -> list[Segment]:
    """Segments of `segment_frames` frames that together emit frames 0 .. num_frames - 1 once, in order.

    Neighbours share one frame. Raises PahaError where segments of one frame cannot be chained.
    """
    if num_frames <= segment_frames:
        return [Segment(0, 0, segment_frames, slice(0, num_frames))]
    if segment_frames < 2:
        raise PahaError(f"num_frames is {segment_frames}; a long video needs segments of at least 2 frames")
    stride = segment_frames - 1
    segments = []
    for index in range(math.ceil((num_frames - 1) / stride)):
        start = index * stride
        emitted = slice(min(index, 1), min(segment_frames, num_frames - start))
        segments.append(Segment(index, start, segment_frames, emitted))
    return segments


def segment_seed(seed: int, index: int) -> int:
    """The noise seed of a segment, so that any one can be sampled again alone. Segment 0 has the seed itself."""
    if index == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:8], "little") >> 1


def segment_noise(shape: tuple[int, ...], *, seed: int, index: int) -> Tensor:
    """z_T of a segment, float32 on the CPU: the same on every device, resumed or not."""
    generator = torch.Generator().manual_seed(segment_seed(seed, index))
    return torch.randn(shape, generator=generator)


def chain_segments(
    sample_segment: Callable[[Segment, Tensor | None], Tensor],
    segments: Iterable[Segment],
    *,
    first_latent: Tensor | None = None,
) -> Iterator[tuple[Segment, Tensor]]:
    """Sample one segment after the other; yields (segment, its latents (T, C, h, w)) as each is done.

    sample_segment: (segment, first frame's latent (C, h, w) or None) -> (T, C, h, w). first_latent: the last latent of
    the segment before the first of `segments`, to go on from there; None at the video's start.
    """
    for segment in segments:
        z_0 = sample_segment(segment, first_latent)
        first_latent = z_0[-1]
        yield segment, z_0
