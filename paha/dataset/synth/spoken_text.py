"""Text to a recording, by espeak-ng: what `--text` says where there is no recording."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from paha.dataset.synth.espeak import ESPEAK_RATE_HZ, data_folder, synthesise
from paha.errors import PahaError

MAX_CHARACTERS = 20_000
"""About twenty minutes of speech."""
DEFAULT_VOICE = "f2"
_RATE_WPM, _PITCH = 165, 50


def speak(text: str, *, language: str | None = None, voice: str | None = None) -> tuple[np.ndarray, int]:
    """Text to (samples (N,) float32, rate in Hz).

    language: one of `languages()`; by default cmn for a text with Chinese characters, else en-us. voice: one of
    `voices()`. Raises PahaError for an empty or overlong text, an unknown language or voice, and where espeak-ng is
    missing.
    """
    if not text.strip():
        raise PahaError("the text is empty; give words to speak")
    if len(text) > MAX_CHARACTERS:
        raise PahaError(f"the text has {len(text)} characters; give at most {MAX_CHARACTERS}, or a recording")
    language = language or ("cmn" if any("\u4e00" <= c <= "\u9fff" for c in text) else "en-us")
    voice = voice or DEFAULT_VOICE
    if language not in languages():
        raise PahaError(f"espeak-ng has no language '{language[:40]}'; it has: {' '.join(languages())}")
    if voice not in voices():
        raise PahaError(f"espeak-ng has no voice '{voice[:40]}'; it has: {', '.join(voices())}")
    samples, _ = synthesise(text, voice=f"{language}+{voice}", rate_wpm=_RATE_WPM, pitch=_PITCH)
    return samples, ESPEAK_RATE_HZ


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """The language codes that espeak-ng speaks, such as en-us, cmn or de. Raises PahaError where it is missing."""
    found = set()
    for path in (data_folder() / "lang").rglob("*"):
        if path.is_file():
            lines = path.read_text("utf-8", "replace").splitlines()
            found |= {line.split()[1] for line in lines if line.startswith("language ")}
    return tuple(sorted(found))


@lru_cache(maxsize=1)
def voices() -> tuple[str, ...]:
    """The names of its voices: f1 to f5 women, m1 to m8 men, and characters of other names."""
    names = {path.name for path in Path(data_folder() / "voices" / "!v").iterdir()}
    return tuple(sorted(name for name in names if " " not in name))
