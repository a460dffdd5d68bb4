"""UniVDM as the sampler calls it: classifier-free guidance on the audio, and what all steps of a segment share."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor

from paha.sampling.sampler import Predict
from paha.sampling.schedule import Schedule
from paha.univdm.attention import ConditioningCache
from paha.univdm.conditioning import Conditioning
from paha.univdm.univdm import UniVDM


def make_predictor(
    univdm: UniVDM,
    schedule: Schedule,
    conditioning: Conditioning,
    cfg_scale: float = 1.0,
    *,
    skip_first: bool = False,
) -> Predict:
    """Float32 latents in and out, whatever type the network has.

    conditioning: a segment's, on the network's device and in its type. cfg_scale: prediction without audio + scale *
    (with - without); 1 costs one evaluation, any other two. skip_first: with the audio alone in the first solver step.
    """
    ref_time = float(schedule.time_input(0))

    @cache
    def model_kwargs(copies: int, with_audio: bool, share_deep: bool) -> dict[str, Any]:
        """Differential Guidance asks about three latents at once; what the steps have in common is cached."""
        own = {"deep_clips": len(conditioning.audio)} if share_deep else {}
        told = {"conditioning": conditioning.repeat(copies), "audio_free": not with_audio}
        return {"ref_time": ref_time, "cache": ConditioningCache()} | told | own

    def predict(z: Tensor, t: Tensor, /, *, share_deep: bool = False) -> Tensor:
        inputs = z.to(univdm.dtype), schedule.time_input(t)
        copies = len(z) // len(conditioning.audio)
        prediction = univdm(*inputs, **model_kwargs(copies, True, share_deep)).float()
        if cfg_scale == 1 or (skip_first and schedule.is_first(t)):
            return prediction
        without = univdm(*inputs, **model_kwargs(copies, False, share_deep)).float()
        return without + cfg_scale * (prediction - without)

    return predict
