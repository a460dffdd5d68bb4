"""Speech with the timing of its phonemes: synthesised in English or Mandarin, or read from a recording.

Every function is deterministic: the same text, voice and seed give the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from paha.dataset.synth.espeak import ESPEAK_RATE_HZ, Event, synthesise
from paha.errors import PahaError
from paha.types import SAMPLE_RATE_HZ

_ENGLISH = (
    "en-us",
    "English (Great Britain)",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-us-nyc",
    "en-029",
)
_VARIANTS = ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8")
HELD_OUT_VARIANTS = ("f5", "m8")
"""Variants that speak in held-out streams of motion clips only."""
VOICES = {"en": _ENGLISH, "cmn": ("cmn",)}
"""espeak-ng voices of each language; any of them takes a variant, "+f1" to "+f5" or "+m1" to "+m8"."""
LANGUAGES = tuple(VOICES)

MIN_PAUSE_S = 0.2
"""Silences shorter than this (a stop's closure, say) are part of the speech around them."""
STOP_CLOSURE_S = 0.05
"""espeak-ng reports a stop at its burst; the lips and the tongue have closed about this much earlier."""
_STOPS = "pbtdkgɡqc"


@dataclass(frozen=True)
class Phoneme:
    """One phoneme. symbol: IPA without stress marks. stress: 2 primary, 1 secondary, 0 none; on vowels.

    In Mandarin every syllable with a full tone carries stress 2.
    """

    symbol: str
    start_s: float
    end_s: float
    stress: int = 0


@dataclass(frozen=True)
class Voice:
    """How a text is spoken: name (espeak-ng voice), rate_wpm (80-450), pitch and pitch_range (0-100)."""

    name: str = "en-us"
    rate_wpm: int = 165
    pitch: int = 50
    pitch_range: int = 50


@dataclass(frozen=True)
class Speech:
    """Mono speech and what is known of its contents.

    samples: (N,) float32 at 16 kHz in [-1, 1]. phonemes: in order of time, not overlapping; empty for a recording.
    words: (start_s, end_s) of each word. language: "en", "cmn" or "".
    """

    samples: np.ndarray
    phonemes: tuple[Phoneme, ...] = ()
    words: tuple[tuple[float, float], ...] = ()
    text: str = ""
    language: str = ""
    voice: str = field(default="", compare=False)

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def pauses(self) -> list[tuple[float, float]]:
        """(start_s, end_s) of the silences of at least MIN_PAUSE_S between phonemes, those at the ends included.

        Empty for a recording: its pauses are found by loudness (`paha.dataset.synth.loudness`).
        """
        if not self.phonemes:
            return []
        edges = [0.0, *(t for p in self.phonemes for t in (p.start_s, p.end_s)), self.duration_s]
        return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= MIN_PAUSE_S]


def random_voice(rng: np.random.Generator, language: str, *, held_out: bool | None = None) -> Voice:
    """A voice of the language with a random variant, rate and pitch; variants held out, those left, or (None) any."""
    if language not in VOICES:
        raise PahaError(f"language {language!r} is not one of {', '.join(LANGUAGES)}")
    variants = [v for v in _VARIANTS if held_out is None or (v in HELD_OUT_VARIANTS) == held_out]
    name = f"{rng.choice(VOICES[language])}+{rng.choice(variants)}"
    rate = int(rng.integers(135, 190) if language == "en" else rng.integers(130, 180))
    return Voice(name, rate, pitch=int(rng.integers(25, 75)), pitch_range=int(rng.integers(35, 80)))


def speak(text: str, *, voice: str = "en-us", rate_wpm: int = 165, pitch: int = 50, pitch_range: int = 50) -> Speech:
    """Synthesise one text, trimmed to its first and last phoneme. Raises PahaError as `espeak.synthesise` does."""
    import soxr

    raw, events = synthesise(text, voice=voice, rate_wpm=rate_wpm, pitch=pitch, pitch_range=pitch_range)
    samples = soxr.resample(raw, ESPEAK_RATE_HZ, SAMPLE_RATE_HZ).astype(np.float32)
    phonemes = _phonemes(events, len(samples) / SAMPLE_RATE_HZ)
    if not phonemes:
        raise PahaError(f"espeak-ng finds no words in the text {text[:60]!r}: give it words of the voice's language")
    language = "cmn" if voice.startswith("cmn") else "en"
    speech = Speech(samples, phonemes, _words(events, phonemes[-1].end_s), text, language, voice)
    return cut(speech, start_s=phonemes[0].start_s, stop_s=phonemes[-1].end_s + 0.03)


def _phonemes(events: list[Event], duration_s: float) -> tuple[Phoneme, ...]:
    timed = [e for e in events if e.symbol is not None]
    phonemes: list[Phoneme] = []
    for event, after in zip(timed, [*timed[1:], Event("", duration_s)], strict=True):
        end_s = after.start_s
        symbol = (event.symbol or "").lstrip("ˈˌ")
        start_s = event.start_s
        if not symbol or symbol[0] == "(":  # "(en)" marks a switch of language
            # A glide or a boundary mark without a sound of its own; longer ones are pauses.
            if after.symbol and phonemes and phonemes[-1].end_s == start_s and end_s - start_s < 0.06:
                phonemes[-1] = replace(phonemes[-1], end_s=end_s)
            continue
        if symbol[0] in _STOPS:
            start_s = _begin_closure(phonemes, start_s)
        stress = {"ˈ": 2, "ˌ": 1}.get((event.symbol or "")[0], 0)
        if end_s > start_s:
            phonemes.append(Phoneme(symbol, start_s, end_s, stress))
    return tuple(phonemes)


