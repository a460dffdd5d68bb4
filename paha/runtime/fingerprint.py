"""Short names of contents: what a resumed run compares, so that it never goes on with another model or input."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor


def fingerprint(*values: np.ndarray | Tensor | str) -> str:
    """16 hexadecimal digits of the contents of arrays, tensors and strings."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, str):
            digest.update(value.encode())
            continue
        if isinstance(value, Tensor):
            value = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()[:16]


def model_fingerprint(*models: torch.nn.Module) -> str:
    """16 hexadecimal digits that another model will not share, from the ends of every weight: quick at any size."""
    parts: list[Tensor | str] = []
    for model in models:
        for name, value in model.state_dict().items():
            flat = value.detach().reshape(-1)
            parts += [f"{name}{value.dtype}{tuple(value.shape)}", flat[:64], flat[-64:]]
    return fingerprint(*parts)
