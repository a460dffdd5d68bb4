"""Whether a picture is like those that a presenter model was trained on: drawn presenters, no photographs.

The pose reader was trained on presenters alone. Its features, averaged over a picture, follow a Gaussian that is fitted
to the corpus; a picture whose Mahalanobis distance exceeds that of held-out presenters is out of distribution.
Photographs are not needed for the fit.
Legend: N pictures, D numbers that describe one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from paha.errors import PahaError
from paha.extractors.pose import PresenterPose
from paha.media.pixels import image_to_pixels
from paha.motion.keypoint_estimator import INPUT_SIZE, PoseReader

FILE = "likeness.safetensors"
SHRINK = 0.02
"""Shrinkage of the correlations towards none."""
FOLDS = 4
QUANTILE = 0.985
"""Of the presenters' distances, each from a Gaussian fitted without it: the limit. So 1.5 % of them get a warning."""


@torch.no_grad()
def describe(reader: PoseReader, pixels: Tensor) -> Tensor:
    """(N, D) of pixels (N, 3, H, W) in [-1, 1]: mean and log deviation of the trunk's channels at each stage."""
    x = F.interpolate(pixels, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True)
    stages = reader.trunk.stages(x.to(reader.device, reader.dtype))
    moments = [m for s in stages for m in (s.float().mean((2, 3)), s.float().std((2, 3)).clamp_min(1e-6).log())]
    return torch.cat(moments, 1).cpu()


@dataclass(frozen=True)
class Likeness:
    """The fitted Gaussian. mean: (D,). whitening: (D, D), which turns a deviation into D numbers of unit variance."""

    mean: Tensor
    whitening: Tensor

    @classmethod
    def fit(cls, descriptions: Tensor) -> Self:
        """Fit to descriptions (N, D), a clip's variants side by side: the limit is that of clips left out in turn."""
        folds = descriptions.chunk(FOLDS)
        unseen = [_cloud(torch.cat([*folds[:i], *folds[i + 1 :]]), limit=1.0) for i in range(len(folds))]
        distances = torch.cat([cls(*cloud).distance(fold) for cloud, fold in zip(unseen, folds, strict=True)])
        return cls(*_cloud(descriptions, limit=float(distances.quantile(QUANTILE))))

    def distance(self, descriptions: Tensor) -> Tensor:
        """(N,): squared Mahalanobis distance over the limit's; above 1 a picture is unlike the presenters."""
        return ((descriptions - self.mean) @ self.whitening.float()).square().mean(1)

    def save(self, folder: Path) -> None:
        """Write it beside a pose reader's weights."""
        tensors = {"mean": self.mean, "whitening": self.whitening.half()}
        save_file({name: value.contiguous() for name, value in tensors.items()}, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote. Raises PahaError where it cannot be read."""
        try:
            tensors = load_file(folder / FILE)
            return cls(tensors["mean"], tensors["whitening"])
        except (OSError, SafetensorError, KeyError) as error:
            raise PahaError(f"cannot read {folder / FILE}: {error}; copy the model folder again") from error


def image_distance(image: np.ndarray, folder: Path | None) -> float | None:
    """Distance of a picture (H, W, 3) uint8, by the pose reader in a folder; None where no Gaussian was fitted for
    it."""
    if folder is None or not (folder / FILE).is_file():
        return None
    pixels = image_to_pixels(image, width=INPUT_SIZE, height=INPUT_SIZE)
    return float(Likeness.load(folder).distance(describe(PresenterPose.load(folder).reader, pixels))[0])


def _cloud(descriptions: Tensor, *, limit: float) -> tuple[Tensor, Tensor]:
    """Mean and whitening of descriptions (N, D), so scaled that a squared distance of `limit` becomes 1."""
    x = descriptions.double()
    mean, scale = x.mean(0), x.std(0).clamp_min(1e-6)
    z = (x - mean) / scale
    values, vectors = torch.linalg.eigh(z.T @ z / len(z))
    spread = ((1 - SHRINK) * values.clamp_min(0) + SHRINK).sqrt()
    return mean.float(), (vectors / scale[:, None] / spread / limit**0.5).float()
