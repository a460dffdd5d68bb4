"""FVD (B.5, [41]): Frechet distance of I3D's features of short windows of video, by a protocol that is written down.

Numbers of two protocols, or of two sets of different size, cannot be compared: `FvdProtocol` stands beside every value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from paha.errors import PahaError

Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FvdProtocol:
    """frames: of a window. stride: frames between two frames of a window. windows_per_clip: from the clip's start on,
    one after the other; 0 for all. size: the shorter side is brought to it (bilinear, antialiased), then the middle is
    cut out. low, high: the values of black and white that the network gets.
    """

    frames: int = 16
    stride: int = 1
    windows_per_clip: int = 1
    size: int = 224
    low: float = -1.0
    high: float = 1.0


def load_protocol(path: Path | None) -> FvdProtocol:
    """The protocol of a YAML file, or the default. Raises PahaError that names an unknown or missing key."""
    if path is None:
        return FvdProtocol()
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        known = {f.name for f in fields(FvdProtocol)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise PahaError(f"{path}: unknown '{unknown[0]}'; known: {', '.join(sorted(known))}")
        protocol = FvdProtocol(**data)
    except (OSError, yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise PahaError(f"cannot read the FVD protocol {path}: {error}") from error
    if min(protocol.frames, protocol.stride, protocol.size) < 1:
        raise PahaError(f"{path}: frames, stride and size must be 1 or more")
    return protocol


def prepare(frames: np.ndarray, protocol: FvdProtocol) -> Tensor:
    """Frames (T, H, W, 3) uint8 of a clip to windows (N, 3, frames, size, size); N is 0 for a short clip."""
    span = (protocol.frames - 1) * protocol.stride + 1
    count = len(frames) // span
    count = min(count, protocol.windows_per_clip) if protocol.windows_per_clip else count
    if not count:
        return torch.zeros(0, 3, protocol.frames, protocol.size, protocol.size)
    index = np.concatenate([np.arange(k * span, (k + 1) * span, protocol.stride) for k in range(count)])
    x = torch.from_numpy(np.ascontiguousarray(frames[index])).permute(0, 3, 1, 2).float()
    scale = protocol.size / min(x.shape[2:])
    size = [max(protocol.size, round(side * scale)) for side in x.shape[2:]]
    x = F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
    top, left = ((side - protocol.size) // 2 for side in size)
    x = x[:, :, top : top + protocol.size, left : left + protocol.size]
    x = protocol.low + x / 255 * (protocol.high - protocol.low)
    return x.unflatten(0, (count, protocol.frames)).transpose(1, 2)


@torch.no_grad()
def fvd_features(network: Features, frames: np.ndarray, protocol: FvdProtocol) -> np.ndarray:
    """Features (N, 400) float64 of a clip's windows."""
    windows = prepare(frames, protocol)
    parts = [network(window[None]).double().cpu().numpy() for window in windows]
    return np.concatenate(parts) if parts else np.zeros((0, 400))


def load_i3d(path: Path) -> Features:
    """I3D out of a torchscript file, which holds a program of tensor operations, not Python; gets (B, 3, T, H, W),
    gives the 400 logits (B, 400). Raises PahaError where the file is none.
    """
    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:
        raise PahaError(f"{path} is no torchscript file; take StyleGAN-V's i3d_torchscript.pt") from error
    # StyleGAN-V's file resizes and rescales itself unless told not to; others take the clip alone.
    names = {argument.name for argument in network.forward.schema.arguments}
    options = {"rescale": False, "resize": False, "return_features": True}
    chosen = {name: value for name, value in options.items() if name in names}
    return lambda x: network(x, **chosen)


def protocol_record(protocol: FvdProtocol, *, weights: str, real: int, fake: int) -> dict[str, object]:
    """What stands beside the value. weights: sha256 of the file. real, fake: numbers of windows."""
    return {**asdict(protocol), "weights_sha256": weights, "windows_real": real, "windows_fake": fake}
