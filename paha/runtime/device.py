"""Chooses where networks compute: the GPU that is there, else the CPU, or what --device names."""

from __future__ import annotations

import torch

from paha.errors import PahaError


def pick_device(name: str | None) -> torch.device:
    """The named device, or the best there is. Raises PahaError where it is unknown or not there."""
    if name is None:
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # `meta` makes tensors, but without values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise PahaError(f"--device {name}: not available here ({str(error).splitlines()[0]})") from error
    return device
