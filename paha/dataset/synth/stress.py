"""Where speech is stressed and where it rests: the skeleton that gestures, nods and brows hang on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import find_peaks

from paha.dataset.synth.loudness import STEPS_HZ, is_speech, loudness, smooth
from paha.dataset.synth.speech import Phoneme, Speech
from paha.dataset.synth.visemes import is_vowel
from paha.types import SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Accent:
    """A stressed syllable: time_s its loudest moment, strength in (0, 1] among the accents of the same speech."""

    time_s: float
    strength: float


@dataclass(frozen=True)
class Phrase:
    """Speech between two pauses, with its accents in order of time."""

    start_s: float
    end_s: float
    accents: tuple[Accent, ...]


def phrases(speech: Speech) -> list[Phrase]:
    """The phrases of a speech; none for silence. With phonemes by their pauses and stress marks, else by loudness."""
    loud = loudness(speech.samples)
    if not loud.any():
        return []
    spans = _spoken_spans(speech, loud)
    accents = _vowel_accents(speech, loud) if speech.phonemes else _peak_accents(loud)
    return [Phrase(a, b, tuple(x for x in accents if a <= x.time_s < b)) for a, b in spans]


def _spoken_spans(speech: Speech, loud: np.ndarray) -> list[tuple[float, float]]:
    if speech.phonemes:
        pauses = speech.pauses
        edges = [0.0, *(t for pause in pauses for t in pause), speech.duration_s]
        return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
    active = np.diff(is_speech(loud).astype(int), prepend=0, append=0)
    starts, stops = np.flatnonzero(active == 1), np.flatnonzero(active == -1)
    return [(a / STEPS_HZ, b / STEPS_HZ) for a, b in zip(starts, stops, strict=True)]


def _vowel_accents(speech: Speech, loud: np.ndarray) -> list[Accent]:
    """Vowels with primary stress, at their loudest step, as strong as they are loud and long."""
    found: list[tuple[float, float]] = []
    for phoneme in speech.phonemes:
        if phoneme.stress < 2 or not is_vowel(phoneme):
            continue
        first, last = round(phoneme.start_s * STEPS_HZ), round(phoneme.end_s * STEPS_HZ)
        part = loud[first : max(last, first + 1)]
        if len(part):
            found.append(((first + int(part.argmax())) / STEPS_HZ, _prominence(loud, phoneme)))
    return _relative(found)


def _peak_accents(loud: np.ndarray) -> list[Accent]:
    """Peaks of the syllable-long loudness that stand out, for recordings."""
    slow = smooth(loud, 0.05)
    steps, shape = find_peaks(slow, prominence=0.12, distance=round(0.15 * STEPS_HZ))
    return _relative([(s / STEPS_HZ, float(p)) for s, p in zip(steps, shape["prominences"], strict=True)])


def _relative(found: list[tuple[float, float]]) -> list[Accent]:
    loudest = max((strength for _, strength in found), default=1.0)
    return [Accent(time_s, max(strength / loudest, 1e-3)) for time_s, strength in found]


def mark_stress(speech: Speech) -> Speech:
    """Primary stress on the most prominent vowel of each word that stands out, where phonemes carry no marks.

    Prominence is loudness squared times the root of the vowel's length, times its pitch over the speech's own.
    """
    loud = loudness(speech.samples)
    vowels = [(i, p) for i, p in enumerate(speech.phonemes) if is_vowel(p)]
    pitch = np.array([pitch_hz(speech.samples, 0.5 * (p.start_s + p.end_s)) for _, p in vowels])
    usual = float(np.median(pitch[pitch > 0])) if (pitch > 0).any() else 1.0
    height = np.where(pitch > 0, np.clip(pitch / usual, 0.7, 1.5), 1.0)
    strength = {i: _prominence(loud, p) * float(h) for (i, p), h in zip(vowels, height, strict=True)}
    phonemes = list(speech.phonemes)
    limit = 0.8 * float(np.median(list(strength.values()) or [0.0]))
    for start, end in speech.words:
        inside = {i: s for i, s in strength.items() if start <= phonemes[i].start_s < end}
        top = max(inside, key=lambda i: inside[i], default=None)
        if top is not None and inside[top] > limit:
            phonemes[top] = replace(phonemes[top], stress=2)
    return replace(speech, phonemes=tuple(phonemes))


def _prominence(loud: np.ndarray, vowel: Phoneme) -> float:
    first, last = round(vowel.start_s * STEPS_HZ), round(vowel.end_s * STEPS_HZ)
    part = loud[first : max(last, first + 1)]
    return float(part.max() ** 2 * np.sqrt(len(part))) if len(part) else 0.0


def pitch_hz(samples: np.ndarray, time_s: float) -> float:
    """Pitch of a voice, 65 to 400 Hz, by the autocorrelation of 50 ms about a moment; 0 where there is none."""
    middle = round(time_s * SAMPLE_RATE_HZ)
    part = samples[max(0, middle - 400) : middle + 400]
    if len(part) < 600:
        return 0.0
    part = part - part.mean()
    lags = np.arange(SAMPLE_RATE_HZ // 400, SAMPLE_RATE_HZ // 65)
    together = np.correlate(part, part, mode="full")[len(part) - 1 :]
    if together[0] <= 1e-6:
        return 0.0
    # Long lags overlap less: as if they did fully.
    share = together[lags] / together[0] * len(part) / (len(part) - lags)
    best = int(share.argmax())
    return SAMPLE_RATE_HZ / float(lags[best]) if share[best] > 0.4 else 0.0


def choose(accents: tuple[Accent, ...], *, min_gap_s: float, rng: np.random.Generator) -> list[Accent]:
    """Some of the accents, the strong ones likelier, at least min_gap_s apart, in order of time."""
    score = {a: a.strength * rng.uniform(0.5, 1.5) for a in accents}
    chosen: list[Accent] = []
    for accent in sorted(accents, key=lambda a: -score[a]):
        if all(abs(accent.time_s - other.time_s) >= min_gap_s for other in chosen):
            chosen.append(accent)
    return sorted(chosen, key=lambda a: a.time_s)
