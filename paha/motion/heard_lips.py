"""Lips as the acoustic model hears them, mixed into sampled motion: a departure from the paper (docs/design.md).

What UniVDM samples for the lips is what it hears plus chance, and its mouth as a whole is open a little too much or too
little in each segment. The acoustic model's own reading has neither, but knows nothing of the person. Off by default
(`sample.heard_lips`); the paper's settings do without.
Letters: T frames, C channels, G cells a side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paha.extractors.acoustic_model import LIPS
from paha.motion.motion_codec import CHANNELS, PersonGrid

_OF_A_PERSON = ("mouth_wide", "lip_press")
"""Signals whose middle is the person's, width and thickness, which no sound tells: the sample's own is kept."""


def with_heard_lips(
    z_TCGG: Tensor, heard_T3: Tensor, grid: PersonGrid, *, share: float, given_first: bool = False
) -> Tensor:
    """Scaled latents (T, C, G, G) whose lips are `share` (0 to 1) as they are heard, the rest as they were sampled.

    heard_T3: LIPS in the units of `PersonMotion`, from neutral. given_first: frame 0 was given and is kept.
    """
    if share == 0:
        return z_TCGG
    own, mixed = grid.read(z_TCGG), z_TCGG.clone()
    for heard, name in zip(heard_T3.numpy().T, LIPS, strict=True):
        sampled, channel = getattr(own, name), CHANNELS.index(name)
        wanted = heard - getattr(grid.geometry.state, name)
        if name in _OF_A_PERSON:
            wanted = wanted - wanted.mean() + sampled.mean()
        change = grid.scales[channel] * grid.canvases[name].paint((share * (wanted - sampled))[:, None])
        mixed[:, channel] += torch.from_numpy(change).to(mixed)
    if given_first:
        mixed[0] = z_TCGG[0]
    return mixed
