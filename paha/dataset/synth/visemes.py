"""Phonemes and loudness to lips: mouth_open, mouth_wide and lip_press.

The lips are a function of the sound alone, without randomness, and of no more than about 0.1 s around each moment.
"""

from __future__ import annotations

import numpy as np

from paha.dataset.synth.loudness import STEPS_HZ, STEPS_PER_FRAME, band_shape, is_speech, loudness, num_frames, smooth
from paha.dataset.synth.speech import Phoneme, Speech

BLEND_S = 0.026
"""Sigma of the co-articulation kernel: lips are on their way about 40 ms before a sound and as long after it."""
PRESS_BLEND_S = 0.013
MIN_PRESS_S = 0.06

_CLOSED = (0.0, 0.0, 1.0, 1.0)
_TONGUE_TIP = (0.2, 0.15, 0.0, 0.7)
_SIBILANT = (0.1, 0.4, 0.0, 0.9)
_PUCKERED = (0.18, -0.5, 0.0, 0.9)
_BACK = (0.3, 0.0, 0.0, 0.35)
_APPROXIMANT = (0.22, -0.45, 0.0, 0.7)

# IPA character -> (mouth_open, mouth_wide, lip_press, weight). A small weight lets the neighbours shape the lips.
VISEMES: dict[str, tuple[float, float, float, float]] = {
    **dict.fromkeys("pbm", _CLOSED),
    **dict.fromkeys("fvⱱɱ", (0.08, 0.15, 0.35, 1.0)),
    **dict.fromkeys("θð", (0.2, 0.2, 0.0, 0.8)),
    **dict.fromkeys("tdnlɫɾ", _TONGUE_TIP),
    **dict.fromkeys("szɕʑ", _SIBILANT),
    **dict.fromkeys("ʃʒʂʐ", _PUCKERED),
    **dict.fromkeys("ɹɻr", _APPROXIMANT),
    **dict.fromkeys("kgɡŋxχhɦʔcq", _BACK),
    **dict.fromkeys("wʍɥ", (0.12, -1.0, 0.0, 1.0)),
    **dict.fromkeys("jç", (0.18, 0.7, 0.0, 0.8)),
    "a": (0.95, 0.2, 0.0, 1.0),
    "ɑ": (1.0, 0.0, 0.0, 1.0),
    "æ": (0.88, 0.45, 0.0, 1.0),
    "ɐ": (0.75, 0.1, 0.0, 1.0),
    "ʌ": (0.8, 0.1, 0.0, 1.0),
    "ɒ": (0.85, -0.35, 0.0, 1.0),
    "ɔ": (0.72, -0.55, 0.0, 1.0),
    "o": (0.55, -0.8, 0.0, 1.0),
    "ʊ": (0.32, -0.75, 0.0, 1.0),
    "u": (0.2, -1.0, 0.0, 1.0),
    "ʉ": (0.25, -0.85, 0.0, 1.0),
    "y": (0.18, -0.95, 0.0, 1.0),
    "i": (0.24, 1.0, 0.0, 1.0),
    "ɪ": (0.34, 0.65, 0.0, 1.0),
    "ᵻ": (0.3, 0.5, 0.0, 0.9),
    "ɨ": (0.22, 0.4, 0.0, 1.0),
    "e": (0.52, 0.65, 0.0, 1.0),
    "ɛ": (0.66, 0.5, 0.0, 1.0),
    "ə": (0.42, 0.05, 0.0, 0.8),
    "ɚ": (0.4, -0.25, 0.0, 0.9),
    "ɜ": (0.48, -0.2, 0.0, 1.0),
    "ɤ": (0.45, 0.1, 0.0, 1.0),
}
VOWELS = frozenset("aɑæɐʌɒɔoʊuʉyiɪᵻɨeɛəɚɜɤ")
_UNKNOWN = (0.3, 0.0, 0.0, 0.4)
_SILENT = (0.0, 0.0, 0.0, 0.6)


def is_vowel(phoneme: Phoneme) -> bool:
    """Whether the phoneme is a vowel, a diphthong or a vowel with a coda (a syllable's nucleus)."""
    return any(character in VOWELS for character in phoneme.symbol)


