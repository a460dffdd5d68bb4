"""Plans of memory and time against what is measured."""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from functools import cache

import pytest
import torch
from univdm_toys import toy_inputs, toy_univdm

from paha.cli.options import configuration
from paha.errors import PahaError
from paha.planning.accounting import Cost, forward_cost, step_cost
from paha.planning.plan import (
    OPERATION_SECONDS,
    Plan,
    Savings,
    extrapolate,
    plan,
    plan_sampling,
    share_batch,
    step_timer,
)
from paha.planning.plan_text import format_plan, format_sampling
from paha.presets import preset
from paha.univdm.attention import SHORT_KEYS


@cache
def planned(*, batch: int = 2, size: int = 16, checkpointing: bool = False, lower: torch.dtype | None = None) -> Cost:
    with torch.device("meta"):
        model = toy_univdm().to("meta")  # pyright: ignore[reportArgumentType]
        z, times, conditioning = toy_inputs(batch, height=size, width=size)
        inputs = z.to("meta"), times.to("meta"), conditioning.to("meta")
        options = {"checkpointing": checkpointing, "lower": lower, "short_keys": SHORT_KEYS}
        return step_cost(model, lambda: model(*inputs).float().square().mean(), **options)


@cache
def debug_plan() -> Plan:
    """Of one GPU that is faster than any."""
    return plan(configuration("debug", ["model.layers_per_block=1"]), gpus=1, gpu_tflops=1e6)


def allocated_peak(compute) -> int:
    """The most bytes that torch has allocated at one time in `compute()`, beyond what was there before."""
    with torch.profiler.profile(profile_memory=True) as profile:
        compute()
    now = peak = 0
    assert profile.profiler is not None
    results = profile.profiler.kineto_results
    assert results is not None
    for event in results.events():
        if event.name() == "[memory]":
            now += event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]
            peak = max(peak, now)
    return peak


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_step_takes_the_memory_that_is_planned(checkpointing):
    model, inputs = toy_univdm(), toy_inputs(height=16, width=16)
    if checkpointing:
        model.enable_gradient_checkpointing()

    def step() -> None:
        model(*inputs).square().mean().backward()

    assert planned(checkpointing=checkpointing).peak_bytes == pytest.approx(allocated_peak(step), rel=0.1)


def test_sampling_takes_the_memory_that_is_planned():
    model, inputs = toy_univdm(), toy_inputs(height=16, width=16)
    with torch.no_grad():
        measured = allocated_peak(lambda: model(*inputs))
    with torch.device("meta"):
        meta = toy_univdm().to("meta")  # pyright: ignore[reportArgumentType]
        on_meta = [part.to("meta") for part in inputs]
        assert forward_cost(meta, lambda: meta(*on_meta), short_keys=SHORT_KEYS).peak_bytes == pytest.approx(
            measured, rel=0.15
        )


def test_flops_are_those_of_torchs_counter():
    from torch.utils.flop_counter import FlopCounterMode

    model, inputs = toy_univdm(), toy_inputs(height=4, width=4)  # at most 16 keys: plain products
    with FlopCounterMode(display=False) as counter:
        model(*inputs).square().mean().backward()
    assert planned(size=4).flops == counter.get_total_flops()
    assert planned().flops < planned(checkpointing=True).flops < 1.4 * planned().flops


def test_mixed_precision_halves_most_of_it():
    full, half = planned(batch=8), planned(batch=8, lower=torch.bfloat16)
    assert 0.5 < half.peak_bytes / full.peak_bytes < 0.9
    assert half.flops == full.flops


