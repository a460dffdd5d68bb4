"""Rig signals: what a character is drawn from, one value (or a small vector) a video frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

VECTOR_WIDTHS = {"left_wrist": 2, "right_wrist": 2, "left_hand_shape": 3, "right_hand_shape": 3}
"""Fields that are (T, n) rather than (T,), with their n."""


@dataclass(frozen=True)
class RigSignals:
    """Motion of an illustrated upper body, float32 arrays of T frames at 25 fps, all smooth in time.

    Left and right are the *person's*; the person faces the viewer, so the right hand rests at negative x.
    Directions are the viewer's: x to the right of the image, y down, in all fields.

    mouth_open: (T,) [0, 1], 0 lips together, 1 wide open (the jaw follows, see `jaw`).
    mouth_wide: (T,) [-1, 1], -1 rounded and puckered as in "oo", 0 neutral, +1 spread as in "ee".
    lip_press: (T,) [0, 1], 1 lips pressed together as in m, b, p.
    brow: (T,) [-1, 1], +1 raised, -1 drawn together and down.
    blink: (T,) [0, 1], 1 eyes closed.
    gaze_x, gaze_y: (T,) [-1, 1], direction of the pupils.
    head_yaw: (T,) [-1, 1], +1 turned about 15 degrees to the right of the image.
    head_pitch: (T,) [-1, 1], +1 nodded down about 15 degrees.
    head_roll: (T,) [-1, 1], +1 tilted clockwise by about 15 degrees (crown to the right of the image).
    shoulder: (T,) [-1, 1], +1 raised (breathing in, a shrug), 0 neutral.
    left_wrist, right_wrist: (T, 2) in body units: origin midway between the shoulders, 1 is the shoulder width.
        At rest about (+-0.35, 1.9), below most framings; gestures rise above y of about 1.6; |x| stays below 1.4 and
        y between 0.15 and 2.1, within an arm's length (1.55) of the own shoulder.
    left_hand_shape, right_hand_shape: (T, 3): openness [0 fist, 1 spread fingers]; palm rotation [-1 the back of the
        hand faces the viewer, 0 edge on, +1 the palm does]; wrist angle in radians, about +-0.7, of the hand against
        the forearm, positive away from the body's midline (counter-clockwise in the image for the right hand).
    speaking: (T,) [0, 1], 1 in speech, 0 in pauses (short ramps between).
    """

    mouth_open: np.ndarray
    mouth_wide: np.ndarray
    lip_press: np.ndarray
    brow: np.ndarray
    blink: np.ndarray
    gaze_x: np.ndarray
    gaze_y: np.ndarray
    head_yaw: np.ndarray
    head_pitch: np.ndarray
    head_roll: np.ndarray
    shoulder: np.ndarray
    left_wrist: np.ndarray
    right_wrist: np.ndarray
    left_hand_shape: np.ndarray
    right_hand_shape: np.ndarray
    speaking: np.ndarray

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            width = VECTOR_WIDTHS.get(field.name)
            expected = (len(self.mouth_open),) if width is None else (len(self.mouth_open), width)
            if value.shape != expected or value.dtype != np.float32:
                raise ValueError(f"rig signal {field.name} is {value.dtype} {value.shape}, not float32 {expected}")

    def __len__(self) -> int:
        return len(self.mouth_open)

    @property
    def jaw(self) -> np.ndarray:
        """(T,) [0, 1], how far the jaw is lowered: follows the mouth, less so for rounded lips."""
        return self.mouth_open * (0.85 + 0.15 * np.clip(self.mouth_wide, -1, 1))

    def to_dict(self) -> dict[str, np.ndarray]:
        """The fields by name, as stored under `rig.` in a clip's annotations."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Inverse of `to_dict`; extra keys are ignored."""
        return cls(**{field.name: np.asarray(arrays[field.name], dtype=np.float32) for field in fields(cls)})

    @classmethod
    def rest(cls, num_frames: int) -> Self:
        """A silent, still person with the hands down."""
        values: dict[str, np.ndarray] = {}
        for field in fields(cls):
            width = VECTOR_WIDTHS.get(field.name)
            values[field.name] = np.zeros((num_frames,) if width is None else (num_frames, width), dtype=np.float32)
        values["left_wrist"][:] = (0.35, 1.9)
        values["right_wrist"][:] = (-0.35, 1.9)
        values["left_hand_shape"][:, 0] = values["right_hand_shape"][:, 0] = 0.4
        return cls(**values)

    def slice(self, start: int, stop: int) -> Self:
        """Frames start to stop (exclusive)."""
        return type(self)(**{name: value[start:stop] for name, value in self.to_dict().items()})
