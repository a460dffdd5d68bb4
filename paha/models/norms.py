"""GroupNorm and LayerNorm as a GPU wants them: channels-last, in the type of the features, without copies.

torch's GroupNorm copies channels-last features to channels-first on a GPU and leaves them so for the convolution that
follows; and under autocast both norms give float32 features, which the next layer casts back. Here statistics are
float32 and features keep their layout and type. On a CPU torch's own kernels are used, which do neither.
Letters: N independent samples, P positions of one, C channels, G groups, c channels of a group.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def in_own_layout(x: Tensor) -> bool:
    """Whether the norms of this module take over."""
    return x.device.type == "cuda"


def group_norm(norm: nn.GroupNorm, x_NPC: Tensor) -> Tensor:
    """`norm` on channels-last features: (N, P, C) to the same shape, layout and type."""
    # Without autocast, which casts whole features to float32 and hands on its own choice of types.
    with torch.autocast(x_NPC.device.type, enabled=False):
        return _GroupNorm.apply(x_NPC, norm.weight, norm.bias, norm.num_groups, norm.eps)  # type: ignore[return-value]


def layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """`norm` on (..., D), in the features' type on a GPU."""
    if not in_own_layout(x):
        return norm(x)
    with torch.autocast(x.device.type, enabled=False):
        return F.layer_norm(x, norm.normalized_shape, norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)


class _GroupNorm(torch.autograd.Function):
    """y = (x - mean) rstd weight + bias, mean and variance of each sample's groups."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        share = groups / (x.shape[1] * x.shape[2])
        total_NG = x.sum(1, dtype=exact).unflatten(1, (groups, -1)).sum(-1)
        length_NC = torch.linalg.vector_norm(x, dim=1, dtype=exact)
        square_NG = length_NC.square().unflatten(1, (groups, -1)).sum(-1) * share
        mean_NG1 = (total_NG * share)[..., None]
        variance_NG1 = torch.addcmul(square_NG[..., None], mean_NG1, mean_NG1, value=-1).clamp_(min=0)
        rstd_NG1 = (variance_NG1 + eps).rsqrt()
        scale_NGc = rstd_NG1 * weight.to(exact).view(groups, -1)
        shift_NGc = torch.addcmul(bias.to(exact).view(groups, -1), mean_NG1, scale_NGc, value=-1)
        scale, shift = scale_NGc.flatten(1)[:, None], shift_NGc.flatten(1)[:, None]  # N 1 C
        ctx.save_for_backward(x, weight, mean_NG1, rstd_NG1, scale)
        return torch.addcmul(shift, x, scale, out=torch.empty_like(x, memory_format=torch.contiguous_format))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean_NG1, rstd_NG1, scale = ctx.saved_tensors
        groups, exact = mean_NG1.shape[1], mean_NG1.dtype
        share = groups / (x.shape[1] * x.shape[2])
        (dy,) = grads
        dy_NGc = dy.sum(1, dtype=exact).unflatten(1, (groups, -1))
        dyx_NGc = (dy * x).sum(1, dtype=exact).unflatten(1, (groups, -1))
        gamma = weight.to(exact).view(groups, -1)
        # With x^ = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - x^ mean(g x^)), means over the group.
        centred_NGc = (dyx_NGc - dy_NGc * mean_NG1) * rstd_NG1  # sums of dy x^ over the positions
        slope_NG1 = -rstd_NG1.square() * share * (centred_NGc * gamma).sum(-1, keepdim=True)
        offset_NG1 = -rstd_NG1 * share * (dy_NGc * gamma).sum(-1, keepdim=True) - slope_NG1 * mean_NG1
        slope, offset = (v.expand_as(dy_NGc).flatten(1)[:, None] for v in (slope_NG1, offset_NG1))
        dx = torch.addcmul(offset, x, slope, out=torch.empty_like(x, memory_format=torch.contiguous_format))
        dx.addcmul_(dy, scale)
        own = [v.sum(0).flatten().to(weight.dtype) if ctx.needs_input_grad[1] else None for v in (centred_NGc, dy_NGc)]
        return dx, *own, None, None
