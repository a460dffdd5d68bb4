"""Sharding of a model over the processes of a run by torch's `fully_shard` (ZeRO-3): weights, gradients, AdamW state
and EMA are spread, a block's weights gathered while it computes.

Every function that gathers is a collective: all processes call it, in the same order.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Shard in place, block by block for UniVDM, as a whole for small networks; parameters become DTensors."""
    from paha.univdm.blocks import SpatialBlock, SpatioTemporalResBlock, TemporalBlock

    for module in model.modules():
        if isinstance(module, SpatialBlock | TemporalBlock | SpatioTemporalResBlock):
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def gathered(tensors: Mapping[str, Tensor], *, keep: bool) -> dict[str, Tensor]:
    """The whole tensors, sharded ones gathered one after the other and moved to the CPU; empty where not `keep`."""
    kept = {}
    for key, value in tensors.items():
        full = value.full_tensor().cpu() if isinstance(value, DTensor) else value
        if keep:
            kept[key] = full
    return kept


def placed_like(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor sharded as `parameter` is; itself where that is not sharded."""
    if not isinstance(parameter, DTensor):
        return value
    value = value.to(parameter.device)
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)


def local(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor, sharing its memory; the tensor itself where it is whole."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(value: Tensor) -> Tensor:
    """A sharded result, such as a norm, as a plain tensor."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def unsharded(skeleton: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A model without data (on the meta device) filled with whole tensors, in evaluation mode."""
    model = copy.deepcopy(skeleton)
    model.load_state_dict(dict(tensors), strict=True, assign=True)
    return model.eval().requires_grad_(False)


def meta_copy(model: nn.Module) -> nn.Module:
    """A copy without data, taken before sharding, for `unsharded`."""
    # Parameters alone are made anew on the meta device: deepcopy of a large model would need its memory once more.
    memo = {id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False) for p in model.parameters()}
    memo |= {id(b): torch.empty_like(b, device="meta") for b in model.buffers()}
    return copy.deepcopy(model, memo)
