"""The rig follows the speech: lips its sounds, hands its stress, rest its pauses."""

from __future__ import annotations

import numpy as np
import pytest

from paha.dataset.synth.gestures import gesture
from paha.dataset.synth.lips import BREATH_OPEN, lips
from paha.dataset.synth.loudness import STEPS_HZ, STEPS_PER_FRAME, at_frames, loudness
from paha.dataset.synth.motion import minimum_jerk
from paha.dataset.synth.rig import RigSignals, frame_times, rig_from_speech
from paha.dataset.synth.speech import LANGUAGES, Phoneme, Speech, join, random_speech, speak
from paha.dataset.synth.stress import phrases
from paha.dataset.synth.visemes import VISEMES, is_vowel, viseme_units

RANGES = {"mouth_open": (0, 1), "lip_press": (0, 1), "blink": (0, 1), "speaking": (0, 1)}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def speeches() -> dict[str, Speech]:
    return {lang: random_speech(rng(5), language=lang, min_seconds=15) for lang in LANGUAGES}


@pytest.fixture(scope="module")
def rigs(speeches: dict[str, Speech]) -> dict[str, RigSignals]:
    return {lang: rig_from_speech(speech, rng=rng(1)) for lang, speech in speeches.items()}


def at(track: np.ndarray, time_s: float) -> float:
    return float(np.interp(time_s, frame_times(len(track)), track))


@pytest.mark.parametrize("language", LANGUAGES)
def test_mouth_opens_as_the_phonemes_do(language: str, speeches, rigs) -> None:
    speech, rig = speeches[language], rigs[language]
    vowels = [p for p in speech.phonemes if is_vowel(p) and p.end_s - p.start_s > 0.06]
    wanted = [np.mean([unit.open for unit in viseme_units(p.symbol)]) for p in vowels]
    found = [at(rig.mouth_open, 0.5 * (p.start_s + p.end_s)) for p in vowels]
    assert np.corrcoef(wanted, found)[0, 1] > 0.75
    assert rig.mouth_open[rig.speaking > 0.5].std() >= 0.17
    silent = rig.speaking < 0.02
    before = np.convolve(rig.speaking > 0.02, np.ones(25), "full")[24 : 24 + len(rig)] > 0  # speech within a second
    assert rig.mouth_open[silent & ~before].max(initial=0.0) < 0.08
    assert rig.mouth_open[silent].max() < BREATH_OPEN + 0.15  # more where a phrase begins with an open vowel


@pytest.mark.parametrize("language", LANGUAGES)
def test_lips_close_for_m_b_and_p(language: str, speeches, rigs) -> None:
    rig = rigs[language]
    closures = [p for p in speeches[language].phonemes if p.symbol[0] in "pbm"]
    assert len(closures) >= 3
    for phoneme in closures:
        frame = min(len(rig) - 1, int((phoneme.start_s + 0.4 * (phoneme.end_s - phoneme.start_s)) * 25))
        near = slice(max(0, frame - 1), frame + 2)
        assert rig.mouth_open[near].min() < 0.06
        assert rig.lip_press[near].max() > 0.6


@pytest.mark.parametrize("language", LANGUAGES)
def test_lips_are_neither_early_nor_late(language: str, speeches, rigs) -> None:
    loud = at_frames(loudness(speeches[language].samples))
    mouth, spoken = rigs[language].mouth_open, rigs[language].speaking[5:-5] > 0.5
    match = [np.corrcoef(loud[5:-5][spoken], np.roll(mouth, shift)[5:-5][spoken])[0, 1] for shift in range(-5, 6)]
    assert abs(int(np.argmax(match)) - 5) <= 1
    assert max(match) > 0.3


def test_lips_part_for_a_breath_before_a_phrase_and_close_after_the_one_before() -> None:
    words = speak("Tell the doctor again.", voice="en-us")
    speech = join([words, words], [1.0, 1.5, 0.5])
    mouth = lips(speech)[0]
    start = round(speech.phonemes[len(words.phonemes)].start_s * STEPS_HZ)
    assert mouth[start - round(0.15 * STEPS_HZ)] > 0.2
    assert mouth[start - round(0.75 * STEPS_HZ)] < 0.02
    assert mouth[-1] < 0.01


def test_n_before_b_is_said_with_closed_lips() -> None:
    """Assimilation: the n of "bin blue" is an m; that of "bin two" is not."""
    opened = {}
    for after in "bt":
        phonemes = (Phoneme("ɪ", 0.2, 0.4), Phoneme("n", 0.4, 0.5), Phoneme(after, 0.5, 0.6), Phoneme("u", 0.6, 0.8))
        mouth = lips(Speech(np.full(16_000, 0.1, np.float32), phonemes))[0]
        opened[after] = mouth[round(0.45 * STEPS_HZ)]
    assert opened["b"] < 0.02 < 0.2 < opened["t"]


def test_rounded_and_spread_vowels_shape_the_lips() -> None:
    for text, sign in (("who who who", -1), ("he he he", 1)):
        speech = speak(text, voice="en-us")
        rig = rig_from_speech(speech, rng=rng())
        vowels = [p for p in speech.phonemes if is_vowel(p)]
        assert min(sign * at(rig.mouth_wide, 0.5 * (p.start_s + p.end_s)) for p in vowels) > 0.5


def test_every_sound_of_both_languages_has_a_viseme(speeches) -> None:
    symbols = {character for speech in speeches.values() for p in speech.phonemes for character in p.symbol}
    assert symbols - set(VISEMES) <= set("ːʲʰ̩̪.-")


