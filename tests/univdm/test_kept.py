"""What all steps of a segment have in common is computed once, and changes nothing."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from paha.cli.options import configuration
from paha.config import PahaConfig
from paha.planning.plan import example_inputs
from paha.presets import preset
from paha.univdm.attention import ConditioningCache
from tests.toy import toy_pipeline, toy_univdm
from tests.toy_svd import SETTINGS

CONFIGS = {"debug": preset("debug"), "paper": configuration("paper", list(SETTINGS))}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@torch.no_grad()
def test_every_step_is_the_same_to_the_bit(config: PahaConfig):
    model, cache, calls = toy_univdm(config), ConditioningCache(), Counter()
    z, times, conditioning = example_inputs(config, batch_size=1)
    wanted = [model(z + step, times - step, conditioning) for step in range(3)]
    once = ("audio_projection", "audio_time_proj", "audio_attn.to_k", "audio_attn.to_v", "attn2.to_k", "attn2.to_v")
    for name, module in model.named_modules():
        if name.endswith((*once, "time_pos_embed")):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    found = [model(z + step, times - step, conditioning, cache=cache) for step in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert len(calls) > 10
    assert set(calls.values()) == {1}


def test_a_segment_projects_its_audio_once_and_the_next_one_again():
    pipeline, calls = toy_pipeline(), []
    pipeline.univdm.audio_projection.register_forward_hook(lambda *_: calls.append(1))
    image = (torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0)) * 255).byte().numpy()
    sound = torch.randn(16_000, generator=torch.Generator().manual_seed(0)).numpy(), 16_000
    pipeline(image, sound, num_frames=7, num_inference_steps=3, seed=0)
    assert len(calls) == 2
    pipeline(image, sound, num_frames=7, num_inference_steps=3, seed=0, cfg_scale=2.0)
    assert len(calls) == 2 + 2  # the prediction without audio projects none
