"""Speech to the motion of a photographed person: the rig's signals in the units of `paha.motion.person`."""

from __future__ import annotations

import numpy as np

from paha.dataset.synth.hand_motion import hand_motion
from paha.dataset.synth.motion import drift
from paha.dataset.synth.rig import frame_times, rig_from_speech
from paha.dataset.synth.speech import Speech
from paha.dataset.synth.stress import phrases
from paha.motion.person import NUM_PARTS, PersonMotion

# Face heights, or radians, of a rig signal of 1.
OPEN_HEIGHT = 0.13
"""Gap of the inner lips at mouth_open 1: GRID's three speakers open by 0.110 to 0.190 of the rig's deviation."""
SPREAD_WIDTH, ROUNDED_WIDTH = 0.03, 0.05
BROW_LIFT = 0.04
TURN = np.deg2rad(15.0)
SHOULDER_LIFT = 0.05
_SWAY = 0.03


def person_motion(speech: Speech, *, rng: np.random.Generator) -> PersonMotion:
    """Motion of round(seconds * 25) frames, counted from the person's rest; lips closed are 0. Clean speech is best.

    The lips follow the sound without randomness; all else is drawn from rng, timed by accents and pauses.
    """
    rig = rig_from_speech(speech, rng=rng)
    at_s = frame_times(len(rig))
    sway = _SWAY * np.stack([drift(at_s, rng=rng, low_hz=0.05, high_hz=0.3) for _ in range(2)], 1) * (1.0, 0.3)
    lift = SHOULDER_LIFT * rig.shoulder[:, None] * np.array([0.0, -1.0])
    wrists, turns = hand_motion(phrases(speech), at_s, rng=rng)
    uneven = 1 + rng.uniform(-0.12, 0.12) * np.array([1, -1])
    signals = {
        # The trunk leans at the hips: what is higher moves more.
        "head_shift": sway + 0.5 * lift,
        "head_rotation": TURN * np.stack([rig.head_yaw, rig.head_pitch, rig.head_roll], 1),
        "mouth_open": OPEN_HEIGHT * rig.mouth_open,
        "mouth_wide": np.where(rig.mouth_wide > 0, SPREAD_WIDTH, ROUNDED_WIDTH) * rig.mouth_wide,
        "lip_press": rig.lip_press,
        "lids": np.repeat(rig.blink[:, None], 2, axis=1),
        "brows": BROW_LIFT * rig.brow[:, None] * uneven,
        "gaze": np.stack([rig.gaze_x, rig.gaze_y], 1),
        "parts": _parts(sway, lift, wrists),
        "hand_rotation": turns,
    }
    return PersonMotion(**{name: np.ascontiguousarray(value, np.float32) for name, value in signals.items()})


def _parts(sway: np.ndarray, lift: np.ndarray, wrists: np.ndarray) -> np.ndarray:
    """(T, 8, 2): shoulders lean and breathe, elbows go a third of the wrists' way, hips hardly move."""
    parts = np.zeros((len(sway), NUM_PARTS, 2))
    parts[:, 0:2] = (0.7 * sway + lift)[:, None]
    parts[:, 2:4] = (0.5 * sway + 0.5 * lift)[:, None] + 0.35 * wrists
    parts[:, 4:6] = (0.4 * sway + 0.2 * lift)[:, None] + wrists
    parts[:, 6:8] = 0.15 * sway[:, None]
    return parts
