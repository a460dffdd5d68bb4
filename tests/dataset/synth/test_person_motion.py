"""What a person does looks like one: blinks, small head motion, calm hands, no trembling, lips of real size."""

from __future__ import annotations

import numpy as np
import pytest

from paha.dataset.synth.face_motion import blinks, eye_motion
from paha.dataset.synth.hand_motion import REACH
from paha.dataset.synth.person_motion import person_motion
from paha.dataset.synth.reference_person import random_hold, random_person, random_state
from paha.dataset.synth.room import record
from paha.dataset.synth.speech import Speech, at_speed, random_speech
from paha.motion.person import PersonMotion, fit_head
from paha.types import FACE, FPS


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def motions() -> list[PersonMotion]:
    speeches = [random_speech(rng(seed), language="en", min_seconds=12) for seed in range(3)]
    return [person_motion(speech, rng=rng(seed)) for seed, speech in enumerate(speeches)]


def test_a_blink_lasts_about_015_s_and_shows_closed_lids() -> None:
    fine = np.arange(0, 1, 0.001)
    lids = blinks(np.array([0.5]), fine)
    assert 0.13 < np.ptp(fine[lids > 0.01]) < 0.17
    for phase in np.linspace(0, 0.04, 9):
        assert blinks(np.array([0.5]), np.arange(0, 1, 0.04) + phase).max() > 0.99


def test_blinks_come_every_few_seconds() -> None:
    at_s = np.arange(0, 600, 1 / FPS)
    lids = eye_motion(at_s, rng=rng())["blink"]
    count = (np.diff((lids > 0.5).astype(int)) == 1).sum()
    assert 600 / 5.5 < count < 600 / 2.5


def test_lips_open_as_far_as_real_speakers_do(motions) -> None:
    """Standard deviation of GRID's speakers: 0.020, 0.033 and 0.027 face heights."""
    spread = np.mean([motion.mouth_open.std() for motion in motions])
    assert 0.02 <= spread <= 0.033
    assert max(motion.mouth_open.max() for motion in motions) < 0.14


def test_head_and_hands_move_little_and_never_tremble(motions) -> None:
    for motion in motions:
        yaw, pitch, roll = np.rad2deg(np.abs(motion.head_rotation)).max(0)
        assert yaw < 11
        assert max(pitch, roll) < 9
        wrists = np.linalg.norm(motion.parts[:, 4:6], axis=-1)
        assert wrists.max() < REACH + 0.1
        assert np.median(wrists) < 0.25
        for curve in (motion.head_rotation, motion.head_shift, motion.parts.reshape(len(motion), -1)):
            spectrum = np.abs(np.fft.rfft((curve - curve.mean(0)) * np.hanning(len(curve))[:, None], axis=0)) ** 2
            hz = np.fft.rfftfreq(len(curve), 1 / FPS)
            assert spectrum[hz > 5].sum() < 0.01 * spectrum.sum()


def test_silence_is_not_stillness() -> None:
    motion = person_motion(Speech(np.zeros(10 * 16_000, np.float32)), rng=rng(2))
    assert motion.mouth_open.max() == 0
    assert np.rad2deg(np.ptp(motion.head_rotation[:, 0])) > 0.3
    assert motion.lids.max() > 0.9
    assert np.ptp(motion.parts[:, 0, 1]) > 0.005


def test_phonemes_move_with_the_speed() -> None:
    speech = random_speech(rng(1), language="en", min_seconds=2)
    fast = at_speed(speech, 1.25)
    assert fast.duration_s == pytest.approx(speech.duration_s / 1.25, abs=1e-3)
    assert fast.phonemes[-1].end_s == pytest.approx(speech.phonemes[-1].end_s / 1.25)
    assert len(fast.words) == len(speech.words)


def test_recording_keeps_the_timing() -> None:
    click = np.zeros(16_000, np.float32)
    click[8_000] = 1.0
    peaks = [int(np.abs(record(click, rng=rng(seed))).argmax()) for seed in range(12)]
    assert np.abs(np.array(peaks) - 8_000).max() <= 8  # half a millisecond


def test_people_differ_and_show_their_state() -> None:
    people = [random_person(rng(seed)) for seed in range(30)]
    shoulders = np.array([np.linalg.norm(p.points[5] - p.points[6]) for p in people])
    assert 1.3 < shoulders.mean() < 2.0
    assert shoulders.std() > 0.1
    for seed, person in enumerate(people):
        state = random_state(rng(seed), hold=random_hold(rng(seed)))
        pose = fit_head(person.in_state(state)[None, FACE])
        assert np.abs(pose.rotation[0] - state.head_rotation[0]).max() < 0.15
        assert pose.scale[0] == pytest.approx(1.0, abs=0.12)
