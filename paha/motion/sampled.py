"""What sampling does with motion latents beside the solver: the noise that it begins with, the band limit at its end.

Wherever latents are sampled as videos are made (the pipeline, negatives, experiments) both belong to it: what a
classifier is shown as generated must be what a viewer is shown. Latents of pixels pass through as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paha.config import PahaConfig
from paha.motion.motion_codec import shaped_noise
from paha.motion.smoothing import smooth_motion


def initial_noise(noise_BTCHW: Tensor, config: PahaConfig) -> Tensor:
    """White noise as the preset's sampling begins with it (`sample.lip_noise`, `sample.shift_noise`)."""
    if config.codec.kind != "motion":
        return noise_BTCHW
    return shaped_noise(noise_BTCHW, lips=config.sample.lip_noise, shifts=config.sample.shift_noise)


def band_limited(z_BTCHW: Tensor, config: PahaConfig, *, given_first: bool) -> Tensor:
    """Sampled latents of a segment with the preset's band limit (`sample.motion_smoothing`). given_first: frame 0 was
    given and is kept."""
    strength = config.sample.motion_smoothing
    if config.codec.kind != "motion" or strength == 0:
        return z_BTCHW
    return torch.stack([smooth_motion(z, given_first=given_first, strength=strength) for z in z_BTCHW.float()])
