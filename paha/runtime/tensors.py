"""safetensors files with the rights of any new file: the library's own are for their writer alone (mode 0600).

Weights may be kept in 8 bits: matrices and kernels as int8, by output channel, each with its NAME.scale.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


SCALE = ".scale"


def to_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with at least two dimensions as int8 beside float32 scales (rows,), the largest of a row at 127; the
    others as they are."""
    import torch

    kept: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if value.ndim < 2 or not value.is_floating_point():
            kept[name] = value
            continue
        rows = value.float().flatten(1)
        scale = rows.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
        kept[name] = (rows / scale[:, None]).round().to(torch.int8).view(value.shape)
        kept[name + SCALE] = scale
    return kept


def from_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `to_eight_bits` was given, rounded; tensors that were never in 8 bits are as they are."""
    import torch

    small = {name for name, value in tensors.items() if value.dtype == torch.int8 and name + SCALE in tensors}
    whole = {name: value for name, value in tensors.items() if name.removesuffix(SCALE) not in small or name in small}
    for name in small:
        value, scale = tensors[name], tensors[name + SCALE]
        whole[name] = value * scale.view(-1, *[1] * (value.ndim - 1))
    return whole


def save_tensors(tensors: Mapping[str, Tensor], path: Path, *, metadata: dict[str, str] | None = None) -> None:
    """Write tensors, copied to the CPU in one piece each; others may read the file as the umask says.

    Not atomic: give a temporary name (`paha.runtime.atomic.atomic_path`). Raises OSError or SafetensorError.
    """
    from safetensors.torch import save_file

    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)  # before save_file puts a file of its own in this one's place
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path, metadata=metadata)
    path.chmod(mode)
