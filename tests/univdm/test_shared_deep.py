"""Deep features computed once for nearly equal clips (an approximation of Differential Guidance's three steps)."""

from __future__ import annotations

import pytest
import torch
from toy import toy_univdm

from paha.errors import PahaError
from paha.planning.accounting import Meter
from paha.planning.plan import example_inputs
from paha.presets import preset
from paha.univdm.attention import ConditioningCache
from paha.univdm.univdm import UniVDM

DEBUG = preset("debug")


def inputs(copies: int = 3):
    z, times, conditioning = example_inputs(DEBUG, batch_size=2)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(z.shape, generator=generator)
    return z.repeat(copies, 1, 1, 1, 1), times.repeat(copies, 1), conditioning.repeat(copies)


@torch.no_grad()
def test_equal_copies_get_the_full_evaluation():
    """To the bit where the deep levels compute as many clips at a time, up to a convolution's rounding else."""
    model = toy_univdm(DEBUG)
    z, times, conditioning = inputs()
    full = model(z, times, conditioning)
    assert full.std() > 0.1
    assert torch.equal(model(z, times, conditioning, deep_clips=6), full)
    once = model(z, times, conditioning, deep_clips=2)
    torch.testing.assert_close(once, full, atol=1e-6, rtol=1e-6)
    cache = ConditioningCache()
    for _ in range(2):
        assert torch.equal(model(z, times, conditioning, deep_clips=2, cache=cache), once)


@torch.no_grad()
def test_copies_that_differ_are_told_apart_at_the_top_alone():
    """Every copy's own latents reach its output; the first copy's is exact; the deep levels see as many clips as
    there are."""
    model, seen = toy_univdm(DEBUG), []
    for name in ("down_blocks.0", "mid_block", "up_blocks.0", "up_blocks.1"):
        model.get_submodule(name).register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    z, times, conditioning = inputs()
    z[2:] += 0.05 * torch.randn(z[2:].shape, generator=torch.Generator().manual_seed(1))
    full = model(z, times, conditioning)
    shared = model(z, times, conditioning, deep_clips=2)
    assert seen == [6] * 4 + [6, 2, 2, 6]
    torch.testing.assert_close(shared[:2], full[:2], atol=1e-6, rtol=1e-6)
    change, error = full[2:] - full[:2].repeat(2, 1, 1, 1, 1), shared[2:] - full[2:]
    assert not torch.equal(shared[2:], full[2:])
    assert error.norm() < 0.5 * change.norm()


def test_a_batch_that_is_no_copies_is_an_error():
    with pytest.raises(PahaError, match="6 clips are no copies of 4"), torch.no_grad():
        toy_univdm(DEBUG)(*inputs(), deep_clips=4)


@pytest.mark.parametrize(("name", "evaluations"), [("presenter", 2.26), ("paper", 1.72)])
def test_the_presets_save_most_of_two_evaluations(name, evaluations):
    config = preset(name)
    with torch.device("meta"):
        model = UniVDM.from_model_config(config.model)
        z, times, conditioning = example_inputs(config, batch_size=1)
    flops = []
    for options in ({}, {"deep_clips": 1}):
        with Meter() as meter, torch.no_grad():
            model(z.repeat(3, 1, 1, 1, 1), times.repeat(3, 1), conditioning.repeat(3), **options)
        flops.append(meter.flops)
    assert 3 * flops[1] / flops[0] == pytest.approx(evaluations, abs=0.01)
