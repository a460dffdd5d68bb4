"""The espeak-ng library by ctypes: text to samples and timed phoneme events.

The shared library and its voices come inside the wheel of `espeakng_loader` (the [synth] extra; espeak-ng is GPL-3).
espeak-ng keeps its oscillator phases in global state that no call resets, so the same text comes out differently each
time. The library is therefore loaded afresh for every utterance (7 ms), which makes speech a function of its arguments.
"""

from __future__ import annotations

import _ctypes
import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paha.errors import PahaError

ESPEAK_RATE_HZ = 22_050
"""Samples a second that espeak-ng renders at."""

# espeak-ng/speak_lib.h
_SYNCHRONOUS, _PHONEME_EVENTS, _PHONEME_IPA, _UTF8, _POSITION_CHARACTER = 2, 1, 2, 1, 1
_IPA = 2
_RATE, _PITCH, _RANGE = 1, 3, 4
_EVENT_LIST_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7


@dataclass(frozen=True)
class Event:
    """A phoneme (IPA with stress marks; empty in pauses) or a word boundary (symbol None), at its time in seconds."""

    symbol: str | None
    start_s: float


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))
_lock = threading.Lock()


def synthesise(
    text: str, *, voice: str, rate_wpm: int, pitch: int, pitch_range: int = 50
) -> tuple[np.ndarray, list[Event]]:
    """Text to (samples (N,) float32 at 22,050 Hz, list of `Event`s in order of time).

    voice: an espeak-ng voice with an optional variant, such as "en-us+f2" or "cmn". rate_wpm: 80 to 450 words a minute.
    pitch, pitch_range: 0 to 100. Raises PahaError for a missing library and an unknown voice.
    """
    with _started(_PHONEME_EVENTS | _PHONEME_IPA) as library:
        # Breath and noise are random, seeded by the clock when the library starts.
        library.espeak_ng_SetRandSeed(ctypes.c_long(0))
        _set_voice(library, voice)
        for parameter, value in ((_RATE, rate_wpm), (_PITCH, pitch), (_RANGE, pitch_range)):
            library.espeak_SetParameter(parameter, int(value), 0)
        return _run(library, text)


def ipa(text: str, language: str) -> str:
    """How a text without punctuation is pronounced, in IPA with stress marks. language: such as "en-us". Raises
    PahaError."""
    with _started(0) as library:
        _set_voice(library, language)
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        pointer, clauses = ctypes.c_char_p(text.encode()), []
        while pointer.value:
            clauses.append(library.espeak_TextToPhonemes(ctypes.byref(pointer), _UTF8, _IPA).decode())
        return " ".join(clauses).strip()


@contextmanager
def _started(options: int) -> Iterator[ctypes.CDLL]:
    """The library, started for one task at a time and unloaded afterwards. Raises PahaError where it cannot start."""
    library_path, data_path = _paths()
    with _lock:
        library = ctypes.CDLL(library_path)
        try:
            if library.espeak_Initialize(_SYNCHRONOUS, 0, data_path.encode(), options) < 0:
                raise PahaError(f"espeak-ng cannot start with {data_path}: reinstall it by pip install 'paha[synth]'")
            yield library
        finally:
            library.espeak_Terminate()
            _unload(library)


def data_folder() -> Path:
    """Where its languages and voices are. Raises PahaError where the library is missing."""
    return Path(_paths()[1])


def _paths() -> tuple[str, str]:
    try:
        import espeakng_loader
    except ImportError as error:
        raise PahaError("speech synthesis needs the espeak-ng library: pip install 'paha[synth]'") from error
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()


def _set_voice(library: ctypes.CDLL, voice: str) -> None:
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise PahaError(f"espeak-ng has no voice {voice!r}: see paha.dataset.synth.speech.VOICES")


def _run(library: ctypes.CDLL, text: str) -> tuple[np.ndarray, list[Event]]:
    chunks: list[bytes] = []
    events: list[Event] = []

    def on_audio(samples: int | None, count: int, batch) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while batch[index].type != _EVENT_LIST_END:
            event = batch[index]
            if event.type == _EVENT_PHONEME:
                # Eight bytes at most, so the last character may be cut in two.
                events.append(Event(event.id.string.decode(errors="ignore"), event.sample / ESPEAK_RATE_HZ))
            elif event.type == _EVENT_WORD:
                events.append(Event(None, event.sample / ESPEAK_RATE_HZ))
            index += 1
        return 0

    callback = _Callback(on_audio)
    library.espeak_SetSynthCallback(callback)
    encoded = text.encode()
    size, uint, pointer = ctypes.c_size_t, ctypes.c_uint, ctypes.c_void_p
    library.espeak_Synth.argtypes = [ctypes.c_char_p, size, uint, ctypes.c_int, uint, uint, pointer, pointer]
    status = library.espeak_Synth(encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    if status != 0 or not chunks:
        raise PahaError(f"espeak-ng renders no sound for the text {text[:60]!r}: give it words of the voice's language")
    samples = np.frombuffer(b"".join(chunks), dtype=np.int16).astype(np.float32) / 32768
    return samples, events


def _unload(library: ctypes.CDLL) -> None:
    if hasattr(_ctypes, "dlclose"):
        _ctypes.dlclose(library._handle)
    else:
        _ctypes.FreeLibrary(library._handle)  # pyright: ignore[reportAttributeAccessIssue]
