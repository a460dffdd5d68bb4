"""Text to a recording."""

import sys

import numpy as np
import pytest

from paha.cli.options import TextOptions
from paha.dataset.synth import spoken_text
from paha.dataset.synth.spoken_text import languages, speak, voices
from paha.errors import PahaError
from paha.media.audio_io import as_audio

pytest.importorskip("espeakng_loader")


def test_words_become_a_recording_the_same_every_time():
    samples, rate_hz = speak("Good morning, everybody.")
    assert 1.0 < len(samples) / rate_hz < 4.0
    assert np.abs(samples).max() > 0.1
    assert np.array_equal(samples, speak("Good morning, everybody.")[0])
    assert not np.array_equal(samples, speak("Good morning, everybody.", voice="m3")[0])


def test_chinese_letters_are_spoken_as_chinese():
    assert np.array_equal(speak("你好")[0], speak("你好", language="cmn")[0])
    assert {"en-us", "cmn", "de", "fr"} <= set(languages())
    assert {"f2", "m3"} <= set(voices())


def test_every_language_offered_is_spoken():
    assert {"en-gb", "fr-fr", "pt-pt", "zh", "no", "es-mx"} <= set(languages())
    for language in languages():
        assert len(speak("a 1", language=language)[0]) > 1000, language


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "empty"),
        (" \n", {}, "empty"),
        ("a", {"language": "xx"}, "no language 'xx'; it has: .*en-us"),
        ("a", {"language": "../../etc/passwd"}, "no language"),
        ("a", {"voice": "nobody"}, "no voice 'nobody'; there are: .*f1"),
        ("a" * 20_001, {}, "at most 20000"),
    ],
)
def test_what_cannot_be_spoken_is_said_in_one_line(text, options, message):
    with pytest.raises(PahaError, match=message):
        speak(text, **options)


def test_without_espeak_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    spoken_text.language_files.cache_clear()
    with pytest.raises(PahaError, match=r"pip install 'paha\[synth\]'"):
        speak("hello")


def test_a_recording_or_a_text(tmp_path):
    audio = tmp_path / "a.wav"
    assert TextOptions().speech(audio) == audio
    assert len(as_audio(TextOptions(text="hello").speech(None))[0]) > 5000
    with pytest.raises(PahaError, match="not both"):
        TextOptions(text="hello").speech(audio)
    with pytest.raises(PahaError, match="give AUDIO, or words by --text"):
        TextOptions().speech(None)
    with pytest.raises(PahaError, match="are of --text"):
        TextOptions(voice="f1").speech(audio)
