"""The motion codec: a person's motion since a reference, as latents on a grid about the person (docs/design.md).

It stands where an autoencoder of pixels stands: `encode` and `decode` are exact up to what the grid can hold, and
training needs no pictures. Latents are scaled to about unit variance by channel; a reference's own latent is zero.
Letters: T frames, C = 12 channels, G cells a side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from paha.motion.geometry import Geometry
from paha.motion.painting import Canvas, blobs, shared
from paha.motion.person import NUM_PARTS, PARTS, PersonMotion, move_points
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
# One over the deviation of each signal over the training stream (`python -m experiments.motion_scales`).
SCALES = (6.0, 8.0, 12.0, 18.0, 12.0, 40.0, 40.0, 3.0, 4.0, 60.0, 3.0, 5.0)
CELLS = 8
_EYES = ((42, 48), (36, 42))
_BROWS = ((22, 27), (17, 22))


@dataclass(frozen=True)
class PersonGrid:
    """The canvases of one reference, by channel."""

    geometry: Geometry
    cells: int = CELLS

    @cached_property
    def canvases(self) -> dict[str, Canvas]:
        """Shift: head and eight parts. Rotation: head and two hands. Lids, brows, gaze: left and right. Others: one."""
        face = self.geometry.to_cells(self.geometry.points[FACE])
        middle = self.geometry.to_cells(self.geometry.head.centre)
        pair = lambda ranges: np.stack([face[a:b].mean(0) for a, b in ranges])  # noqa: E731
        parts = self.geometry.to_cells(self.geometry.points[PARTS])
        always = np.ones(1, bool)
        hands = parts[4:6]
        shift = shared(self._blobs(np.concatenate([middle, parts]), np.append(always, self.geometry.parts_seen), 0.6))
        eyes = self._blobs(pair(_EYES), np.ones(2, bool), 0.4)
        head = self._blobs(middle, always, 0.7)
        mouth = self._blobs(face[48:68].mean(0)[None], always, 0.6)
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
            "brows": self._blobs(pair(_BROWS), np.ones(2, bool), 0.4),
            "gaze_x": self._blobs(pair(_EYES).mean(0)[None], always, 0.6),
            "gaze_y": self._blobs(pair(_EYES).mean(0)[None], always, 0.6),
        }

    def _blobs(self, places: np.ndarray, seen: np.ndarray, sigma: float) -> Canvas:
        return blobs(places, seen, cells=self.cells, sigma=sigma)

    def paint(self, motion: PersonMotion) -> Tensor:
        """Scaled latents (T, C, G, G) of motion since the reference."""
        signals = to_signals(motion)
        painted = [s * self.canvases[c].paint(signals[c]) for c, s in zip(CHANNELS, SCALES, strict=True)]
        return torch.from_numpy(np.stack(painted, 1))

    def read(self, latents: Tensor) -> PersonMotion:
        """Motion since the reference of scaled latents (T, C, G, G); zero where a part is not seen."""
        z = latents.float().cpu().numpy()
        channels = zip(CHANNELS, SCALES, strict=True)
        return to_motion({c: self.canvases[c].read(z[:, i] / s) for i, (c, s) in enumerate(channels)})

    def decode_keypoints(self, latents: Tensor) -> Keypoints:
        """The person's keypoints (pixels of the reference) after the latents' motion; scores are the reference's."""
        moved = move_points(self.geometry.points, self.read(latents))
        scores = np.repeat(self.geometry.scores[None], len(moved), 0)
        return Keypoints(moved.astype(np.float32), scores)

    def reference_channels(self) -> Tensor:
        """(C, G, G), what f_ref says of the reference: where its parts are, and in what state its head is."""
        canvases, state = self.canvases, self.geometry.state
        parts = shared(self._blobs(self.geometry.to_cells(self.geometry.points[PARTS]), self.geometry.parts_seen, 0.6))
        signs = np.array([1.0, -1.0], np.float32)
        pairs = [np.tensordot(signs, parts.maps[2 * i : 2 * i + 2], 1) for i in range(NUM_PARTS // 2)]
        scales = dict(zip(CHANNELS, SCALES, strict=True))

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
            painted("mouth_wide", state.mouth_wide - 0.31),
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
