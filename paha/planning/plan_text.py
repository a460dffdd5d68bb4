"""Prints the memory and time that `paha train univdm --plan` worked out, as text."""

from __future__ import annotations

from dataclasses import replace

from paha.planning.accounting import Cost
from paha.planning.plan import OPERATION_SECONDS, RESERVE, SAMPLING_GPUS_GB, Plan, SamplingPlan, Savings, gpu_seconds


def format_plan(plan: Plan) -> str:
    """A training's plan: parameters, states, and what each further saving leaves."""
    return "\n".join(
        [
            f"{plan.name}: {plan.width} x {plan.height}, {plan.num_frames} frames + reference, batch {plan.batch_size} "
            f"on {plan.gpus} GPU{'s' * (plan.gpus > 1)} ({plan.clips_per_part} each"
            f"{f', {plan.turns} times a step' if plan.turns > 1 else ''}), precision {plan.precision}",
            "",
            _row(
                "parameters", f"{plan.total_parameters:,}", f"of them new beside SVD (audio): {plan.new_parameters:,}"
            ),
            *(_row(f"  {name}", f"{count:,}") for name, count in plan.parameters.items()),
            "",
            f"memory of one GPU ({plan.gpu_memory_gb:g} GB)",
            *(_row(f"  {name}", _unit(count, "B")) for name, count in plan.state_bytes().items()),
            *_savings(plan),
            "",
            *(line for checkpointing in (False, True) for line in _time(plan, checkpointing=checkpointing)),
        ]
    )


def _savings(plan: Plan) -> list[str]:
    """One row for each saving, on top of those before it."""
    savings = Savings()
    lines = ["", f"{'training':<44}{'states':>12}{'activations':>14}{'in all':>12}"]
    choices = {"no saving": {}, "+ train.gradient_checkpointing=true": {"checkpointing": True}}
    choices |= {"+ train.ema_on_cpu=true": {"ema_on_cpu": True}}
    if plan.gpus > 1:
        choices |= {"+ train.sharding=full": {"sharding": True}}
    else:
        choices |= {"+ train.optimizer=adamw8bit": {"adamw8bit": True}}
    for name, change in choices.items():
        savings = replace(savings, **change)
        parts = (
            sum(plan.state_bytes(savings).values()),
            plan.activation_bytes(savings),
            plan.total_bytes(savings),
        )
        states, activations, total = (_unit(count, "B") for count in parts)
        verdict = "fits" if plan.fits(savings) else "DOES NOT FIT"
        lines.append(f"{name:<44}{states:>12}{activations:>14}{total:>12}  {verdict}")
    return lines


def _time(plan: Plan, *, checkpointing: bool) -> list[str]:
    seconds = plan.seconds_per_step(checkpointing=checkpointing)
    cost = plan.checkpointed if checkpointing else plan.plain
    return [
        _row(
            f"a step {'with' if checkpointing else 'without'} checkpointing",
            _unit(plan.turns * cost.flops, "FLOP"),
            f"a GPU, {_unit(seconds, 's')} {_pace(cost, plan.turns, plan.gpu_tflops, plan.utilisation)}; "
            f"{plan.steps:,} steps take {seconds * plan.steps / 3600:,.1f} hours",
        )
    ]


def _pace(cost: Cost, turns: int, tflops: float, utilisation: float) -> str:
    """What decides the time."""
    if gpu_seconds(cost, tflops=tflops, utilisation=utilisation) > cost.operations * OPERATION_SECONDS:
        return f"at {utilisation:.0%} of {tflops:g} TFLOP/s"
    return f"for {turns * cost.operations:,} operations at {1e6 * OPERATION_SECONDS:g} us, the GPU waits"


def format_sampling(sampling: SamplingPlan, *, gpu_tflops: float, utilisation: float) -> str:
    """A sampling's plan, and which GPUs it fits."""
    steps, cost = sampling.steps, sampling.univdm
    seconds = steps * gpu_seconds(cost, tflops=gpu_tflops, utilisation=utilisation)
    lines = [
        "sampling one segment in half precision, without guidance",
        *(_row(f"  {name}", _unit(count, "B"), "weights") for name, count in sampling.weights.items()),
        _row("  UniVDM at work", _unit(sampling.univdm.peak_bytes, "B")),
        _row(
            "  decoding",
            _unit(sampling.decode.peak_bytes, "B"),
            f"{_unit(sampling.decode_few.peak_bytes, 'B')} in chunks of --low-vram",
        ),
        _row("  in all", _unit(sampling.plain_bytes, "B"), _verdicts(sampling.plain_bytes)),
        _row("  in all, --low-vram", _unit(sampling.low_vram_bytes, "B"), _verdicts(sampling.low_vram_bytes)),
        _row(
            f"  {steps} steps",
            _unit(steps * cost.flops, "FLOP"),
            f"{_unit(seconds, 's')} {_pace(cost, steps, gpu_tflops, utilisation)}",
        ),
    ]
    return "\n".join(lines)


def _verdicts(count: int) -> str:
    told = (f"{'fits' if count < (1 - RESERVE) * gb * 1e9 else 'DOES NOT FIT'} {gb:g} GB" for gb in SAMPLING_GPUS_GB)
    return ", ".join(told)


def _row(name: str, value: str, note: str = "") -> str:
    return f"{name:<32}{value:>15}  {note}".rstrip()


def _unit(value: float, unit: str) -> str:
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")):
        if value >= factor and not (unit == "B" and prefix in "TP" and prefix):
            return f"{value / factor:.2f} {prefix}{unit}"
    return f"{1000 * value:.3g} m{unit}"
