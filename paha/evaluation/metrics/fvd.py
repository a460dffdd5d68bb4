"""FVD (B.5, [41]): Frechet distance of I3D's features of short windows of video, by a protocol that is written down.

Numbers of two protocols, or of two sets of different size, cannot be compared: `FvdProtocol` stands beside every value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paha.errors import PahaError
from paha.evaluation.metrics.fvd_protocol import PROTOCOLS, FvdProtocol
from paha.evaluation.metrics.i3d import I3D
from paha.runtime.faults import is_want_of_memory

Features = Callable[[Tensor], Tensor]


def prepare(frames: np.ndarray, protocol: FvdProtocol) -> Tensor:
    """Frames (T, H, W, 3) uint8 of a clip to windows (N, 3, frames, size, size); N is 0 for a short clip."""
    windows = cut_windows(frames, protocol)
    if not len(windows):
        return torch.zeros(0, 3, protocol.frames, protocol.size, protocol.size)
    x = resize(windows.transpose(1, 2).flatten(0, 1), protocol)
    x = protocol.low + x / 255 * (protocol.high - protocol.low)
    return x.unflatten(0, (len(windows), protocol.frames)).transpose(1, 2)


def cut_windows(frames: np.ndarray, protocol: FvdProtocol) -> Tensor:
    """Windows (N, 3, frames, H, W) of a clip, values 0 to 255; N is 0 for a short clip."""
    span = (protocol.frames - 1) * protocol.stride + 1
    count = len(frames) // span
    count = min(count, protocol.windows_per_clip) if protocol.windows_per_clip else count
    if not count:
        return torch.zeros(0, 3, protocol.frames, *frames.shape[1:3])
    index = np.concatenate([np.arange(k * span, (k + 1) * span, protocol.stride) for k in range(count)])
    x = torch.from_numpy(np.ascontiguousarray(frames[index])).permute(3, 0, 1, 2).float()
    return x.unflatten(1, (count, protocol.frames)).transpose(0, 1)


def resize(x: Tensor, protocol: FvdProtocol) -> Tensor:
    """Frames (N, 3, H, W) to (N, 3, size, size)."""
    scale = protocol.size / min(x.shape[2:])
    size = [max(protocol.size, round(side * scale)) for side in x.shape[2:]]
    size = [protocol.size] * 2 if protocol.fit == "stretch" else size
    x = F.interpolate(x, size, mode="bilinear", antialias=protocol.antialias, align_corners=False)
    top, left = ((side - protocol.size) // 2 for side in size)
    return x[:, :, top : top + protocol.size, left : left + protocol.size]


@torch.no_grad()
def fvd_features(network: Features, frames: np.ndarray, protocol: FvdProtocol) -> np.ndarray:
    """Features (N, 400) float64 of a clip's windows."""
    inside = protocol.resize_inside and isinstance(network, Torchscript) and network.resizes
    windows = cut_windows(frames, protocol) if inside else prepare(frames, protocol)
    parts = [network(window[None]).double().cpu().numpy() for window in windows]
    return np.concatenate(parts) if parts else np.zeros((0, 400))


def load_i3d(path: Path, protocol: FvdProtocol = PROTOCOLS["paha"]) -> Features:
    """The network of a torchscript file or of a state dict of `I3D`; gets (B, 3, T, H, W), gives (B, 400).

    Raises PahaError where it is neither. Torchscript holds a program of tensor operations, not Python.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        return _torchscript(path, inside=protocol.resize_inside)  # torch refuses an archive of torchscript here
    model = I3D(bn_eps=protocol.bn_eps)
    try:
        model.load_state_dict(state, strict=True)
    except Exception as error:
        if is_want_of_memory(error):
            raise
        raise PahaError(f"{path} holds no weights of I3D ({str(error).splitlines()[0]}); fetch it again") from error
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class Torchscript:
    """A network with the options it is called with. resizes: it is asked to resize its frames and scale values
    itself."""

    network: Any
    options: dict[str, bool]

    @property
    def resizes(self) -> bool:
        return self.options.get("resize", False)

    def __call__(self, x: Tensor) -> Tensor:
        return self.network(x, **self.options)


def _torchscript(path: Path, *, inside: bool) -> Features:
    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:
        if is_want_of_memory(error):
            raise
        raise PahaError(
            f"{path} is neither I3D's state dict nor torchscript; take StyleGAN-V's i3d_torchscript.pt"
        ) from error
    # StyleGAN-V's file resizes and rescales itself unless told not to; others take the clip alone.
    names = {argument.name for argument in network.forward.schema.arguments}
    options = {"rescale": inside, "resize": inside, "return_features": True}
    return Torchscript(network, {name: value for name, value in options.items() if name in names})


def protocol_record(protocol: FvdProtocol, *, weights: str, real: int, fake: int) -> dict[str, object]:
    """What stands beside the value. weights: sha256 of the file. real, fake: numbers of windows."""
    return {**asdict(protocol), "weights_sha256": weights, "windows_real": real, "windows_fake": fake}
