"""KeypointEstimator: faces, whole-body keypoints, mask and face mesh of people in pictures, about 2.6 M weights.

Three networks, each of which sees a picture that the one before has cut out for it (`paha.motion.own_landmarks`):

- `FaceFinder` sees a whole picture (160 px) and marks every face and its box.
- `FaceNet` sees a face (128 px) and gives the 478 mesh points in two steps: from the whole crop, then each point moved
  by the features found where the first step put it.
- `PersonNet` sees a person (160 px, the face at a fixed place and size) and gives body, feet and hands by integral
  regression of heat maps, what of them is seen, and the person's mask.

Legend: N pictures, S side of a network's input, P points. Coordinates are in [0, 1] of the input's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.extractors.pose_reader import cell_centres, upsample
from paha.runtime.network import Network, register_to_config

FINDER_SIZE, FACE_SIZE, PERSON_SIZE = 160, 128, 160
FINDER_STRIDE = 8
NUM_MESH_POINTS = 478
NUM_PERSON_POINTS = 65
"""Body 17, feet 6, left hand 21, right hand 21."""
FACE_FLAGS = ("face", "right_eye", "left_eye", "mouth")
"""What FaceNet judges beside points: is it a face, are its parts uncovered."""


class FoundFaces(NamedTuple):
    """heat_logits: (N, h, w), a face's middle is in the cell. boxes: (N, 4, h, w): middle x, y from the cell's middle
    in cells, log of width and height in cells."""

    heat_logits: Tensor
    boxes: Tensor


class FaceReading(NamedTuple):
    """mesh: (N, 478, 3), x and y in [0, 1] of the crop, z in crop sides. coarse: the same from the first step.
    flag_logits: (N, 4), FACE_FLAGS."""

    mesh: Tensor
    coarse: Tensor
    flag_logits: Tensor


class BodyReading(NamedTuple):
    """points: (N, 65, 2) in [0, 1] of the crop. log_heat: (N, 65, h w), logarithm of the chance that a point is in
    a cell of the grid S/4. score_logits: (N, 65). mask_logits: (N, S/2, S/2)."""

    points: Tensor
    log_heat: Tensor
    score_logits: Tensor
    mask_logits: Tensor


@dataclass(frozen=True)
class EstimatorOutput:
    """What each network says of its own input; None where it got none."""

    found: FoundFaces | None
    face: FaceReading | None
    body: BodyReading | None


class ConvNorm(nn.Sequential):
    """A 3 x 3 convolution, batch norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.SiLU()
        )


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width)
        norm = nn.BatchNorm2d(width)
        nn.init.zeros_(norm.weight)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), norm)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.silu(x + self.second(self.first(x)))


class FaceFinder(nn.Module):
    """Pictures (N, 3, 160, 160) in [-1, 1] to `FoundFaces` on a grid of 20 x 20."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.fine = nn.Sequential(nn.PixelUnshuffle(4), ConvNorm(48, a), ConvNorm(a, b, stride=2), Residual(b))
        self.coarse = nn.Sequential(ConvNorm(b, c, stride=2), Residual(c), Context(c))
        self.up = nn.Conv2d(c, b, 1)
        self.last = Residual(b)
        self.head = nn.Conv2d(b, 5, 1)
        # Hardly a cell is a face's middle: the focal loss starts small.
        self.heat_bias = nn.Parameter(torch.tensor(-4.0))

    def forward(self, x: Tensor) -> FoundFaces:
        """Heat and boxes of every cell."""
        fine = self.fine(x)
        out = self.head(self.last(fine + upsample(self.up(self.coarse(fine))))).float()
        return FoundFaces(out[:, 0] + self.heat_bias, out[:, 1:])


class Context(nn.Module):
    """Adds a projection of the mean features to every cell, so that each sees the whole."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, h, w) to the same shape."""
        return x + self.mlp(x.mean((2, 3)))[:, :, None, None]


