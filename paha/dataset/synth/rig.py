"""Speech to rig signals: what a person does while saying it."""

from __future__ import annotations

import numpy as np

from paha.dataset.synth.face_motion import brow_motion, eye_motion, head_motion, shoulder_motion
from paha.dataset.synth.gestures import gesture
from paha.dataset.synth.lips import lips
from paha.dataset.synth.loudness import STEPS_HZ, STEPS_PER_FRAME, at_frames, num_frames, smooth
from paha.dataset.synth.signals import RigSignals
from paha.dataset.synth.speech import Speech
from paha.dataset.synth.stress import Phrase, phrases
from paha.types import FPS

__all__ = ["RigSignals", "frame_times", "rig_from_speech"]


def frame_times(count: int) -> np.ndarray:
    """(T,) seconds of the middles of the first frames: frame t shows the moment (t + 0.5) / 25."""
    return (np.arange(count) + 0.5) / FPS


def rig_from_speech(speech: Speech, *, rng: np.random.Generator) -> RigSignals:
    """Rig signals for the whole speech, round(seconds * 25) frames.

    The lips follow the sound without randomness; all else is drawn from rng, timed by accents and pauses. Give it the
    clean speech rather than a noisy rendering of it: levels are measured here.
    """
    mouth_open, mouth_wide, lip_press = (at_frames(track) for track in lips(speech))
    at_s = frame_times(num_frames(speech.samples))
    parts = phrases(speech)
    hands = gesture(parts, at_s, rng=rng)
    eyes = eye_motion(at_s, rng=rng)
    curves = {
        **eyes,
        **head_motion(parts, at_s, gaze_x=eyes["gaze_x"], rng=rng),
        "brow": brow_motion(parts, at_s, rng=rng),
        "shoulder": shoulder_motion(parts, at_s, rng=rng),
        "speaking": _speaking(parts, len(at_s)),
        "left_wrist": hands.left_wrist,
        "right_wrist": hands.right_wrist,
        "left_hand_shape": hands.left_shape,
        "right_hand_shape": hands.right_shape,
    }
    rig = {name: np.ascontiguousarray(curve, dtype=np.float32) for name, curve in curves.items()}
    return RigSignals(mouth_open=mouth_open, mouth_wide=mouth_wide, lip_press=lip_press, **rig)


def _speaking(parts: list[Phrase], count: int) -> np.ndarray:
    fine = np.zeros(STEPS_PER_FRAME * count)
    for phrase in parts:
        fine[round(phrase.start_s * STEPS_HZ) : round(phrase.end_s * STEPS_HZ)] = 1
    return np.clip(at_frames(smooth(fine, 0.04)), 0, 1)
