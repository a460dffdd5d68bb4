"""Where the time of a step goes on a device, kernel by kernel, and what would make a training step faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.device import Bench, Reading
from benchmarks.gpu.parts import Case, Rows, Trainee, univdm_forward, univdm_trainee
from paha.univdm import attention

TOP = 15
STEPS = 3
NAME_WIDTH = 110


def profile_rows(case: Case, bench: Bench, *, out: Path) -> Rows:
    """The top kernels of a training step of a small model, of a forward pass of a large one, appended to `out`.

    The reading: how much of the time the device was computing.
    """
    if case.config.train.gradient_checkpointing:
        what, compute = "forward", torch.no_grad()(univdm_forward(case, bench))
    else:
        what, compute = "training step", univdm_trainee(case, bench).step
    seconds, _ = bench.median(compute, repeats=3)
    lines, busy = kernels(compute, bench)
    head = f"{case.name}, {what}: {1000 * seconds:.1f} ms, kernels {1000 * busy:.1f} ms"
    with out.open("a", encoding="utf-8") as file:
        file.write("\n".join([head, "| ms | calls | share | kernel |", "|---|---|---|---|", *lines, "", ""]))
    yield f"profile of the {what}", Reading(seconds, note=f"kernels run {busy / seconds:.0%} of the time")


def kernels(compute: Callable[[], object], bench: Bench) -> tuple[list[str], float]:
    """Table rows of the kernels (of the operations on a CPU) that take most of a call, and the seconds of all."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if bench.gpu else [])]
    with profile(activities=activities) as recorded:
        for _ in range(STEPS):
            compute()
        bench.wait()
    events: Any = recorded.key_averages()
    if bench.gpu:
        found = {e.key: (e.self_device_time_total, e.count) for e in events if e.device_type == DeviceType.CUDA}
    else:
        found = {e.key: (e.self_cpu_time_total, e.count) for e in events}
    total = max(sum(micros for micros, _ in found.values()), 1e-9)
    top = sorted(found.items(), key=lambda item: -item[1][0])[:TOP]
    lines = [
        f"| {micros / STEPS / 1000:.2f} | {count / STEPS:.0f} | {micros / total:.0%} | {name[:NAME_WIDTH]} |"
        for name, (micros, count) in top
    ]
    return lines, total / STEPS / 1e6


def variant_rows(case: Case, bench: Bench) -> Rows:
    """The training step of UniVDM done in other ways, each against the plain one of the same weights and inputs."""
    trainee = univdm_trainee(case, bench)
    plain, _ = bench.median(trainee.step)
    for name, way in variants(trainee).items():
        try:
            with way:
                seconds, peak = bench.median(trainee.step)
        except (RuntimeError, ValueError) as error:  # such as an attention kernel that this device has not
            yield f"step, {name}", Reading(note=f"failed: {str(error).splitlines()[0][:100]}")
            trainee.optimizer.zero_grad(set_to_none=True)
            continue
        yield f"step, {name}", Reading(seconds, peak_gb=peak, ratio=seconds / plain)


def captured_rows(case: Case, bench: Bench) -> Rows:
    """The training step of UniVDM as one CUDA graph, against the plain one."""
    trainee = univdm_trainee(case, bench)
    plain, _ = bench.median(trainee.step)
    if not bench.gpu:
        yield "step, CUDA graph", Reading(note="not on this device")
        return
    seconds, peak = bench.median(captured(trainee))
    yield "step, CUDA graph", Reading(seconds, peak_gb=peak, ratio=seconds / plain)


def variants(trainee: Trainee) -> dict[str, AbstractContextManager[Any]]:
    """Name to what switches that way on for as long as it lasts."""
    ways: dict[str, AbstractContextManager[Any]] = {
        "once more": nullcontext(),
        "float32 (TF32)": _attributes(
            (trainee, "lower", torch.float32), (torch.backends.cuda.matmul, "allow_tf32", True)
        ),
        "cudnn.benchmark": _attributes((torch.backends.cudnn, "benchmark", True)),
    }
    never, short = (lambda x: False), (lambda k: k.shape[-2] <= attention.SHORT_KEYS)
    ways |= {
        "frames copied for attention": _attributes((attention, "positions_as_heads", never)),
        "short keys by products": _attributes((attention, "by_products", short)),
    }
    if trainee.bench.gpu:
        backends = {"flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION}
        backends |= {"cuDNN": SDPBackend.CUDNN_ATTENTION, "plain": SDPBackend.MATH}
        ways |= {f"{name} attention": sdpa_kernel(backend) for name, backend in backends.items()}
    return ways


@contextmanager
def _attributes(*changes: tuple[Any, str, object]) -> Iterator[None]:
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in kept:
            setattr(owner, name, value)


def captured(trainee: Trainee) -> Callable[[], None]:
    """The whole step as one CUDA graph."""
    for group in trainee.optimizer.param_groups:
        group["capturable"] = True
    trainee.optimizer.state.clear()
    trainee.cached_casts = False
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            trainee.step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        trainee.step()
    return graph.replay
