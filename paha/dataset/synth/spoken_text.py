"""Text to a recording, what `--text` says: by espeak-ng, or by Kokoro where its model is found."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from paha.dataset.synth.espeak import ESPEAK_RATE_HZ, data_folder, synthesise
from paha.dataset.synth.kokoro import KOKORO_RATE_HZ, LANGUAGES, kokoro_voices, speak_naturally
from paha.errors import PahaError

MAX_CHARACTERS = 20_000
"""About twenty minutes of speech."""
DEFAULT_VOICE = "f2"
"""Of espeak-ng's."""
NATURAL_VOICES = {"en-us": "af_heart", "en-gb": "bf_emma"}
"""Of Kokoro's, those that its authors rank highest."""
_RATE_WPM, _PITCH = 165, 50


def speak(text: str, *, language: str | None = None, voice: str | None = None) -> tuple[np.ndarray, int]:
    """Text to (samples (N,) float32, rate in Hz).

    language: one of `languages()`; by default that of a Kokoro voice, cmn for a text with Chinese characters, else
    en-us. voice: one of `voices()`; by default as `default_voice` has it. Raises PahaError for an empty or overlong
    text, an unknown language or voice, a voice of another language, and where espeak-ng is missing.
    """
    if not text.strip():
        raise PahaError("the text is empty; give words to speak")
    if len(text) > MAX_CHARACTERS:
        raise PahaError(f"the text has {len(text)} characters; give at most {MAX_CHARACTERS}, or a recording")
    natural = kokoro_voices()
    if voice in natural:
        language = language or LANGUAGES[voice[0]]
    language = language or ("cmn" if any("\u4e00" <= c <= "\u9fff" for c in text) else "en-us")
    voice = voice or default_voice(language)
    if language not in languages():
        raise PahaError(f"espeak-ng has no language '{language[:40]}'; it has: {' '.join(languages())}")
    if voice not in voices():
        raise PahaError(f"there is no voice '{voice[:40]}'; there are: {', '.join(voices())}")
    if voice in natural:
        if language != LANGUAGES[voice[0]]:
            raise PahaError(f"the voice {voice} speaks {LANGUAGES[voice[0]]}, not {language}; give one such as f2")
        return speak_naturally(text, voice), KOKORO_RATE_HZ
    samples, _ = synthesise(text, voice=f"{language_files()[language]}+{voice}", rate_wpm=_RATE_WPM, pitch=_PITCH)
    return samples, ESPEAK_RATE_HZ


def languages() -> tuple[str, ...]:
    """The language codes that espeak-ng speaks, such as en-us, cmn or de. Raises PahaError where it is missing."""
    return tuple(sorted(language_files()))


@lru_cache(maxsize=1)
def language_files() -> dict[str, str]:
    """Of each language code the name of espeak-ng's file, by which it finds it ("en" for en-gb). Raises PahaError."""
    dictionaries = {path.name.removesuffix("_dict") for path in data_folder().glob("*_dict")}
    found: dict[str, str] = {}
    for path in sorted(path for path in (data_folder() / "lang").rglob("*") if path.is_file()):
        lines = [line.split() for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
        own = [line[1] for line in lines if line[0] == "dictionary"] or [path.name.partition("-")[0]]
        if own[0] not in dictionaries:
            continue  # a few languages come without
        for code in (line[1] for line in lines if line[0] == "language"):
            if code not in found or path.name == code:
                found[code] = path.name
    return found


def voices() -> tuple[str, ...]:
    """The names of Kokoro's voices where it is found, then espeak-ng's: f1 to f5 women, m1 to m8 men, and characters of
    other names. Raises PahaError where espeak-ng is missing."""
    names = {path.name for path in Path(data_folder() / "voices" / "!v").iterdir()}
    return (*kokoro_voices(), *sorted(name for name in names if " " not in name))


def default_voice(language: str = "en-us") -> str:
    """A woman's of Kokoro where it is found and speaks the language, else espeak-ng's f2."""
    natural = NATURAL_VOICES.get(language)
    return natural if natural is not None and natural in kokoro_voices() else DEFAULT_VOICE