def test_lips_depend_on_the_sound_alone_and_gestures_on_chance(speeches) -> None:
    first, same, other = (rig_from_speech(speeches["en"], rng=rng(seed)) for seed in (1, 1, 2))
    for name, values in first.to_dict().items():
        np.testing.assert_array_equal(values, same.to_dict()[name])
    np.testing.assert_array_equal(first.mouth_open, other.mouth_open)
    assert np.abs(first.right_wrist - other.right_wrist).max() > 0.3


@pytest.mark.parametrize("seed", range(6))
def test_signals_stay_in_range_and_move_smoothly(seed: int, speeches) -> None:
    rig = rig_from_speech(speeches[LANGUAGES[seed % 2]], rng=rng(seed))
    for name, values in rig.to_dict().items():
        assert np.isfinite(values).all()
        if not name.endswith(("wrist", "shape")):
            low, high = RANGES.get(name, (-1, 1))
            assert low <= values.min() <= values.max() <= high, name
    for side, wrist in ((-1, rig.right_wrist), (1, rig.left_wrist)):
        reach = np.linalg.norm(wrist - np.array([0.5 * side, 0.0]), axis=1)
        assert (reach[wrist[:, 1] < 1.5] < 1.6).all()
        assert (np.linalg.norm(np.diff(wrist, axis=0), axis=1) < 0.25).all()  # of a shoulder width a frame
        assert (np.linalg.norm(np.diff(wrist, 2, axis=0), axis=1) < 0.2).all()


def test_strokes_land_on_stressed_syllables() -> None:
    """At its strokes a hand has just come to a stop: over many speeches it is slower there than 0.12 s before."""
    at_stroke, before, count = [], [], 0
    for seed in range(6):
        speech = random_speech(rng(seed), language="en", min_seconds=8)
        at_s = np.arange(0, speech.duration_s, 0.01)
        hands = gesture(phrases(speech), at_s, rng=rng(seed))
        speed = sum(np.linalg.norm(np.gradient(w, 0.01, axis=0), axis=1) for w in (hands.left_wrist, hands.right_wrist))
        times = np.array([accent.time_s for accent in hands.strokes])
        count += len(times)
        at_stroke.append(np.interp(times, at_s, speed))
        before.append(np.interp(times - 0.12, at_s, speed))
    assert count > 30
    assert np.median(np.concatenate(at_stroke)) < 0.15 * np.median(np.concatenate(before))


def test_hands_rest_and_lips_close_in_a_long_pause() -> None:
    words = speak("Every morning the famous painter opened a wooden window.", voice="en-us")
    speech = join([words, words], [0.0, 2.5, 0.0])
    raised = []
    for seed in range(12):
        rig = rig_from_speech(speech, rng=rng(seed))
        resting = slice(int((words.duration_s + 1.5) * 25), int((words.duration_s + 1.8) * 25))
        assert min(rig.left_wrist[resting, 1].min(), rig.right_wrist[resting, 1].min()) > 1.3
        assert rig.mouth_open[resting].max() < 0.01
        assert rig.speaking[resting].max() < 0.01
        raised.append(min(rig.left_wrist[:, 1].min(), rig.right_wrist[:, 1].min()) < 1.25)
    assert sum(raised) >= 10


def test_silence_is_a_person_at_rest() -> None:
    rig = rig_from_speech(Speech(np.zeros(3 * 16_000, dtype=np.float32)), rng=rng())
    assert len(rig) == 75
    assert rig.mouth_open.max() == 0
    assert rig.speaking.max() == 0
    assert rig.left_wrist[:, 1].min() > 1.3
    assert rig.blink.max() > 0.9 or len(rig) < 130  # still alive


def test_a_single_frame_of_sound_is_enough() -> None:
    assert len(rig_from_speech(Speech(np.full(100, 0.1, dtype=np.float32)), rng=rng())) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_recording_moves_the_lips_much_as_its_phonemes_would(language: str, speeches, rigs) -> None:
    heard = rig_from_speech(Speech(speeches[language].samples), rng=rng())
    told = rigs[language]
    assert np.corrcoef(heard.mouth_open, told.mouth_open)[0, 1] > 0.5
    assert np.corrcoef(heard.speaking, told.speaking)[0, 1] > 0.7
    assert len(phrases(Speech(speeches[language].samples))) >= 2


def test_signals_refuse_other_shapes_and_survive_a_round_trip() -> None:
    rig = RigSignals.rest(6)
    again = RigSignals.from_dict(rig.to_dict())
    np.testing.assert_array_equal(again.left_wrist, rig.left_wrist)
    assert len(rig.slice(2, 5)) == 3
    with pytest.raises(ValueError, match="brow"):
        RigSignals(**{**rig.to_dict(), "brow": np.zeros(5, dtype=np.float32)})


def test_frames_show_the_sound_at_their_middle() -> None:
    fine = np.arange(10 * STEPS_PER_FRAME, dtype=np.float64) + 0.5  # step k covers k to k + 1
    np.testing.assert_allclose(at_frames(fine) / (25 * STEPS_PER_FRAME), frame_times(10), rtol=1e-6)


def test_minimum_jerk_starts_and_stops_gently() -> None:
    u = np.linspace(0, 1, 1001)
    s = minimum_jerk(u)
    assert s[0] == 0
    assert s[-1] == pytest.approx(1)
    assert np.gradient(s, u).max() == pytest.approx(1.875, abs=1e-3)
    assert abs(np.gradient(s, u)[[1, -2]]).max() < 1e-3