def viseme_units(symbol: str) -> list[tuple[float, float, float, float]]:
    """The visemes that an IPA symbol passes through in equal times: one for "s", two for "aʊ"; length marks ignored."""
    if "i." in symbol:  # Mandarin's syllabic i of zhi and si keeps the consonant's lips.
        return [VISEMES["ɨ"]]
    units = [VISEMES[c] for c in symbol if c in VISEMES]
    return units or [_UNKNOWN]


def lips(speech: Speech) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mouth_open, mouth_wide, lip_press on the fine grid, (8 T,) each: from phonemes, or else from the sound."""
    return lips_from_phonemes(speech) if speech.phonemes else lips_from_sound(speech.samples)


def lips_from_phonemes(speech: Speech) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted blend of the phonemes' visemes, opened by loudness; the closures of m, b, p cut through the blend."""
    targets = _targets(speech.phonemes, STEPS_PER_FRAME * num_frames(speech.samples))
    weight = smooth(targets[:, 3], BLEND_S)
    mouth_open = smooth(targets[:, 0] * targets[:, 3], BLEND_S) / weight
    mouth_wide = smooth(targets[:, 1] * targets[:, 3], BLEND_S) / weight
    press = smooth(_closures(speech.phonemes, targets[:, 2]), PRESS_BLEND_S)
    loud = smooth(loudness(speech.samples), 0.015)
    mouth_open *= (1 - np.clip(1.25 * press, 0, 1)) * (0.5 + 0.5 * loud)
    return np.clip(1.15 * mouth_open, 0, 1), np.clip(mouth_wide, -1, 1), np.clip(press, 0, 1)


def _targets(phonemes: tuple[Phoneme, ...], num_steps: int) -> np.ndarray:
    """(8 T, 4), the viseme in force at each step."""
    targets = np.tile(np.array(_SILENT), (num_steps, 1))
    for phoneme in phonemes:
        units = viseme_units(phoneme.symbol)
        edges = np.linspace(phoneme.start_s, phoneme.end_s, len(units) + 1) * STEPS_HZ
        for unit, start, stop in zip(units, edges[:-1], edges[1:], strict=True):
            targets[round(start) : round(stop)] = unit
    return targets


def _closures(phonemes: tuple[Phoneme, ...], press: np.ndarray) -> np.ndarray:
    """Bilabial closures widened to MIN_PRESS_S, so that at 25 frames a second one frame at least sees them."""
    widened = press.copy()
    for phoneme in phonemes:
        if phoneme.symbol[0] in "pbm" and phoneme.end_s - phoneme.start_s < MIN_PRESS_S:
            middle = 0.5 * (phoneme.start_s + phoneme.end_s)
            start, stop = (round((middle + side * MIN_PRESS_S / 2) * STEPS_HZ) for side in (-1, 1))
            widened[max(0, start) : stop] = 1
        elif phoneme.symbol[0] in "pb":
            # A stop's lips part at its burst, near the end; the aspiration after it is already open.
            burst = phoneme.start_s + max(MIN_PRESS_S, 0.7 * (phoneme.end_s - phoneme.start_s))
            widened[round(burst * STEPS_HZ) : round(phoneme.end_s * STEPS_HZ)] = 0.3
    return widened


def lips_from_sound(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same from sound alone: open where loud with a high first formant, wide by the second, pressed at dips.

    Formants are taken relative to the recording's own range, as voices differ.
    """
    loud = loudness(samples)
    first, second, high = band_shape(samples)
    low, up = np.percentile(first[loud > 0.5], (10, 95)) if (loud > 0.5).any() else (400.0, 700.0)
    openness = np.clip((first - low) / max(up - low, 50.0), 0.2, 1) * (1 - 0.8 * np.clip(2 * high - 0.3, 0, 1))
    voiced = np.clip((loud - 0.35) / 0.5, 0, 1)
    centre = np.median(second[loud > 0.5]) if (loud > 0.5).any() else 1650.0
    spread = np.clip((second - centre) / 400, -1, 1)
    active = is_speech(loud).astype(np.float64)
    dip = np.clip((smooth(loud, 0.08) - loud - 0.12) / 0.2, 0, 1) * active * (high < 0.3)
    mouth_open = smooth(openness * voiced * active, BLEND_S) * (1 - 0.8 * smooth(dip, PRESS_BLEND_S))
    return np.clip(mouth_open, 0, 1), smooth(spread * voiced * active, 0.03), smooth(dip, PRESS_BLEND_S)