def _begin_closure(phonemes: list[Phoneme], burst_s: float) -> float:
    """The start of a stop's closure; the phoneme before it gives way, by 40 % of its length at most."""
    start_s = max(0.0, burst_s - STOP_CLOSURE_S)
    if phonemes and phonemes[-1].end_s > start_s:
        before = phonemes[-1]
        start_s = min(burst_s, max(start_s, before.end_s - 0.4 * (before.end_s - before.start_s)))
        phonemes[-1] = replace(before, end_s=start_s)
    return start_s


def _words(events: list[Event], end_s: float) -> tuple[tuple[float, float], ...]:
    starts = [e.start_s for e in events if e.symbol is None]
    return tuple((a, b) for a, b in zip(starts, [*starts[1:], end_s], strict=True) if b > a)


def cut(speech: Speech, *, start_s: float, stop_s: float) -> Speech:
    """The part from start_s to stop_s; phonemes and words that reach over an end are clipped to it."""
    first, last = round(start_s * SAMPLE_RATE_HZ), min(round(stop_s * SAMPLE_RATE_HZ), len(speech.samples))
    length_s = (last - first) / SAMPLE_RATE_HZ
    spans = [(max(0.0, a - start_s), min(length_s, b - start_s)) for a, b in speech.words]
    phonemes = [
        replace(p, start_s=max(0.0, p.start_s - start_s), end_s=min(length_s, p.end_s - start_s))
        for p in speech.phonemes
        if p.end_s > start_s and p.start_s < start_s + length_s
    ]
    words = tuple((a, b) for a, b in spans if b > a)
    return replace(speech, samples=speech.samples[first:last], phonemes=tuple(phonemes), words=words)


def join(parts: list[Speech], pauses_s: list[float]) -> Speech:
    """Speeches one after another; pauses_s has one silence more than parts: before, between and after them."""
    samples, phonemes, words = [_silence(pauses_s[0])], [], []
    offset_s = len(samples[0]) / SAMPLE_RATE_HZ
    for part, pause_s in zip(parts, pauses_s[1:], strict=True):
        phonemes += [replace(p, start_s=p.start_s + offset_s, end_s=p.end_s + offset_s) for p in part.phonemes]
        words += [(a + offset_s, b + offset_s) for a, b in part.words]
        samples += [_faded(part.samples), _silence(pause_s)]
        offset_s += (len(samples[-2]) + len(samples[-1])) / SAMPLE_RATE_HZ
    text = " ".join(part.text for part in parts)
    return replace(parts[0], samples=np.concatenate(samples), phonemes=tuple(phonemes), words=tuple(words), text=text)


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32)


def _faded(samples: np.ndarray) -> np.ndarray:
    """Ends ramped over 5 ms, so that cuts do not click."""
    count = min(len(samples) // 2, SAMPLE_RATE_HZ // 200)
    ramp = np.linspace(0, 1, count, dtype=np.float32)
    faded = samples.copy()
    faded[:count] *= ramp
    faded[len(faded) - count :] *= ramp[::-1]
    return faded


def random_speech(
    rng: np.random.Generator, *, language: str, min_seconds: float, held_out: bool | None = None
) -> Speech:
    """Random sentences of one random voice with pauses of 0.2 to 1.5 s, at least min_seconds long, still clean.

    held_out: which voices, as in `random_voice`.
    """
    from paha.dataset.synth.texts import random_sentence

    voice = random_voice(rng, language, held_out=held_out)
    parts: list[Speech] = []
    pauses_s = [float(rng.uniform(0, 0.6))]
    while sum(p.duration_s for p in parts) + sum(pauses_s) < min_seconds:
        text = random_sentence(rng, language)
        parts.append(
            speak(text, voice=voice.name, rate_wpm=voice.rate_wpm, pitch=voice.pitch, pitch_range=voice.pitch_range)
        )
        pauses_s.append(random_pause(rng))
    return join(parts, pauses_s)


def random_pause(rng: np.random.Generator) -> float:
    """Seconds between two sentences: mostly a breath; sometimes long enough for the hands to come to rest."""
    return float(rng.uniform(0.2, 0.8) if rng.random() < 0.7 else rng.uniform(0.8, 1.5))


def at_speed(speech: Speech, factor: float) -> Speech:
    """The speech played `factor` times as fast and as high, its phonemes and words moved along."""
    import soxr

    samples = soxr.resample(speech.samples, SAMPLE_RATE_HZ * factor, SAMPLE_RATE_HZ, quality="MQ").astype(np.float32)
    phonemes = tuple(replace(p, start_s=p.start_s / factor, end_s=p.end_s / factor) for p in speech.phonemes)
    words = tuple((start / factor, end / factor) for start, end in speech.words)
    return replace(speech, samples=samples, phonemes=phonemes, words=words)


def speech_from_recording(path: str | Path) -> Speech:
    """A recording (or the sound of a video) as Speech without phonemes; the rig then goes by loudness and spectrum.

    Raises PahaError as `paha.media.audio_io.read_audio` does.
    """
    from paha.media.audio_io import read_audio, to_mono_16k

    samples, rate_hz = read_audio(Path(path))
    return Speech(to_mono_16k(samples, rate_hz), text="", voice=Path(path).name)
