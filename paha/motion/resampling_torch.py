"""Reading a picture through a map with PyTorch's `grid_sample`, on a GPU or anywhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import grid_sample

from paha.motion.resampling import doubled


class TorchResampler:
    """Textures stay on the device; places go to it and pixels come back.

    Places are not rounded to 1/64 pixel as OpenCV's are: results differ by at most 1/64 of the step between neighbours
    in x and in y, and one more for rounding: 255 / 32 + 1 = 9 levels at a black-white corner, under 1 in the mean.
    """

    def __init__(self, device: str | torch.device = "cuda") -> None:
        self.device = torch.device(device)

    def texture(self, picture: np.ndarray) -> torch.Tensor:
        """(1, C, 2 H, 2 W) float32 on the device, 0 to 255."""
        fine = doubled(picture)
        fine = fine[..., None] if fine.ndim == 2 else fine
        return torch.from_numpy(fine).to(self.device).permute(2, 0, 1)[None].float().contiguous()

    @torch.no_grad()
    def sample(self, textures: Sequence[torch.Tensor], at: np.ndarray) -> list[np.ndarray]:
        """See `paha.motion.resampling.Resampler`; the textures are of one size."""
        height, width = textures[0].shape[-2:]
        size = torch.tensor([width, height], device=self.device)
        places = (2 * torch.from_numpy(at).to(self.device) + 1) / size - 1
        together = torch.cat(list(textures), 1) if len(textures) > 1 else textures[0]
        read = grid_sample(together, places[None], mode="bilinear", padding_mode="border", align_corners=False)
        read = read[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        ends = np.cumsum([texture.shape[1] for texture in textures])[:-1]
        parts = np.split(read, ends, axis=2)
        return [np.ascontiguousarray(part[..., 0] if part.shape[2] == 1 else part) for part in parts]
