from __future__ import annotations

import resource
import time
from dataclasses import replace
from functools import cache

import pytest
import torch
from univdm_toys import toy_inputs, toy_univdm

from paha.errors import PahaError
from paha.models import attention
from paha.models.accounting import StepCost, step_cost
from paha.models.plan import format_plan, plan
from paha.presets import preset


@cache
def toy_cost(device: str, *, batch: int = 2, short_keys: int = 33, lower: torch.dtype | None = None) -> StepCost:
    """Of a step with 4 x 4 latents. Attention to more than `short_keys` tokens runs on the CPU's fused kernel."""
    with torch.device(device), pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "SHORT_KEYS", short_keys)
        model = toy_univdm().to(device)
        z, times, conditioning = toy_inputs(batch, height=4, width=4)
        z, times, conditioning = z.to(device), times.to(device), conditioning.to(device)
        return step_cost(model, lambda: model(z, times, conditioning).float().square().mean(), lower=lower)


def test_counts_without_data_equal_those_of_a_real_step() -> None:
    real, planned = toy_cost("cpu", short_keys=0), toy_cost("meta")
    assert planned.saved_bytes == pytest.approx(real.saved_bytes, rel=0.05)
    assert planned.checkpointed_bytes == pytest.approx(real.checkpointed_bytes, rel=0.05)


def test_real_memory_is_what_is_counted() -> None:
    model, inputs = toy_univdm(), toy_inputs(height=16, width=16)

    def loss() -> torch.Tensor:
        return model(*inputs).square().mean()

    cost = step_cost(model, loss)
    loss().backward()  # the gradients' own memory is there before
    assert cost.saved_bytes == pytest.approx(allocated_peak(loss), rel=0.1)
    model.enable_gradient_checkpointing()
    assert cost.checkpointed_bytes == pytest.approx(allocated_peak(loss), rel=0.25)


def allocated_peak(loss) -> int:
    with torch.profiler.profile(profile_memory=True) as profile:
        loss().backward()
    now = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def test_flops_equal_those_of_a_real_step() -> None:
    # Every attention on the CPU is by matrix products here, which are counted.
    real, planned = toy_cost("cpu"), toy_cost("meta")
    # The fused kernel's backward pass computes the weights again: one product of seven more.
    assert planned.flops == pytest.approx(real.flops, rel=0.02)
    assert planned.flops >= real.flops
    assert planned.flops < planned.checkpointed_flops < 1.4 * planned.flops


def test_mixed_precision_halves_most_of_it() -> None:
    full, half = toy_cost("meta", batch=8), toy_cost("meta", batch=8, lower=torch.bfloat16)
    assert 0.5 < half.saved_bytes / full.saved_bytes < 0.9
    assert half.flops == full.flops


def test_paper_on_eight_gpus() -> None:
    memory, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    result = plan(preset("paper"), gpus=8, batch_size=8)
    assert time.monotonic() - start < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 500_000  # kB; the weights alone are 6.4 GB
    assert result.total_parameters == 1_524_623_082 + result.new_parameters
    assert result.batch_per_gpu == 1
    assert sum(result.state_bytes().values()) == 6 * 4 * result.total_parameters
    assert not result.fits(checkpointing=False)
    assert result.fits(checkpointing=True)
    assert result.seconds_per_step(checkpointing=True) > result.seconds_per_step(checkpointing=False) > 0.1
    faster = replace(result, utilisation=0.7)
    assert 2 * faster.seconds_per_step(checkpointing=True) == pytest.approx(result.seconds_per_step(checkpointing=True))
    text = format_plan(result)
    for expected in (
        "512 x 512, 32 frames",
        f"{result.total_parameters:,}",
        "mid_block",
        "DOES NOT FIT",
        "100,000 steps",
    ):
        assert expected in text


def test_more_clips_cost_more() -> None:
    small, large = toy_cost("meta"), toy_cost("meta", batch=8)
    assert large.flops == pytest.approx(4 * small.flops, rel=0.01)
    assert large.saved_bytes == pytest.approx(4 * small.saved_bytes, rel=0.02)


@pytest.mark.parametrize("bad", [{"gpus": 0}, {"batch_size": -1}, {"utilisation": 1.5}, {"gpu_memory_gb": 0}])
def test_senseless_numbers(bad: dict) -> None:
    with pytest.raises(PahaError, match="plan: "):
        plan(preset("debug"), **bad)
