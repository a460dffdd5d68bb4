"""What a computation needs at its peak and what it computes, counted on tensors without data (the meta device)."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import flop_registry

_LOWER = {F.linear, F.conv2d, F.scaled_dot_product_attention, torch.bmm}
_HIGHER = {F.group_norm, F.layer_norm}


@dataclass(frozen=True)
class Cost:
    """Of one computation. peak_bytes: the most that all tensors made in it take at one time, those that were there
    before (weights) left out. flops: 2 a multiply-add. operations: those that make a tensor, each at least one kernel
    launch on a GPU.
    """

    peak_bytes: int
    flops: int
    operations: int


class Meter(TorchDispatchMode):
    """Adds up the storages of the tensors that operations make, until they are freed, the flops of products and
    convolutions, and the operations that made a new storage. peak: the largest sum of bytes so far. (torch's
    FlopCounterMode keeps tensors alive that it sees.)
    """

    def __init__(self, known: Sequence[Tensor] = ()) -> None:
        super().__init__()
        self.live = self.peak = self.flops = self.operations = 0
        self._seen = weakref.WeakSet(tensor.untyped_storage() for tensor in known)

    def __torch_dispatch__(self, func: Any, types: object, args: Sequence = (), kwargs: dict | None = None) -> Any:
        """Called in place of every operation."""
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.flops += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result)
        made = [self._add(leaf.untyped_storage()) for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.operations += any(made)
        return result

    def _add(self, storage: torch.UntypedStorage) -> bool:
        if storage in self._seen:
            return False
        self._seen.add(storage)
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._remove, storage.nbytes())
        return True

    def _remove(self, nbytes: int) -> None:
        self.live -= nbytes


class _FusedAttention(torch.autograd.Function):
    """Stands for a fused attention kernel on the meta device, where the plain formula would save all the weights."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = torch.empty_like(q)
        ctx.save_for_backward(q, k, v, out, q.new_empty(q.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, *_ = ctx.saved_tensors
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


class Kernels(TorchFunctionMode):
    """The device's attention, and autocast's choice of types, for tensors on the meta device, which has neither.

    lower: the type of matrix products and convolutions under mixed precision (norms stay float32), or None. short_keys:
    up to so many keys attention is computed by plain products, as `paha.univdm.attention` does on a CPU.
    attention_flops: forward flops of the fused attentions so far.
    """

    def __init__(self, lower: torch.dtype | None = None, *, short_keys: int = 0) -> None:
        super().__init__()
        self.lower = lower
        self.short_keys = short_keys
        self.attention_flops = 0

    def __torch_function__(self, func: Callable, types: object, args: Sequence = (), kwargs: dict | None = None) -> Any:
        """Called in place of every torch function."""
        if self.lower is not None and func in _LOWER | _HIGHER:
            wanted = self.lower if func in _LOWER else torch.float32
            args = [_cast(arg, wanted) for arg in args]
            kwargs = {name: _cast(value, wanted) for name, value in (kwargs or {}).items()}
        if func is F.scaled_dot_product_attention and args[0].device.type == "meta":
            return self._attention(*args[:3])
        return func(*args, **(kwargs or {}))

    def _attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if k.shape[-2] <= self.short_keys:
            return torch.matmul((q * q.shape[-1] ** -0.5).matmul(k.transpose(-2, -1)).softmax(-1), v)
        # q k^T and weights v: two products of 2 S K d each
        self.attention_flops += 4 * q.numel() * k.shape[-2]
        return _FusedAttention.apply(q, k, v)  # pyright: ignore[reportReturnType]


def _cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def forward_cost(model: nn.Module, compute: Callable[[], object], *, short_keys: int = 0) -> Cost:
    """Of `compute()` by the model, on the meta device, without gradients."""
    meter = Meter([*model.parameters(), *model.buffers()])
    with torch.no_grad(), Kernels(short_keys=short_keys) as kernels, meter:
        compute()
    return Cost(meter.peak, meter.flops + kernels.attention_flops, meter.operations)


def step_cost(
    model: nn.Module,
    loss: Callable[[], Tensor],
    *,
    lower: torch.dtype | None = None,
    checkpointing: bool = False,
    accumulating: bool = False,
    short_keys: int = 0,
) -> Cost:
    """Of forward and backward of `loss()`, a scalar computed by the model on the meta device; the gradients count,
    and are dropped in the end. accumulating: those of an earlier part are there from the start. lower, short_keys:
    `Kernels`.
    """
    if accumulating:
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter)
    meter, kernels = Meter([*model.parameters(), *model.buffers()]), Kernels(lower, short_keys=short_keys)
    gradients = sum(p.nbytes for p in model.parameters()) if accumulating else 0
    if checkpointing:
        # Without random state, which the meta device has not; `kernels` again, which the backward pass switches off.
        again = {"preserve_rng_state": False, "context_fn": lambda: (nullcontext(), kernels)}
        model.enable_gradient_checkpointing(partial(checkpoint, use_reentrant=False, **again))  # type: ignore[operator]
    try:
        with kernels, meter:
            scalar = loss()
            forward = kernels.attention_flops
            scalar.backward()
    finally:
        if checkpointing:
            model.disable_gradient_checkpointing()  # type: ignore[operator]
        model.zero_grad(set_to_none=True)
    # The backward pass of a fused kernel makes five products where the forward pass made two.
    return Cost(meter.peak + gradients, meter.flops + kernels.attention_flops + 5 * forward // 2, meter.operations)
