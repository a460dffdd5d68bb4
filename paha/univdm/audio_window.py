"""A(f), the audio that UniVDM is given for frame f: the features of frames f - m .. f + m (section 4.1.1)."""

from __future__ import annotations

import torch
from torch import Tensor


def window_frames(frames: Tensor, margin: int, *, last: int | Tensor, first: int | Tensor = 0) -> Tensor:
    """The frames f - margin .. f + margin of every f in `frames` (...): int64 (..., 2 margin + 1).

    first, last: the ends of the recording, to which they are clamped; numbers, or tensors that broadcast over the
    result.
    """
    around = frames[..., None] + torch.arange(-margin, margin + 1, device=frames.device)
    return around.clamp(min=first).clamp(max=last)  # pyright: ignore[reportArgumentType, reportCallIssue]


def audio_windows(features: Tensor, margin: int, frames: Tensor | None = None) -> Tensor:
    """A(f) of `frames` (...), by default of all: (T, L, D) features of a recording to (..., 2 margin + 1, L, D).

    Windows look beyond a segment's ends, not beyond the recording's. A frame past the recording's end has the window of
    its last one.
    """
    last = len(features) - 1
    frames = torch.arange(len(features), device=features.device) if frames is None else frames.clamp(max=last)
    return features[window_frames(frames, margin, last=last)]
