"""The motion codec: a person's motion since a reference, as latents on a grid about the person (docs/design.md).

It stands where an autoencoder of pixels stands: `encode` and `decode` are exact up to what the grid can hold, and
training needs no pictures. Latents are scaled to about unit variance by channel; a reference's own latent is zero.
Letters: T frames, C = 12 channels, G cells a side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from paha.motion.geometry import Geometry
from paha.motion.painting import Canvas, blobs, shared
from paha.motion.person import NUM_PARTS, PARTS, PersonMotion, measure, move_points
from paha.runtime.network import Network, register_to_config
from paha.types import FACE, Keypoints

CHANNELS = (
    "shift_x",
    "shift_y",
    "yaw",
    "pitch",
    "rotation",
    "mouth_open",
    "mouth_wide",
    "lip_press",
    "lids",
    "brows",
    "gaze_x",
    "gaze_y",
)
LIPS = slice(CHANNELS.index("mouth_open"), CHANNELS.index("lip_press") + 1)
"""The channels that follow the speech."""
SHIFTS = slice(CHANNELS.index("shift_x"), CHANNELS.index("shift_y") + 1)
# About 1.5 over the deviation of each signal in the training stream (docs/log.md).
SCALES = (25.0, 25.0, 18.0, 30.0, 18.0, 40.0, 90.0, 4.0, 6.0, 90.0, 4.0, 8.0)
PART_GAINS = (4.0, 5.0, 5.0, 3.0, 3.0, 2.0, 2.0, 4.0, 4.0)
"""Times the scale of the shift channels, head and parts: each moves by about as much as the others, in latents. Without
them shoulders are lost in the noise, and a network learns them last."""
EVEN_GAINS = (1.0,) * len(PART_GAINS)
CELLS = 8
DOWNSAMPLE = 16
"""Pixels of a cell in the square of 128 in which loss weights are drawn."""
MEAN_MOUTH_WIDTH = 0.31
FACE_CELLS = (slice(1, 3), slice(3, 5))
"""Rows and columns of the face's cells (it always lies there, `geometry.FACE_AT`): what only a face does is painted
nowhere else, so that the regions of the classifiers and of guidance are clean."""
_EYES = ((42, 48), (36, 42))
_BROWS = ((22, 27), (17, 22))


class MotionCodec(Network):
    """The codec of motion latents. Its only weights are its scales, so that a model folder says what it was trained on.

    cells: side of the grid. scales: of the channels, in the order of CHANNELS. part_gains: of the head and the eight
    parts in the shift channels.
    """

    @register_to_config
    def __init__(
        self, cells: int = CELLS, scales: tuple[float, ...] = SCALES, part_gains: tuple[float, ...] = PART_GAINS
    ) -> None:
        super().__init__()
        self.cells = cells
        self.latent_channels, self.downsample = len(CHANNELS), DOWNSAMPLE
        self.register_buffer("channel_scales", torch.tensor(scales))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """As `Network.from_config`. Codecs that were stored before there were gains had the same for all parts."""
        return super().from_config({"part_gains": EVEN_GAINS} | config)

    @property
    def is_todays(self) -> bool:
        """Whether its latents are those that trainings make now."""
        today = MotionCodec().config
        return all(tuple(self.config[name]) == tuple(today[name]) for name in ("scales", "part_gains"))

    def grid(self, geometry: Geometry) -> PersonGrid:
        """The grid about a reference person."""
        return PersonGrid(geometry, self.cells, tuple(self.config["scales"]), tuple(self.config["part_gains"]))

    def encode(self, keypoints: Keypoints, reference: Geometry) -> Tensor:
        """Scaled latents (T, C, G, G) of keypoints, in the pixels of the reference's."""
        motion = measure(keypoints.points, reference=reference.points)
        return self.grid(reference).paint(motion.relative_to(reference.state))

    def decode(self, latents: Tensor, reference: Geometry) -> Keypoints:
        """The keypoints (pixels of the reference) of scaled latents (T, C, G, G); scores are the reference's."""
        moved = move_points(reference.points, self.grid(reference).read(latents))
        return Keypoints(moved.astype(np.float32), np.repeat(reference.scores[None], len(moved), 0))


def shaped_noise(noise: Tensor, *, lips: float, shifts: float) -> Tensor:
    """Initial noise (..., C, G, G), that of the lips' channels times `lips` (less of it, nearer to their mean), that of
    the shifts' times `shifts` (more of it, livelier arms); a head that shakes is no livelier and hides its lips, so the
    shifts of the face's cells get `lips`, too."""
    shaped = noise.clone()
    shaped[..., LIPS, :, :] *= lips
    shaped[..., SHIFTS, :, :] *= shifts
    shaped[..., SHIFTS, *FACE_CELLS] = lips * noise[..., SHIFTS, *FACE_CELLS]
    return shaped


