"""PoseReader: keypoints, confidences, face box and mouth opening of a presenter frame, about a million weights.

Legend: N frames, K keypoints (133), S side of the reader's input (128 px). Coordinates inside are in [0, 1] of the
frame's sides.

Stage 1 sees the frame: one heatmap a keypoint at a quarter of the resolution, whose expectation is the point (integral
regression), and the confidence from the features under that heatmap. Two more heatmaps give the face box's corners.
Stage 2 sees the face, cut out by that box: it reads the mouth opening and moves the face's points.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.extractors.pixel_codec import ResidualBlock
from paha.runtime.network import Network, register_to_config
from paha.types import FACE, NUM_KEYPOINTS

INPUT_SIZE = 128
CROP_SIZE = 48
CROP_GROW = 1.3
HEATMAP_STRIDE = 4
READ_BATCH = 64


@dataclass(frozen=True)
class PoseReading:
    """What the reader sees. points: (N, 133, 2) px of the given frames. scores: (N, 133) in [0, 1].

    face_box: (N, 4) px, x0 y0 x1 y1. mouth_open: (N,) in [0, 1], the rig's signal of that name. face_spread: (N,), see
    `ReaderOutput`. All float32.
    """

    points: np.ndarray
    scores: np.ndarray
    face_box: np.ndarray
    mouth_open: np.ndarray
    face_spread: np.ndarray


@dataclass(frozen=True)
class ReaderOutput:
    """Tensors of one forward pass. points: (N, K, 2) in [0, 1]. coarse_points: the same from stage 1 alone.

    score_logits: (N, K). face_box: (N, 4) in [0, 1]. mouth_open: (N,), not clamped. face_spread: (N,), mean entropy in
    nats of the face points' heatmaps: small where the reader knows where a face is, large where it guesses.
    """

    points: Tensor
    coarse_points: Tensor
    score_logits: Tensor
    face_box: Tensor
    mouth_open: Tensor
    face_spread: Tensor

    @classmethod
    def cat(cls, outputs: list[Self]) -> Self:
        """Join batches."""
        return cls(**{f.name: torch.cat([getattr(o, f.name) for o in outputs]) for f in fields(cls)})


class Trunk(nn.Module):
    """(N, 3, S, S) to features (N, widths[0], S/4, S/4): down to S/16 and up again, skips added."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.stem = nn.Sequential(nn.PixelUnshuffle(HEATMAP_STRIDE), nn.Conv2d(48, a, 3, padding=1), ResidualBlock(a))
        self.down1 = nn.Sequential(
            nn.SiLU(), nn.Conv2d(a, b, 3, stride=2, padding=1), ResidualBlock(b), ResidualBlock(b)
        )
        self.down2 = nn.Sequential(
            nn.SiLU(), nn.Conv2d(b, c, 3, stride=2, padding=1), ResidualBlock(c), nn.SiLU(), GlobalContext(c)
        )
        self.up1 = nn.Conv2d(c, b, 1)
        self.block1 = ResidualBlock(b)
        self.up2 = nn.Conv2d(b, a, 1)
        self.block2 = nn.Sequential(ResidualBlock(a), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        """Features at a quarter of the resolution."""
        return self.stages(x)[-1]

    def stages(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features at 1/4, 1/8 and 1/16 on the way down, and those at a quarter that the way up ends in."""
        fine = self.stem(x)
        middle = self.down1(fine)
        coarse = self.down2(middle)
        up = self.block1(middle + upsample(self.up1(coarse)))
        return fine, middle, coarse, self.block2(fine + upsample(self.up2(up)))


class GlobalContext(nn.Module):
    """Adds a projection of the frame's mean features to every cell, so that each sees the whole figure."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        return x + self.mlp(x.mean((2, 3)))[:, :, None, None]


class FaceHead(nn.Module):
    """Face crops (N, 3, 48, 48) to the mouth opening (N,) and moves of the face's points (N, 68, 2) in crop sides."""

    def __init__(self, widths: tuple[int, int, int], hidden: int) -> None:
        super().__init__()
        a, b, c = widths
        self.features = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, a, 3, padding=1),
            ResidualBlock(a),
            nn.SiLU(),
            nn.Conv2d(a, b, 3, stride=2, padding=1),
            ResidualBlock(b),
            nn.SiLU(),
            nn.Conv2d(b, c, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(c * (CROP_SIZE // 8) ** 2, hidden),
            nn.SiLU(),
        )
        self.mouth = nn.Linear(hidden, 1)
        self.moves = nn.Linear(hidden, 2 * (FACE.stop - FACE.start))
        nn.init.zeros_(self.moves.weight)
        nn.init.zeros_(self.moves.bias)

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        """(mouth opening, moves)."""
        hidden = self.features(crop)
        return self.mouth(hidden).squeeze(1), self.moves(hidden).unflatten(1, (-1, 2))


class PoseReader(Network):
    """Reads pose off presenter frames, generated, coded, blurred and noisy ones too.

    widths: channels of the trunk at 1/4, 1/8, 1/16. face_widths: of the face head at 1/2, 1/4, 1/8 of the crop.
    """

    @register_to_config
    def __init__(
        self,
        widths: tuple[int, int, int] = (64, 96, 128),
        face_widths: tuple[int, int, int] = (32, 48, 64),
        face_hidden: int = 96,
    ) -> None:
        super().__init__()
        self.trunk = Trunk(widths)
        self.heatmaps = nn.Conv2d(widths[0], NUM_KEYPOINTS + 2, 1)
        self.score_weight = nn.Parameter(torch.randn(NUM_KEYPOINTS, widths[0]) * widths[0] ** -0.5)
        self.score_bias = nn.Parameter(torch.zeros(NUM_KEYPOINTS))
        # Scale and shift of the two corner points: an expectation alone cannot leave the frame.
        self.corner_affine = nn.Parameter(torch.tensor([[1.0, 1.0, 0.0, 0.0]] * 2))
        self.face_head = FaceHead(face_widths, face_hidden)
        initialise(self)

    def forward(self, x: Tensor, crop_box: Tensor | None = None) -> ReaderOutput:
        """Frames (N, 3, 128, 128) in [-1, 1].

        crop_box: (N, 4) in [0, 1], the box that stage 2 sees instead of the predicted one (training). Stage 2 sends no
        gradient into stage 1.
        """
        features = self.trunk(x.contiguous(memory_format=torch.channels_last))
        attention = self.heatmaps(features).flatten(2).float().softmax(-1)
        points = attention @ cell_centres(features.shape[-2:], like=attention)
        coarse, corners = points[:, :NUM_KEYPOINTS], points[:, NUM_KEYPOINTS:]
        under = attention[:, :NUM_KEYPOINTS] @ features.flatten(2).mT.to(attention.dtype)
        score_logits = (under * self.score_weight).sum(-1) + self.score_bias
        face_box = (corners * self.corner_affine[:, :2] + self.corner_affine[:, 2:]).flatten(1)
        box = crop_square(face_box.detach() if crop_box is None else crop_box)
        mouth_open, moves = self.face_head(crop_faces(x, box))
        moves = moves * (box[:, 2:] - box[:, :2])[:, None]
        refined = coarse.clone()
        refined[:, FACE] = coarse[:, FACE].detach() + moves
        return ReaderOutput(refined, coarse, score_logits, face_box, mouth_open.float(), spread(attention[:, FACE]))

    @torch.no_grad()
    def read(self, images: np.ndarray, *, batch_size: int = READ_BATCH) -> PoseReading:
        """Read frames (N, H, W, 3) uint8 of any size, in batches. Points and box are in pixels of the given frames."""
        if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not images.size:
            raise ValueError(f"frames must be uint8 (N, H, W, 3), not {images.dtype} {images.shape}")
        chunks = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
        output = ReaderOutput.cat([self(self._prepare(chunk)) for chunk in chunks])
        side = torch.tensor([images.shape[2], images.shape[1]], dtype=torch.float32)
        points, box = output.points.float().cpu() * side, output.face_box.float().cpu() * side.repeat(2)
        scores = output.score_logits.float().sigmoid().cpu()
        mouth = output.mouth_open.clamp(0, 1).cpu()
        spreads = output.face_spread.float().cpu().numpy()
        return PoseReading(points.numpy(), scores.numpy(), box.numpy(), mouth.numpy(), spreads)

    def _prepare(self, images: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(images)).to(self.device).permute(0, 3, 1, 2)
        x = x.to(self.dtype) / 127.5 - 1
        if x.shape[-2:] == (INPUT_SIZE, INPUT_SIZE):
            return x
        return F.interpolate(x, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True)


def initialise(model: nn.Module) -> None:
    """Variance-preserving weights, as there are no normalisation layers; residual branches start at zero."""
    branches = {id(module.conv2) for module in model.modules() if isinstance(module, ResidualBlock)}
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and id(module) not in branches:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, module.bias))


def spread(attention_NKC: Tensor) -> Tensor:
    """(N,) mean entropy in nats of heatmaps (N, K, C) over C cells, without a gradient."""
    heat = attention_NKC.detach()
    return -torch.xlogy(heat, heat).sum(-1).mean(1)


def upsample(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def cell_centres(size: torch.Size | tuple[int, int], *, like: Tensor) -> Tensor:
    """Centres (H W, 2) of the cells of a grid, (x, y) in [0, 1]."""
    height, width = size
    y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)


def crop_square(box: Tensor) -> Tensor:
    """The square about a box (N, 4), grown, so that a face keeps its shape and a slightly wrong box still holds the
    mouth.
    """
    centre = (box[:, :2] + box[:, 2:]) / 2
    half = (box[:, 2:] - box[:, :2]).abs().amax(1, keepdim=True).clamp(min=0.05) * (CROP_GROW / 2)
    return torch.cat([centre - half, centre + half], 1)


def crop_faces(x: Tensor, box: Tensor) -> Tensor:
    """Cut boxes (N, 4) in [0, 1] out of frames (N, 3, H, W), resampled to (N, 3, 48, 48); the border repeats."""
    grid = cell_centres((CROP_SIZE, CROP_SIZE), like=box).unflatten(0, (CROP_SIZE, CROP_SIZE))
    low, high = box[:, None, None, :2], box[:, None, None, 2:]
    grid = 2 * (low + grid * (high - low)) - 1
    return F.grid_sample(x, grid.to(x.dtype), mode="bilinear", padding_mode="border", align_corners=False)