class FaceNet(nn.Module):
    """Face crops (N, 3, 128, 128) in [-1, 1] to `FaceReading`."""

    def __init__(self, widths: tuple[int, int, int, int], hidden: int) -> None:
        super().__init__()
        a, b, c, d = widths
        self.fine = nn.Sequential(ConvNorm(3, a, stride=2), ConvNorm(a, b, stride=2), Residual(b))
        self.middle = nn.Sequential(ConvNorm(b, c, stride=2), Residual(c), Residual(c))
        self.deep = nn.Sequential(ConvNorm(c, d, stride=2), Residual(d), Residual(d))
        self.hidden = nn.Sequential(
            nn.Conv2d(d, 32, 1), nn.Flatten(), nn.Linear(32 * (FACE_SIZE // 16) ** 2, hidden), nn.SiLU()
        )
        self.mesh = nn.Linear(hidden, 3 * NUM_MESH_POINTS)
        self.flags = nn.Linear(hidden, len(FACE_FLAGS))
        self.up_deep, self.up_middle = nn.Conv2d(d, c, 1), nn.Conv2d(c, b, 1)
        self.local = ConvNorm(b, b)
        self.moves = nn.Parameter(torch.zeros(NUM_MESH_POINTS, 3, b))
        nn.init.normal_(self.mesh.weight, std=0.01)

    def forward(self, x: Tensor) -> FaceReading:
        """Mesh in two steps, and flags."""
        fine = self.fine(x)
        middle = self.middle(fine)
        deep = self.deep(middle)
        hidden = self.hidden(deep)
        coarse = self.mesh(hidden).float().unflatten(1, (NUM_MESH_POINTS, 3))
        local = self.local(fine + upsample(self.up_middle(middle + upsample(self.up_deep(deep)))))
        # (N, b, 478, 1) features where the first step put the points; no gradient through where.
        places = 2 * coarse[:, :, None, :2].detach() - 1
        under = F.grid_sample(local, places.to(local), padding_mode="border", align_corners=False).squeeze(3)
        moves = torch.einsum("nbp,pkb->npk", under.float(), self.moves.float())
        return FaceReading(coarse + moves, coarse, self.flags(hidden).float())


class PersonNet(nn.Module):
    """Person crops (N, 4, 160, 160) in [-1, 1] (`paha.motion.person_crop`) to `BodyReading`: down to 1/16 of the
    resolution and up to 1/4, skips added."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.fine = nn.Sequential(nn.PixelUnshuffle(4), ConvNorm(64, a))
        self.middle = nn.Sequential(ConvNorm(a, b, stride=2), Residual(b), Residual(b))
        self.deep = nn.Sequential(ConvNorm(b, c, stride=2), Residual(c), Residual(c), Context(c))
        self.up_deep, self.up_middle = nn.Conv2d(c, b, 1), nn.Conv2d(b, a, 1)
        self.last_middle, self.last = Residual(b), Residual(a)
        self.heatmaps = nn.Conv2d(a, NUM_PERSON_POINTS, 1)
        self.score_weight = nn.Parameter(torch.randn(NUM_PERSON_POINTS, a) * a**-0.5)
        self.score_bias = nn.Parameter(torch.zeros(NUM_PERSON_POINTS))
        self.mask = nn.Sequential(nn.Conv2d(a, 4, 1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> BodyReading:
        """Points by the expectation of their heat maps, scores by the features under them, mask."""
        fine = self.fine(x)
        middle = self.middle(fine)
        middle = self.last_middle(middle + upsample(self.up_deep(self.deep(middle))))
        features = self.last(fine + upsample(self.up_middle(middle)))
        log_heat = self.heatmaps(features).flatten(2).float().log_softmax(-1)
        attention = log_heat.exp()
        points = attention @ cell_centres(features.shape[-2:], like=attention)
        under = attention @ features.flatten(2).mT.to(attention.dtype)
        score_logits = (under * self.score_weight).sum(-1) + self.score_bias
        return BodyReading(points, log_heat, score_logits, self.mask(features).float().squeeze(1))


class KeypointEstimator(Network):
    """The three networks as one model. Widths are channels at halved resolutions. mirror: which of the mesh's points
    each one becomes in a mirror, (478,); () where that is not known."""

    @register_to_config
    def __init__(
        self,
        finder_widths: tuple[int, int, int] = (32, 48, 64),
        face_widths: tuple[int, int, int, int] = (24, 40, 80, 128),
        face_hidden: int = 192,
        person_widths: tuple[int, int, int] = (48, 80, 112),
        mirror: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.finder = FaceFinder(finder_widths)
        self.face = FaceNet(face_widths, face_hidden)
        self.person = PersonNet(person_widths)

    def forward(
        self, pictures: Tensor | None = None, faces: Tensor | None = None, people: Tensor | None = None
    ) -> EstimatorOutput:
        """Whole pictures and face crops (N, 3, S, S), person crops (N, 4, S, S), in [-1, 1], each to its network."""
        return EstimatorOutput(
            found=None if pictures is None else self.finder(_last(pictures)),
            face=None if faces is None else self.face(_last(faces)),
            body=None if people is None else self.person(_last(people)),
        )


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
