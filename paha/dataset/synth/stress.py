"""Where speech is stressed and where it rests: the skeleton that gestures, nods and brows hang on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from paha.dataset.synth.loudness import STEPS_HZ, is_speech, loudness, smooth
from paha.dataset.synth.speech import Speech
from paha.dataset.synth.visemes import is_vowel


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
            found.append(((first + int(part.argmax())) / STEPS_HZ, float(part.max() ** 2 * np.sqrt(len(part)))))
    return _relative(found)


def _peak_accents(loud: np.ndarray) -> list[Accent]:
    """Peaks of the syllable-long loudness that stand out, for recordings."""
    slow = smooth(loud, 0.05)
    steps, shape = find_peaks(slow, prominence=0.12, distance=round(0.15 * STEPS_HZ))
    return _relative([(s / STEPS_HZ, float(p)) for s, p in zip(steps, shape["prominences"], strict=True)])


def _relative(found: list[tuple[float, float]]) -> list[Accent]:
    loudest = max((strength for _, strength in found), default=1.0)
    return [Accent(time_s, max(strength / loudest, 1e-3)) for time_s, strength in found]


def choose(accents: tuple[Accent, ...], *, min_gap_s: float, rng: np.random.Generator) -> list[Accent]:
    """Some of the accents, the strong ones likelier, at least min_gap_s apart, in order of time."""
    score = {a: a.strength * rng.uniform(0.5, 1.5) for a in accents}
    chosen: list[Accent] = []
    for accent in sorted(accents, key=lambda a: -score[a]):
        if all(abs(accent.time_s - other.time_s) >= min_gap_s for other in chosen):
            chosen.append(accent)
    return sorted(chosen, key=lambda a: a.time_s)
