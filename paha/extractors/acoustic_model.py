"""AcousticModel: hears what is said. A small network on log-mel bands, trained on phones and lips (1.5 M weights).

It stands where wav2vec 2.0 stands in the paper (section 4.1.1), a thousandth of its training and a sixtieth of its
size, so that a model on a CPU may have ears as well: `paha train acoustic-model` trains it, UniVDM is then trained on
its features and leaves it as it is.
Letters: B clips, T video frames of 40 ms, 4T mel frames, M bands, D features, P phones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from paha.errors import PahaError
from paha.extractors.mel import MELS_PER_FRAME
from paha.runtime.network import Network, register_to_config

PHONES_PER_FRAME = 2
"""Phones are told apart every 20 ms."""
LIPS = ("mouth_open", "mouth_wide", "lip_press")


class Heard(NamedTuple):
    """features: (B, T, D), at least 0. lips: (B, T, 3), LIPS in units of their deviation from the mean.
    phone_logits: (B, 2T, P + 1), class 0 is no phone."""

    features: Tensor
    lips: Tensor
    phone_logits: Tensor


class SqueezeExcite(nn.Module):
    """Channels weighed by what the whole recording is like: its speaker, its room (Hu et al. 2018; for speech Han et
    al. 2020, ContextNet). Begins as the identity."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze, self.excite = (
            nn.Linear(channels, channels // reduction),
            nn.Linear(channels // reduction, channels),
        )
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n) to the same."""
        return 2 * x * self.excite(F.relu(self.squeeze(x.mean(-1)))).sigmoid()[..., None]


class ResidualBlock(nn.Module):
    """A dilated convolution of three and a pointwise one, with batch norms, added to what came in.

    reduction: of `SqueezeExcite`, 0 for none.
    """

    def __init__(self, channels: int, dilation: int, *, reduction: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.conv1 = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm1 = nn.BatchNorm1d(channels)
        self.conv2 = nn.Conv1d(channels, channels, 1, bias=False)
        self.norm2 = nn.BatchNorm1d(channels)
        self.gate = SqueezeExcite(channels, reduction) if reduction else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n) to the same."""
        inner = self.dropout(F.relu(self.norm1(self.conv1(x))))
        return F.relu(x + self.gate(self.norm2(self.conv2(inner))))


class AcousticModel(Network):
    """Log-mel bands to features of a video frame, which see about 0.55 s to both sides; all outputs are linear in
    them."""

    @register_to_config
    def __init__(
        self,
        mel_bands: int = 80,
        stem_channels: int = 128,
        channels: int = 224,
        dilations: tuple[int, ...] = (1, 1, 2, 3, 4, 1),
        features: int = 160,
        reduction: int = 0,
        dropout: float = 0.0,
        phones: tuple[str, ...] = (),
        lip_mean: tuple[float, ...] = (),
        lip_deviation: tuple[float, ...] = (),
    ) -> None:
        """phones: IPA symbols of classes 1, 2 ...; features: D, a multiple of mel_bands. lip_mean, lip_deviation: of
        LIPS in the speech that it was trained on, in the units of `PersonMotion`; older models do not know them."""
        super().__init__()
        if features % mel_bands:
            raise ValueError(f"features {features} must fill rows of mel_bands {mel_bands}")
        self.stem = nn.Sequential(
            nn.Conv1d(mel_bands, stem_channels, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm1d(stem_channels),
            nn.ReLU(),
            ResidualBlock(stem_channels, 1),
            nn.Conv1d(stem_channels, channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            *(ResidualBlock(channels, d, reduction=reduction, dropout=dropout) for d in dilations)
        )
        self.to_features = nn.Conv1d(channels, features, 1)
        self.lip_head = nn.Linear(features, len(LIPS))
        self.phone_head = nn.Linear(features, PHONES_PER_FRAME * (len(phones) + 1))

    def forward(self, mel: Tensor) -> Heard:
        """mel: (B, 4T, M), scaled as `LogMelEncoder` does."""
        if mel.shape[1] % MELS_PER_FRAME:
            raise ValueError(f"{mel.shape[1]} mel frames are no whole number of video frames of {MELS_PER_FRAME}")
        hidden = self.blocks(self.stem(mel.transpose(1, 2)))
        features = F.relu(self.to_features(hidden)).transpose(1, 2)
        phones = self.phone_head(features).unflatten(-1, (PHONES_PER_FRAME, -1)).flatten(1, 2)
        return Heard(features, self.lip_head(features), phones)

    def lips(self, features: Tensor) -> Tensor:
        """LIPS (..., 3) in the units of `PersonMotion`, from neutral, of features (..., D).

        Raises PahaError where it does not know the units, as those trained before they were kept.
        """
        if not self.config["lip_mean"]:
            raise PahaError(
                "the acoustic model does not know in which units it reads lips; train it again, or set "
                "sample.heard_lips to 0 in the model's paha.yaml"
            )
        mean, deviation = (features.new_tensor(self.config[name]) for name in ("lip_mean", "lip_deviation"))
        return mean + deviation * self.lip_head(features)