def test_paper_on_eight_gpus_and_on_one():
    memory, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    result = plan(preset("paper"), gpus=8)
    assert time.process_time() - start < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 500_000  # kB; the weights alone are 6.4 GB
    assert result.total_parameters == 1_524_623_082 + result.new_parameters
    assert (result.batch_size, result.clips_per_part, result.turns) == (8, 1, 1)
    assert sum(result.state_bytes().values()) == 6 * 4 * result.total_parameters
    checkpointing = Savings(checkpointing=True)
    assert not result.fits()
    assert result.fits(checkpointing)
    sharded = replace(checkpointing, sharding=True)
    assert result.total_bytes(sharded) < 0.5 * result.total_bytes(checkpointing)
    for saving in ("ema_on_cpu", "adamw8bit"):
        assert result.total_bytes(replace(checkpointing, **{saving: True})) < result.total_bytes(checkpointing)
    assert result.seconds_per_step(checkpointing=True) > result.seconds_per_step(checkpointing=False) > 0.1
    faster = replace(result, utilisation=0.7)
    assert 2 * faster.seconds_per_step(checkpointing=True) == pytest.approx(result.seconds_per_step(checkpointing=True))
    text = format_plan(result)
    shown = ("512 x 512, 32 frames", f"{result.total_parameters:,}", "mid_block", "DOES NOT FIT", "100,000 steps")
    for expected in (*shown, "train.sharding=full"):
        assert expected in text


def test_paper_sampling_fits_small_gpus():
    sampling = plan_sampling(preset("paper"))
    assert sampling.weights["UniVDM"] == 2 * 1_604_813_098
    assert sampling.low_vram_bytes < 0.6 * sampling.plain_bytes
    text = format_sampling(sampling, gpu_tflops=312, utilisation=0.35)
    plain, low = (line for line in text.splitlines() if "in all" in line)
    assert "DOES NOT FIT 12 GB, fits 24 GB" in plain
    assert "fits 12 GB, fits 24 GB" in low


def test_time_is_extrapolated_from_two_measurements():
    config = preset("debug").model_copy(update={"num_frames": 2})
    assert 0 < step_timer(config, torch.device("cpu"))() < 60
    assert extrapolate(40.0, measured={10.0: 1.5, 20.0: 2.0}) == pytest.approx(3.0)
    with pytest.raises(PahaError, match="too busy"):
        extrapolate(40.0, measured={10.0: 2.0, 20.0: 1.5})
    fast, slow = (replace(debug_plan(), gpu_tflops=t, utilisation=1.0) for t in (2e-4, 1e-4))
    assert slow.seconds_per_step(checkpointing=False) == pytest.approx(2 * fast.seconds_per_step(checkpointing=False))


def test_however_fast_the_gpu_it_is_told_of_every_operation():
    fast = debug_plan()
    assert fast.gpu_tflops == 1e6
    assert fast.seconds_per_step(checkpointing=False) == fast.turns * fast.plain.operations * OPERATION_SECONDS
    assert fast.checkpointed.operations > fast.plain.operations
    assert f"{fast.turns * fast.plain.operations:,} operations at 30 us" in format_plan(fast)
    slow = replace(fast, gpu_tflops=1e-3)
    assert slow.seconds_per_step(checkpointing=False) == slow.turns * slow.plain.flops / (1e9 * slow.utilisation)


def test_more_clips_cost_more():
    small, large = planned(), planned(batch=8)
    assert large.operations == small.operations
    assert large.flops == pytest.approx(4 * small.flops, rel=0.02)
    assert 2 < large.peak_bytes / small.peak_bytes < 4.1


def test_a_step_is_shared_as_the_training_shares_it():
    config = configuration("debug", ["train.batch_size=1", "train.num_micro_batches=8"])
    shares = {gpus: share_batch(config, gpus=gpus) for gpus in (1, 3, 8)}
    assert shares == {1: (1, 8), 3: (1, 3), 8: (1, 1)}
    assert share_batch(configuration("debug", ["train.batch_size=4"]), gpus=2) == (2, 1)


@pytest.mark.parametrize("bad", [{"gpus": 0}, {"utilisation": 1.5}, {"gpu_memory_gb": 0}])
def test_senseless_numbers(bad: dict):
    with pytest.raises(PahaError, match="plan: "):
        plan(preset("debug"), **bad)
