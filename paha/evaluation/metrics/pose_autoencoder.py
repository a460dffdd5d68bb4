"""The pose autoencoder in whose latent space FGD and Diversity are measured (B.5, [56], [21]).

Legend: N windows, T frames of a window (34), D pose width (2 numbers a bone), L latent width (128).

Layers as in the line of trimodal gestures (Yoon et al. 2020) and HA2G: an encoder of four convolutions over time, a
decoder of two transposed and two plain ones. Leaky ReLUs have slope 0.2 throughout by default; HA2G's code passes
`True` as the slope of those behind linear layers, which is 1 and makes them linear (`linear_slope`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from paha.runtime.network import Network, register_to_config

_SLOPE = 0.2
_ENCODE_BATCH = 512


class PoseAutoencoder(Network):
    """Windows of bone directions to a latent vector and back.

    pose_dim: D. num_frames: T, at least 12. fps: the clock of the windows. stride: frames between the starts of two
    windows of a clip. min_score: confidence below which a keypoint counts as unseen. latent_dim: L. mean_pose: (D,),
    subtracted from all poses; of the training set. linear_slope: of the leaky ReLUs behind linear layers.
    """

    @register_to_config
    def __init__(
        self,
        pose_dim: int = 94,
        num_frames: int = 34,
        fps: float = 15.0,
        stride: int = 10,
        min_score: float = 0.3,
        latent_dim: int = 128,
        mean_pose: Sequence[float] | None = None,
        linear_slope: float = _SLOPE,
    ) -> None:
        super().__init__()
        if num_frames < 12:
            raise ValueError(f"windows of {num_frames} frames are too short for the encoder; take 12 or more")
        self.num_frames = num_frames
        mean = torch.zeros(pose_dim) if mean_pose is None else torch.tensor(mean_pose, dtype=torch.float32)
        self.mean: Tensor
        self.register_buffer("mean", mean, persistent=False)
        inner = (num_frames - 8) // 2 - 1
        self.encoder = nn.Sequential(
            *_conv(pose_dim, 32, 3),
            *_conv(32, 64, 3),
            *_conv(64, 64, 4, stride=2),
            nn.Conv1d(64, 32, 3),
            nn.Flatten(),
            *_linear(32 * inner, 256, linear_slope),
            *_linear(256, 128, linear_slope),
            nn.Linear(128, latent_dim),
        )
        self.decoder = nn.Sequential(
            *_linear(latent_dim, 64, linear_slope),
            nn.Linear(64, 4 * num_frames),
            nn.Unflatten(1, (4, num_frames)),
            *_conv(4, 32, 3, transposed=True),
            *_conv(32, 32, 3, transposed=True),
            nn.Conv1d(32, 32, 3),
            nn.Conv1d(32, pose_dim, 3),
        )

    def forward(self, poses_NTD: Tensor) -> Tensor:
        """Windows (N, T, D) to their reconstruction, the same shape."""
        z = self.encoder((poses_NTD - self.mean).mT)
        return self.decoder(z).mT + self.mean

    @torch.no_grad()
    def encode(self, poses_NTD: np.ndarray) -> np.ndarray:
        """Latent vectors (N, L) float64 of windows (N, T, D)."""
        if not len(poses_NTD):
            return np.zeros((0, self.config["latent_dim"]))
        x = torch.from_numpy(np.asarray(poses_NTD, np.float32)).to(self.device)
        z = [self.encoder((part - self.mean).mT) for part in x.split(_ENCODE_BATCH)]
        return torch.cat(z).double().cpu().numpy()

    def sha256(self) -> str:
        """A hash of the configuration and all weights, which stands beside every result."""
        known = {k: v for k, v in dict(self.config).items() if not k.startswith("_")}
        if known["linear_slope"] == _SLOPE:
            del known["linear_slope"]  # autoencoders from before there was a choice keep their hash
        digest = hashlib.sha256(repr(sorted(known.items())).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def _conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1, transposed: bool = False) -> list[nn.Module]:
    layer = nn.ConvTranspose1d if transposed else nn.Conv1d
    return [layer(inputs, outputs, kernel, stride), nn.BatchNorm1d(outputs), nn.LeakyReLU(_SLOPE)]


def _linear(inputs: int, outputs: int, slope: float) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(slope)]
