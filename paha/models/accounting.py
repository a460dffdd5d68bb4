"""What a training step keeps and computes, counted on tensors without data (the meta device) or with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

_LOWER = {F.linear, F.conv2d, F.scaled_dot_product_attention, torch.bmm}
_HIGHER = {F.group_norm, F.layer_norm}


@dataclass(frozen=True)
class StepCost:
    """Of one forward and backward pass.

    saved_bytes: memory of all tensors kept for the backward pass, parameters left out. largest_bytes: the largest one.
    flops: forward and backward, 2 a multiply-add. The same under gradient checkpointing: the inputs of the blocks and
    the inner tensors of the hungriest block; and the flops with the second forward pass.
    """

    saved_bytes: int
    largest_bytes: int
    flops: int
    checkpointed_bytes: int
    checkpointed_flops: int


class SavedBytes:
    """Sums the storages of the tensors that autograd saves, each once, those in `known` not at all."""

    def __init__(self, known: dict[int, torch.UntypedStorage]) -> None:
        self.known = known
        self.storages: dict[int, torch.UntypedStorage] = {}  # kept: a freed one's address would be used again

    def add(self, tensor: Tensor) -> Tensor:
        """Count a tensor's storage unless it is known. Returns the tensor, as a hook must."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self.known:
            self.storages[storage._cdata] = storage
        return tensor

    @property
    def sizes(self) -> list[int]:
        """Bytes of each storage."""
        return [storage.nbytes() for storage in self.storages.values()]

    def hooks(self) -> saved_tensors_hooks:
        """The context manager under which autograd reports what it saves."""
        return saved_tensors_hooks(self.add, lambda tensor: tensor)


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


class TrainingKernels(TorchFunctionMode):
    """Fused attention, and autocast's choice of types, for tensors on the meta device, which has neither.

    lower: the type of matrix products and convolutions under mixed precision (norms stay float32), or None.
    attention_flops: forward flops of the attentions so far.
    """

    def __init__(self, lower: torch.dtype | None) -> None:
        super().__init__()
        self.lower = lower
        self.attention_flops = 0

    def __torch_function__(self, func: Callable, types: Any, args: Sequence = (), kwargs: dict | None = None) -> Any:
        """Called in place of every torch function."""
        if self.lower is not None and func in _LOWER | _HIGHER:
            wanted = self.lower if func in _LOWER else torch.float32
            args = [_cast(arg, wanted) for arg in args]
            kwargs = {name: _cast(value, wanted) for name, value in (kwargs or {}).items()}
        if func is F.scaled_dot_product_attention and args[0].device.type == "meta":
            # q k^T and weights v: two products of 2 S K d each
            self.attention_flops += 4 * args[0].numel() * args[1].shape[-2]
            return _FusedAttention.apply(*args[:3])
        return func(*args, **(kwargs or {}))


def _cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def step_cost(model: nn.Module, loss: Callable[[], Tensor], *, lower: torch.dtype | None = None) -> StepCost:
    """Count one step of `loss()`, a scalar computed by the model; gradients are dropped. lower: `TrainingKernels`."""
    known = {p.untyped_storage()._cdata: p.untyped_storage() for p in (*model.parameters(), *model.buffers())}
    saved = SavedBytes(known)
    with TrainingKernels(lower) as kernels, FlopCounterMode(display=False) as counter:
        with saved.hooks():
            scalar = loss()
        forward = kernels.attention_flops
        scalar.backward()
    model.zero_grad(set_to_none=True)
    # The backward pass of a fused kernel makes five products where the forward pass made two.
    flops = counter.get_total_flops() + forward + 5 * forward // 2
    kept, again = _checkpointed(model, loss, known, lower)
    return StepCost(sum(saved.sizes), max(saved.sizes), flops, kept, flops + again)


def _checkpointed(
    model: nn.Module, loss: Callable[[], Tensor], known: dict, lower: torch.dtype | None
) -> tuple[int, int]:
    """Bytes kept under gradient checkpointing, and the flops of the blocks that run twice."""
    outer = SavedBytes(known)
    hungriest = again = 0
    with TrainingKernels(lower) as kernels, FlopCounterMode(display=False) as counter:

        def total() -> int:
            return counter.get_total_flops() + kernels.attention_flops

        def run(block: nn.Module, *args: Any) -> Tensor:
            nonlocal hungriest, again
            for arg in args:
                if isinstance(arg, Tensor):
                    outer.add(arg)
            inner, before = SavedBytes({**known, **outer.storages}), total()
            with inner.hooks():
                result = block(*args)
            hungriest, again = max(hungriest, sum(inner.sizes)), again + total() - before
            return result

        model.enable_gradient_checkpointing(run)  # type: ignore[operator]
        try:
            with outer.hooks():
                loss()
        finally:
            model.disable_gradient_checkpointing()  # type: ignore[operator]
    return sum(outer.sizes) + hungriest, again
