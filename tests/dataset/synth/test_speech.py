"""Synthetic speech: the same every time, its phonemes where the sound is, every voice alive."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from paha.dataset.synth.loudness import STEPS_HZ, level_db
from paha.dataset.synth.room import record
from paha.dataset.synth.speech import (
    LANGUAGES,
    VOICES,
    cut,
    join,
    random_speech,
    random_voice,
    speak,
    speech_from_recording,
)
from paha.dataset.synth.texts import random_sentence
from paha.dataset.synth.visemes import is_vowel
from paha.errors import PahaError
from paha.media.audio_io import write_wav
from paha.types import SAMPLE_RATE_HZ

TEXT = {
    "en": "The people in Boston were happy about the money, but nobody liked it.",
    "cmn": "今天天气很好，爸爸买苹果。",
}
VOICE = {"en": "en-us+f2", "cmn": "cmn"}


def test_the_same_text_gives_the_same_samples_whatever_was_spoken_before() -> None:
    first = speak(TEXT["en"], voice="en-us")
    speak(TEXT["cmn"], voice="cmn+m3")
    again = speak(TEXT["en"], voice="en-us")
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.phonemes == again.phonemes


@pytest.mark.parametrize("language", LANGUAGES)
def test_phonemes_are_in_order_and_within_the_sound(language: str) -> None:
    speech = speak(TEXT[language], voice=VOICE[language])
    edges = [t for p in speech.phonemes for t in (p.start_s, p.end_s)]
    assert len(speech.phonemes) > 15
    assert edges == sorted(edges)
    assert edges[0] == 0
    assert edges[-1] <= speech.duration_s
    assert not any(set("ˈˌ(") & set(p.symbol) for p in speech.phonemes)
    assert {p.stress for p in speech.phonemes if is_vowel(p)} >= {0, 2}
    assert speech.samples.dtype == np.float32
    assert np.abs(speech.samples).max() <= 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_vowels_are_loud_and_the_closures_of_stops_are_quiet(language: str) -> None:
    speech = speak(TEXT[language], voice=VOICE[language])
    level = level_db(speech.samples)
    vowels = [level[round(0.5 * (p.start_s + p.end_s) * STEPS_HZ)] for p in speech.phonemes if is_vowel(p)]
    closures = [level[round((p.start_s + 0.02) * STEPS_HZ)] for p in speech.phonemes if p.symbol[0] in "pk"]
    assert len(closures) >= 2
    assert np.median(vowels) > np.median(closures) + 20


@pytest.mark.parametrize(("language", "voice"), [(lang, voice) for lang, voices in VOICES.items() for voice in voices])
def test_every_listed_voice_speaks(language: str, voice: str) -> None:
    speech = speak(TEXT[language], voice=f"{voice}+m1")
    assert 1.5 < speech.duration_s < 8
    assert speech.language == language


def test_a_faster_rate_takes_less_time() -> None:
    slow, fast = (speak(TEXT["en"], rate_wpm=rate).duration_s for rate in (130, 240))
    assert fast < 0.7 * slow


def test_errors_name_the_thing_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PahaError, match="no voice 'nobody'"):
        speak("hello", voice="nobody")
    with pytest.raises(PahaError, match="give it words"):
        speak("...", voice="en-us")
    with pytest.raises(PahaError, match="language 'fr' is not one of en, cmn"):
        random_voice(np.random.default_rng(0), "fr")
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(PahaError, match=r"pip install 'paha\[synth\]'"):
        speak("hello")


def test_joined_speeches_rest_where_asked() -> None:
    parts = [speak("Good morning.", voice="en-us"), speak("Hello again.", voice="en-us")]
    speech = join(parts, [0.5, 0.7, 0.3])
    lengths = sorted(b - a for a, b in speech.pauses)
    assert lengths == pytest.approx([0.33, 0.5, 0.73], abs=0.035)  # up to 0.03 s of fading sound
    assert speech.duration_s == pytest.approx(1.5 + sum(p.duration_s for p in parts), abs=1e-3)


def test_cutting_moves_phonemes_with_the_samples() -> None:
    speech = speak(TEXT["en"], voice="en-us")
    part = cut(speech, start_s=1.0, stop_s=2.0)
    np.testing.assert_array_equal(part.samples, speech.samples[SAMPLE_RATE_HZ : 2 * SAMPLE_RATE_HZ])
    inside = [p for p in speech.phonemes if p.start_s > 1.0 and p.end_s < 2.0]
    assert [p.symbol for p in inside] == [p.symbol for p in part.phonemes if p.start_s > 0 and p.end_s < 1.0]
    assert all(0 <= p.start_s < p.end_s <= 1.0 for p in part.phonemes)


@pytest.mark.parametrize("language", LANGUAGES)
def test_random_speech_is_long_enough_rests_and_follows_its_seed(language: str) -> None:
    speech, same, other = (
        random_speech(np.random.default_rng(seed), language=language, min_seconds=5) for seed in (3, 3, 4)
    )
    assert speech.duration_s >= 5
    assert speech.pauses
    np.testing.assert_array_equal(speech.samples, same.samples)
    assert speech.text != other.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_hardly_ever_repeat(language: str) -> None:
    rng = np.random.default_rng(0)
    sentences = [random_sentence(rng, language) for _ in range(500)]
    assert len(set(sentences)) > 490
    assert not any(mark in s for s in sentences for mark in "{}|\n")
    assert " a a" not in " ".join(sentences).replace(" a and", "")


def test_a_room_changes_the_level_but_not_the_timing() -> None:
    clean = speak(TEXT["en"], voice="en-us").samples
    heard = [record(clean, rng=np.random.default_rng(seed)) for seed in range(8)]
    peaks = [float(np.abs(x).max()) for x in heard]
    assert 0.2 < min(peaks) < 0.35 < max(peaks) <= 0.9 + 1e-6
    for samples in heard:
        lags = [float(np.dot(clean[100:-100], samples[100 + lag : len(samples) - 100 + lag])) for lag in range(-50, 51)]
        assert abs(int(np.argmax(lags)) - 50) <= 1
    np.testing.assert_array_equal(heard[2], record(clean, rng=np.random.default_rng(2)))


def test_a_recording_becomes_speech_without_phonemes(tmp_path) -> None:
    clean = speak(TEXT["en"], voice="en-us").samples
    write_wav(tmp_path / "talk.wav", np.stack([clean, clean], axis=1), SAMPLE_RATE_HZ)
    speech = speech_from_recording(tmp_path / "talk.wav")
    np.testing.assert_allclose(speech.samples, clean, atol=1e-4)
    assert speech.phonemes == ()
