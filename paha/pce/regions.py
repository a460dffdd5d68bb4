"""The regions of the PCE classifiers: a face box to masks and windows at latent resolution (design rows 15 and 16).

Boxes are (B, 4), x0 y0 x1 y1 in [0, 1] of width and height, one a clip. Letters: B clips, T frames, C channels, H W
latent size.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

Region: TypeAlias = Literal["face", "non_face"]
REGIONS: tuple[Region, ...] = ("non_face", "face")
"""In the order that Sequential Guidance uses them."""
BOX_GROWTH = 1.3
"""The reference image's face box is grown so much: the head moves in the clip (design row 15)."""


def grow_box(box_B4: Tensor, factor: float = BOX_GROWTH) -> Tensor:
    """The box with its sides times `factor`, about its centre; may reach out of [0, 1]."""
    centre = (box_B4[..., :2] + box_B4[..., 2:]) / 2
    half = (box_B4[..., 2:] - box_B4[..., :2]) / 2 * factor
    return torch.cat([centre - half, centre + half], dim=-1)


def face_mask(box_B4: Tensor, *, height: int, width: int) -> Tensor:
    """M_face, (B, 1, 1, H, W): 1 in the cells that the box covers by half or more, 0 elsewhere.

    The cell that holds the box's centre is always inside, so that a face is never lost. Binary: the mask is applied to
    the classifier's input and again to its gradient, and a soft edge would act twice.
    """
    covered = _coverage(box_B4, height, axis=1)[:, :, None] * _coverage(box_B4, width, axis=0)[:, None, :]
    inside = covered >= 0.5
    centre = (box_B4[:, :2] + box_B4[:, 2:]) / 2
    columns = (centre[:, 0] * width).long().clamp(0, width - 1)
    rows = (centre[:, 1] * height).long().clamp(0, height - 1)
    inside[torch.arange(len(inside), device=inside.device), rows, columns] = True
    return inside.float()[:, None, None]


def region_mask(box_B4: Tensor, region: Region, *, height: int, width: int) -> Tensor:
    """M_face, or M_non_face = 1 - M_face, (B, 1, 1, H, W)."""
    mask = face_mask(box_B4, height=height, width=width)
    return mask if region == "face" else 1 - mask


def crop_corners(box_B4: Tensor, size: int, *, height: int, width: int) -> Tensor:
    """(B, 2) int64: row and column of the first cell of a size x size window centred on the box, inside the latent."""
    centre = (box_B4[:, :2] + box_B4[:, 2:]) / 2
    limits = torch.tensor([height, width], device=box_B4.device)
    corner = (centre.flip(1) * limits - size / 2).round().long()
    return torch.minimum(corner.clamp(min=0), (limits - size).clamp(min=0))


def crop_windows(z_BTCHW: Tensor, corners_B2: Tensor, size: int) -> Tensor:
    """Each clip's window, (B, T, C, size, size); the whole latent along a side shorter than `size`."""
    _, T, C, H, W = z_BTCHW.shape
    rows = corners_B2[:, :1] + torch.arange(min(size, H), device=z_BTCHW.device)
    columns = corners_B2[:, 1:] + torch.arange(min(size, W), device=z_BTCHW.device)
    # One gather for all clips: a slice a clip would have a GPU wait for the corners.
    cells = (rows[:, :, None] * W + columns[:, None, :]).flatten(1)
    windows = z_BTCHW.flatten(3).gather(3, cells[:, None, None].expand(-1, T, C, -1))
    return windows.unflatten(3, (rows.shape[1], columns.shape[1]))


def select_region(
    z_BTCHW: Tensor,
    box_B4: Tensor,
    region: Region,
    *,
    crop: int = 0,
    widen: float = 1.0,
    masked_B: Tensor | None = None,
) -> Tensor:
    """What a region's classifier is shown of noisy latents: the other region zeroed, then the window around the face.

    box_B4: already grown; its sides are taken times `widen`. crop: side of the window in cells (0: everything), for the
    face classifier. masked_B: (B,) 1 where the clip is masked (probability 0.8 in training), None for all of them
    (guidance). Differentiable in z.
    """
    size = {"height": z_BTCHW.shape[3], "width": z_BTCHW.shape[4]}
    mask = region_mask(grow_box(box_B4, widen), region, **size).to(z_BTCHW)
    if masked_B is not None:
        mask = torch.maximum(mask, 1 - masked_B.to(mask)[:, None, None, None, None])
    shown = z_BTCHW * mask
    return shown if crop == 0 else crop_windows(shown, crop_corners(box_B4, crop, **size), crop)


def _coverage(box_B4: Tensor, cells: int, *, axis: int) -> Tensor:
    """(B, cells): the share of each cell's side that the box covers along x (axis 0) or y (axis 1)."""
    edges = torch.arange(cells + 1, device=box_B4.device) / cells
    start, stop = box_B4[:, axis, None], box_B4[:, axis + 2, None]
    overlap = torch.minimum(edges[1:], stop) - torch.maximum(edges[:-1], start)
    return (overlap.clamp(min=0) * cells).clamp(max=1)
