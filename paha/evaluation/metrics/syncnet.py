"""SyncNet's two encoders (Chung and Zisserman 2016): mouth and sound of 0.2 s to embeddings that are close if in sync.

The layer names are those of the published weights `syncnet_v2.model`, which load strictly. Legend: N windows.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from paha.errors import PahaError
from paha.runtime.faults import is_want_of_memory

EMBEDDING_DIM = 1024


class SyncNet(nn.Module):
    """Inputs: lips (N, 3, 5, 224, 224) BGR values 0 to 255, sound (N, 1, 13, 20) cepstra. Outputs: (N, 1024)."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_block(nn.Conv2d(1, 64, 3, padding=1)),
            nn.MaxPool2d(1, 1),
            *_block(nn.Conv2d(64, 192, 3, padding=1)),
            nn.MaxPool2d(3, (1, 2)),
            *_block(nn.Conv2d(192, 384, 3, padding=1)),
            *_block(nn.Conv2d(384, 256, 3, padding=1)),
            *_block(nn.Conv2d(256, 256, 3, padding=1)),
            nn.MaxPool2d(3, 2),
            *_block(nn.Conv2d(256, 512, (5, 4))),
        )
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = nn.Sequential(
            *_block(nn.Conv3d(3, 96, (5, 7, 7), (1, 2, 2))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block(nn.Conv3d(256, 512, (1, 6, 6))),
        )

    def embed_sound(self, cepstra: Tensor) -> Tensor:
        """(N, 1, 13, 20) to (N, 1024)."""
        return self.netfcaud(self.netcnnaud(cepstra).flatten(1))

    def embed_lips(self, frames: Tensor) -> Tensor:
        """(N, 3, 5, 224, 224) to (N, 1024)."""
        return self.netfclip(self.netcnnlip(frames).flatten(1))


def _block(conv: nn.Conv2d | nn.Conv3d) -> list[nn.Module]:
    norm = nn.BatchNorm2d if isinstance(conv, nn.Conv2d) else nn.BatchNorm3d
    return [conv, norm(conv.out_channels), nn.ReLU()]


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING_DIM))


def load_syncnet(path: Path) -> SyncNet:
    """The network with the published weights, in eval mode. Raises PahaError where they do not fit or are damaged."""
    model = SyncNet()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state, strict=True)
    except Exception as error:
        if is_want_of_memory(error):
            raise
        # torch raises several unrelated types for a missing, cut or foreign file.
        raise PahaError(f"{path} holds no weights of SyncNet ({str(error).splitlines()[0]}); fetch it again") from error
    return model.eval().requires_grad_(False)
