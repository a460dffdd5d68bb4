"""Inception I3D (Carreira and Zisserman 2017), whose 400 Kinetics logits are FVD's features.

Module names are those of the public PyTorch conversion (`rgb_imagenet.pt`, `i3d_pretrained_400.pt`), which loads
strictly. A torchscript file needs none of this. Legend: B clips, T frames.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUM_CLASSES = 400


def pad_same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros about the last three axes so that the output has ceil(size / stride), as TensorFlow's SAME pads."""
    pads: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(k - (s if size % s == 0 else size % s), 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class SamePool(nn.MaxPool3d):
    """Max pooling with SAME padding by zeros."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, T, H, W) to its pooled form."""
        kernel, stride = cast(tuple[int, ...], self.kernel_size), cast(tuple[int, ...], self.stride)
        return F.max_pool3d(pad_same(input, kernel, stride), kernel, stride)


class Unit3D(nn.Module):
    """Convolution with SAME padding, batch norm, ReLU; the logits have a bias and neither of the latter."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, logits: bool = False) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=logits)
        self.bn = None if logits else nn.BatchNorm3d(outputs, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to the unit's output."""
        x = self.conv3d(pad_same(x, self.kernel, self.stride))
        return x if self.bn is None else F.relu(self.bn(x))


class Mixed(nn.Module):
    """An Inception block of four branches."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        a, b, c, d, e, f = widths
        self.b0 = Unit3D(inputs, a)
        self.b1a, self.b1b = Unit3D(inputs, b), Unit3D(b, c, 3)
        self.b2a, self.b2b = Unit3D(inputs, d), Unit3D(d, e, 3)
        self.b3a, self.b3b = SamePool((3, 3, 3), (1, 1, 1)), Unit3D(inputs, f)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to the branches, joined."""
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], dim=1)


_MIXED = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}


class I3D(nn.Module):
    """Clips (B, 3, T, 224, 224) in [-1, 1], T of 10 or more, to logits (B, 400), averaged over time.

    bn_eps: 1e-3 as in TensorFlow and its torchscript; the PyTorch conversions of cd-fvd and VideoGPT have 1e-5.
    """

    def __init__(self, *, bn_eps: float = 1e-3) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit3D(3, 64, 7, 2)
        self.MaxPool3d_2a_3x3 = SamePool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit3D(64, 64)
        self.Conv3d_2c_3x3 = Unit3D(64, 192, 3)
        self.MaxPool3d_3a_3x3 = SamePool((1, 3, 3), (1, 2, 2))
        for name in ("3b", "3c"):
            self.add_module(f"Mixed_{name}", Mixed(*_MIXED[name]))
        self.MaxPool3d_4a_3x3 = SamePool((3, 3, 3), (2, 2, 2))
        for name in ("4b", "4c", "4d", "4e", "4f"):
            self.add_module(f"Mixed_{name}", Mixed(*_MIXED[name]))
        self.MaxPool3d_5a_2x2 = SamePool((2, 2, 2), (2, 2, 2))
        for name in ("5b", "5c"):
            self.add_module(f"Mixed_{name}", Mixed(*_MIXED[name]))
        self.logits = Unit3D(1024, NUM_CLASSES, logits=True)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.eps = bn_eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, 224, 224) to (B, 400)."""
        for name, module in self.named_children():
            x = module(F.avg_pool3d(x, (2, 7, 7), (1, 1, 1))) if name == "logits" else module(x)
        return x.mean((2, 3, 4))