@dataclass(frozen=True)
class PersonGrid:
    """The canvases of one reference, by channel."""

    geometry: Geometry
    cells: int = CELLS
    scales: tuple[float, ...] = SCALES
    part_gains: tuple[float, ...] = PART_GAINS

    @cached_property
    def canvases(self) -> dict[str, Canvas]:
        """Shift: head and eight parts. Rotation: head and two hands. Lids, brows, gaze: left and right. Others: one."""
        face = self.geometry.to_cells(self.geometry.points[FACE])
        middle = self.geometry.to_cells(self.geometry.head.centre)
        pair = lambda ranges: np.stack([face[a:b].mean(0) for a, b in ranges])  # noqa: E731
        parts = self.geometry.to_cells(self.geometry.points[PARTS])
        always = np.ones(1, bool)
        hands = parts[4:6]
        places = shared(self._blobs(np.concatenate([middle, parts]), np.append(always, self.geometry.parts_seen), 0.6))
        shift = Canvas(places.maps * np.array(self.part_gains, np.float32)[:, None, None], places.seen)
        eyes = self._of_face(pair(_EYES), 0.4)
        head = self._of_face(middle, 0.7)
        mouth = self._of_face(face[48:68].mean(0)[None], 0.6)
        look = self._of_face(pair(_EYES).mean(0)[None], 0.6)
        return {
            "shift_x": shift,
            "shift_y": shift,
            "yaw": head,
            "pitch": head,
            "rotation": shared(
                self._blobs(np.concatenate([middle, hands]), np.append(always, self.geometry.hands_seen), 0.7)
            ),
            "mouth_open": mouth,
            "mouth_wide": mouth,
            "lip_press": mouth,
            "lids": eyes,
            "brows": self._of_face(pair(_BROWS), 0.4),
            "gaze_x": look,
            "gaze_y": look,
        }

    def _blobs(self, places: np.ndarray, seen: np.ndarray, sigma: float) -> Canvas:
        return blobs(places, seen, cells=self.cells, sigma=sigma)

    def _of_face(self, places: np.ndarray, sigma: float) -> Canvas:
        canvas = self._blobs(places, np.ones(len(places), bool), sigma)
        maps = np.zeros_like(canvas.maps)
        maps[:, *FACE_CELLS] = canvas.maps[:, *FACE_CELLS]
        return Canvas(maps, canvas.seen)

    def paint(self, motion: PersonMotion) -> Tensor:
        """Scaled latents (T, C, G, G) of motion since the reference."""
        signals = to_signals(motion)
        painted = [s * self.canvases[c].paint(signals[c]) for c, s in zip(CHANNELS, self.scales, strict=True)]
        return torch.from_numpy(np.stack(painted, 1))

    def read(self, latents: Tensor) -> PersonMotion:
        """Motion since the reference of scaled latents (T, C, G, G); zero where a part is not seen."""
        z = latents.float().cpu().numpy()
        channels = zip(CHANNELS, self.scales, strict=True)
        return to_motion({c: self.canvases[c].read(z[:, i] / s) for i, (c, s) in enumerate(channels)})

    def reference_channels(self) -> Tensor:
        """(C, G, G), what f_ref says of the reference: where its parts are, and in what state its head is."""
        canvases, state = self.canvases, self.geometry.state
        parts = shared(self._blobs(self.geometry.to_cells(self.geometry.points[PARTS]), self.geometry.parts_seen, 0.6))
        signs = np.array([1.0, -1.0], np.float32)
        pairs = [np.tensordot(signs, parts.maps[2 * i : 2 * i + 2], 1) for i in range(NUM_PARTS // 2)]
        scales: dict[str, float] = dict(zip(CHANNELS, self.scales, strict=True))

        def painted(channel: str, value: np.ndarray) -> np.ndarray:
            return scales[channel] * canvases[channel].paint(value.reshape(1, -1))[0]

        rotation = state.head_rotation[0]
        maps = [
            canvases["yaw"].maps[0],
            *pairs,
            painted("yaw", rotation[:1]),
            painted("pitch", rotation[1:2]),
            painted("rotation", np.array([rotation[2], 0.0, 0.0])),
            painted("mouth_open", state.mouth_open),
            painted("mouth_wide", state.mouth_wide - MEAN_MOUTH_WIDTH),
            painted("lids", state.lids[0]),
            painted("gaze_x", state.gaze[0, :1]),
        ]
        return torch.from_numpy(np.stack(maps).astype(np.float32))


def to_signals(motion: PersonMotion) -> dict[str, np.ndarray]:
    """By channel, (T, Q) in the order of its places."""
    shift = np.concatenate([motion.head_shift[:, None], motion.parts], 1)
    roll = np.concatenate([motion.head_rotation[:, 2:], motion.hand_rotation], 1)
    column = lambda x: x.reshape(len(motion), 1)  # noqa: E731
    return {
        "shift_x": shift[..., 0],
        "shift_y": shift[..., 1],
        "yaw": motion.head_rotation[:, :1],
        "pitch": motion.head_rotation[:, 1:2],
        "rotation": roll,
        "mouth_open": column(motion.mouth_open),
        "mouth_wide": column(motion.mouth_wide),
        "lip_press": column(motion.lip_press),
        "lids": motion.lids,
        "brows": motion.brows,
        "gaze_x": motion.gaze[:, :1],
        "gaze_y": motion.gaze[:, 1:],
    }


def to_motion(signals: dict[str, np.ndarray]) -> PersonMotion:
    """Inverse of `to_signals`."""
    shift = np.stack([signals["shift_x"], signals["shift_y"]], -1)
    return PersonMotion(
        head_shift=shift[:, 0],
        head_rotation=np.concatenate([signals["yaw"], signals["pitch"], signals["rotation"][:, :1]], 1),
        mouth_open=signals["mouth_open"][:, 0],
        mouth_wide=signals["mouth_wide"][:, 0],
        lip_press=signals["lip_press"][:, 0],
        lids=signals["lids"],
        brows=signals["brows"],
        gaze=np.concatenate([signals["gaze_x"], signals["gaze_y"]], 1),
        parts=shift[:, 1:],
        hand_rotation=signals["rotation"][:, 1:],
    )
