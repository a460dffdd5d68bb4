"""Losses of the keypoint estimator's networks. Lengths are in per cent of the side of a network's input."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paha.motion.face_model import IBUG_68
from paha.motion.keypoint_estimator import NUM_MESH_POINTS, BodyReading, FaceReading, FoundFaces
from paha.training.motion.face_batches import FaceBatch
from paha.training.motion.person_batches import FinderBatch, PersonBatch

LIPS = np.array(
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409]
    + [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415]
)
EYES = np.array(
    [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
    + [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
    + list(range(468, 478))
)
_UPPER_LIP, _LOWER_LIP = (82, 13, 312), (87, 14, 317)
LIP_WEIGHT, EYE_WEIGHT, IBUG_WEIGHT, DEPTH_WEIGHT = 4.0, 3.0, 2.0, 0.5
GAP_WEIGHT, FLAG_WEIGHT = 1.0, 0.5
_BETA = 1.0
"""Where the smooth L1 loss turns from squares to absolutes, per cent."""


def mesh_weights() -> Tensor:
    """(478,) weights of mesh points, mean 1."""
    weight = torch.ones(NUM_MESH_POINTS)
    for index, value in ((IBUG_68, IBUG_WEIGHT), (EYES, EYE_WEIGHT), (LIPS, LIP_WEIGHT)):
        weight[torch.from_numpy(np.asarray(index))] = value
    return weight / weight.mean()


def face_losses(reading: FaceReading, truth: FaceBatch) -> dict[str, Tensor]:
    """Errors of both steps' mesh, of the gap between the lips, and of the flags."""
    weight = mesh_weights().to(truth.weight) * truth.weight
    gap = (lip_gap(reading.mesh) - lip_gap(truth.mesh)).abs() * truth.weight[:, 13]
    flags = F.binary_cross_entropy_with_logits(reading.flag_logits, truth.flags, reduction="none")
    # A crop without a face has no parts to be covered.
    judged = torch.cat([torch.ones_like(truth.flags[:, :1]), truth.flags[:, :1].expand(-1, 3)], 1)
    return {
        "coarse": mesh_error(reading.coarse, truth.mesh, weight),
        "mesh": mesh_error(reading.mesh, truth.mesh, weight),
        "gap": 100 * gap.mean(),
        "flags": (flags * judged).sum() / judged.sum(),
    }


def mesh_error(mesh: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean smooth L1 of points (N, 478, 3) in per cent of the side, weighted (N, 478)."""
    error = F.smooth_l1_loss(100 * mesh, 100 * truth, reduction="none", beta=_BETA)
    error = error[..., 0] + error[..., 1] + DEPTH_WEIGHT * error[..., 2]
    return (error * weight).sum() / weight.sum().clamp(min=1)


def lip_gap(mesh: Tensor) -> Tensor:
    """Distance (N,) of the inner lips of meshes (N, 478, 3), in their unit."""
    gap = mesh[:, list(_LOWER_LIP), :2] - mesh[:, list(_UPPER_LIP), :2]
    return gap.mean(1).norm(dim=-1)


def face_total(losses: dict[str, Tensor]) -> Tensor:
    """The loss of FaceNet."""
    return losses["coarse"] + losses["mesh"] + GAP_WEIGHT * losses["gap"] + FLAG_WEIGHT * losses["flags"]


POINT_WEIGHT, HEATMAP_WEIGHT, SCORE_WEIGHT, MASK_WEIGHT = 0.5, 2.0, 3.0, 4.0
HEAT_WEIGHT, BOX_WEIGHT = 1.0, 1.0


def person_losses(reading: BodyReading, truth: PersonBatch) -> dict[str, Tensor]:
    """Errors of the points that are seen, cross entropies of their heat maps, of what is seen, and of the mask."""
    seen = (truth.scores > 0).float()
    error = F.smooth_l1_loss(100 * reading.points, 100 * truth.points, reduction="none", beta=_BETA).sum(-1)
    return {
        "points": (error * seen).sum() / seen.sum().clamp(min=1),
        "heat_65": (heat_cross_entropy(reading.log_heat, truth.points) * seen).sum() / seen.sum().clamp(min=1),
        "scores": F.binary_cross_entropy_with_logits(reading.score_logits, seen),
        "mask": F.binary_cross_entropy_with_logits(reading.mask_logits, truth.mask),
    }


def person_total(losses: dict[str, Tensor]) -> Tensor:
    """The loss of PersonNet."""
    of_points = POINT_WEIGHT * losses["points"] + HEATMAP_WEIGHT * losses["heat_65"]
    return of_points + SCORE_WEIGHT * losses["scores"] + MASK_WEIGHT * losses["mask"]


def heat_cross_entropy(log_heat: Tensor, points: Tensor) -> Tensor:
    """(N, P) cross entropy of heat maps (N, P, s s), s cells a side, with points (N, P, 2) in [0, 1]: a point belongs
    to its four nearest cells, as bilinear interpolation has it. Expectations alone learn too slowly."""
    side = round(log_heat.shape[-1] ** 0.5)
    place = (points * side - 0.5).clamp(0, side - 1.001)
    low = place.floor()
    part = place - low
    total = torch.zeros_like(log_heat[..., 0])
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = (part[..., 0] if dx else 1 - part[..., 0]) * (part[..., 1] if dy else 1 - part[..., 1])
        index = ((low[..., 1] + dy) * side + low[..., 0] + dx).long()
        total = total - weight * log_heat.gather(-1, index[..., None]).squeeze(-1)
    return total


def finder_losses(found: FoundFaces, truth: FinderBatch) -> dict[str, Tensor]:
    """Focal loss of the heat (CenterNet: 1 at middles, less weight near them) and errors of boxes at middles."""
    chance = found.heat_logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    is_middle, counts = truth.heat == 1, truth.heat >= 0
    hit = -((1 - chance) ** 2) * chance.log() * is_middle
    miss = -(chance**2) * (1 - chance).log() * (1 - truth.heat.clamp(min=0)) ** 4 * (counts & ~is_middle)
    total = is_middle.sum().clamp(min=1)
    boxes = F.smooth_l1_loss(found.boxes, truth.boxes, reduction="none", beta=0.2).sum(1)
    return {"heat": (hit + miss).sum() / total, "boxes": (boxes * is_middle).sum() / total}


def finder_total(losses: dict[str, Tensor]) -> Tensor:
    """The loss of FaceFinder."""
    return HEAT_WEIGHT * losses["heat"] + BOX_WEIGHT * losses["boxes"]
