"""Losses: Eq. 1 with the loss weight of Eq. 3, and the same error by region for the log."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from paha.par.loss_weight import AwarenessArea


def par_loss(
    prediction: Tensor, target: Tensor, loss_weight: Tensor | None = None, *, frame_mask: Tensor | None = None
) -> Tensor:
    """Mean of loss_weight times the squared error over the frames that count; a scalar.

    prediction, target: (B, T, C, H, W). loss_weight: (B, T, 1, H, W), M of Eq. 3, or None for plain MSE. It multiplies
    the squared error before any reduction: inside the square it would act squared, after the mean not at all.
    frame_mask: (B, T), 0 for clean frames, which carry no loss (design row 3).
    """
    # Eq. 1
    error = (prediction.float() - target.float()) ** 2
    if loss_weight is not None:
        error = error * loss_weight
    per_frame = error.mean(dim=(2, 3, 4))
    if frame_mask is None:
        return per_frame.mean()
    mask = frame_mask.to(per_frame)
    return (per_frame * mask).sum() / mask.sum().clamp_min(1)


def region_losses(error: Tensor, area: AwarenessArea, *, frame_mask: Tensor | None = None) -> dict[str, Tensor]:
    """Unweighted mean squared error of the face, hand, body and background areas, for the log.

    error: (B, T, C, H, W) squared error; area: masks of any resolution, area-averaged to (H, W). A pixel counts for the
    smaller part first: face and hand before body, background where none is. Empty regions give NaN.
    """
    _, _, _, H, W = error.shape
    small = area.hand | area.face
    masks = {
        "face": area.face,
        "hand": area.hand,
        "body": area.body & ~small,
        "background": ~(area.body | small),
    }
    per_pixel = error.detach().mean(dim=2)
    keep = 1.0 if frame_mask is None else frame_mask.to(per_pixel)[..., None, None]
    losses = {}
    for name, mask in masks.items():
        share = F.interpolate(mask.to(per_pixel), size=(H, W), mode="area") * keep
        total = share.sum()
        losses[name] = torch.where(total > 0, (per_pixel * share).sum() / total, torch.nan)
    return losses
