"""A band limit on sampled motion: heads and arms have mass, and do not tremble from frame to frame.

What a small network leaves of the noise is white in time; a person's motion is not. Each channel is blurred over the
frames by no more than its own motion bears. A segment's given first frame stays, so that segments still join.
Letters: T frames, C channels, G cells a side.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMAS = {
    "shift_x": 2.0,
    "shift_y": 2.0,
    "yaw": 2.0,
    "pitch": 1.6,
    "rotation": 2.0,
    "mouth_open": 0.7,
    "mouth_wide": 0.9,
    "lip_press": 0.6,
    "lids": 0.6,
    "brows": 1.6,
    "gaze_x": 0.8,
    "gaze_y": 0.8,
}
"""Deviation of the blur in frames, by channel: what takes nothing of the rig's own motion (docs/log.md)."""
JOIN = 2.5
"""A given first frame's difference from the blurred motion dies away over JOIN times the square of a channel's blur, in
frames: arms take 10, lips, which must be in time, one."""


def smooth_motion(z_TCGG: Tensor, *, given_first: bool, strength: float = 1.0) -> Tensor:
    """Latents (T, C, G, G) blurred over time. given_first: frame 0 was given and is kept. strength: times the blur's
    deviations; 0 changes nothing."""
    if strength == 0:
        return z_TCGG
    sigmas = [strength * sigma for sigma in SIGMAS.values()]
    # A given frame is left out of the blur: what follows may begin elsewhere, and a blurred step is still a step.
    made = z_TCGG[1:] if given_first and len(z_TCGG) > 1 else z_TCGG
    blurred = torch.stack([_blur(made[:, c], sigma) for c, sigma in enumerate(sigmas)], 1)
    if given_first:
        before = 2 * blurred[:1] - blurred[1:2] if len(blurred) > 1 else blurred[:1]
        blurred = torch.cat([before, blurred])[: len(z_TCGG)]
        # Flat at first, so that neither place nor speed jumps where segments meet.
        frames = torch.arange(len(z_TCGG))[:, None] / (JOIN * torch.tensor(sigmas).square())
        fade = torch.exp(-(frames**2)).to(z_TCGG)[..., None, None]
        blurred = blurred + fade * (z_TCGG[:1] - blurred[:1])
        blurred[0] = z_TCGG[0]
    return blurred


def _blur(x_TGG: Tensor, sigma: float) -> Tensor:
    """A Gaussian over time; the ends go on as they are."""
    reach = max(1, round(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2).to(x_TGG)
    rows = x_TGG.flatten(1).T[:, None]
    padded = F.pad(rows, (reach, reach), mode="replicate")
    return F.conv1d(padded, (kernel / kernel.sum())[None, None])[:, 0].T.reshape(x_TGG.shape)
