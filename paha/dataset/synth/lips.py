"""Phonemes and loudness to lips: mouth_open, mouth_wide and lip_press.

The lips are a function of the sound alone, without randomness. Sounds blend by dominance functions (Cohen and Massaro,
1993): each sound pulls the lips towards its own shape, most strongly while it lasts, less and less before and after.
"""

from __future__ import annotations

import numpy as np

from paha.dataset.synth.loudness import STEPS_HZ, STEPS_PER_FRAME, band_shape, is_speech, loudness, num_frames, smooth
from paha.dataset.synth.speech import Phoneme, Speech
from paha.dataset.synth.visemes import BILABIALS, LABIODENTALS, viseme_units

# The five numbers that were compared on the mouths of three GRID speakers (experiments.rig_report); the visemes' table
# was not. Lips prepare a sound for longer than they keep it.
LEAD_S = 0.08
"""Time in which a sound's pull falls to 1/e, before it begins."""
CARRY_S = 0.04
"""The same after it ends."""
JAW_LAG_S = 0.01
"""The jaw is heavy: openings come this much later than the sounds that ask for them; closures of the lips do not."""
LOUDNESS_SHARE = 0.25
"""How much of an opening is lost where speech is silent."""
BREATH_OPEN, BREATH_S = 0.3, 0.4
"""Before a phrase the lips part by this much, this long, to take a breath and to get ready."""

_BREATH_WEIGHT = 0.5
_SILENCE_WEIGHT = 0.35
_MIN_GAP_S = 0.05  # shorter silences between phonemes are no pauses
_EXHALE_S = 0.25  # after a phrase the lips close for at least this long
_JAW_BLEND_S = 0.015
_MIN_CLOSURE_S = 0.07
_CLOSING_S = 0.03
_LABIODENTAL_CLOSURE = 0.85
_INITIAL_CLOSURE_S = 0.06  # a stop after silence is closed before any sound of it
_SOUND_BLEND_S = 0.026
_CONSONANT_OPEN = 0.3


def lips(speech: Speech) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mouth_open [0, 1], mouth_wide [-1, 1], lip_press [0, 1] on the fine grid, (8 T,) each.

    From phonemes where there are some, else from the sound.
    """
    return lips_from_phonemes(speech) if speech.phonemes else lips_from_sound(speech.samples)


def lips_from_phonemes(speech: Speech) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Visemes blended by dominance, opened by loudness; the closures of m, b, p, f, v cut through the blend."""
    count = STEPS_PER_FRAME * num_frames(speech.samples)
    times = (np.arange(count) + 0.5) / STEPS_HZ
    said = _blend(_spoken(speech.phonemes), times)
    silent = _blend(_pauses(speech), times)
    weight = said[0] + silent[0] + 1e-9
    quiet = 1 - smooth(loudness(speech.samples), 0.02)
    mouth_open = (said[1] * (1 - LOUDNESS_SHARE * quiet) + silent[1]) / weight
    mouth_open = np.interp(times - JAW_LAG_S, times, smooth(mouth_open, _JAW_BLEND_S))
    mouth_wide = smooth((said[2] + silent[2]) / weight, _JAW_BLEND_S)
    closed, press = _closures(speech.phonemes, times)
    return np.clip(mouth_open * (1 - closed), 0, 1), np.clip(mouth_wide, -1, 1), press


def _spoken(phonemes: tuple[Phoneme, ...]) -> np.ndarray:
    """(U, 5) visemes in time: start_s, end_s, weight, open, wide."""
    rows = []
    for phoneme in phonemes:
        units = viseme_units(phoneme.symbol)
        edges = np.linspace(phoneme.start_s, phoneme.end_s, len(units) + 1)
        rows += [(a, b, u.weight, u.open, u.wide) for u, a, b in zip(units, edges[:-1], edges[1:], strict=True)]
    return np.array(rows)


def _pauses(speech: Speech) -> np.ndarray:
    """(U, 5) like `_spoken`: closed lips in the pauses, parted ones before a phrase begins."""
    rows, silent_from = [], -np.inf
    for phoneme in speech.phonemes:
        start = phoneme.start_s
        if start - silent_from > _MIN_GAP_S:
            breath = min(start, max(silent_from + _EXHALE_S, start - BREATH_S))
            rows.append((silent_from, max(silent_from, breath - LEAD_S), _SILENCE_WEIGHT, 0.0, 0.0))
            if start - breath > _MIN_GAP_S:
                rows.append((breath, start, _BREATH_WEIGHT, BREATH_OPEN, 0.0))
        silent_from = phoneme.end_s
    rows.append((silent_from + 0.02, np.inf, _SILENCE_WEIGHT, 0.0, 0.0))
    return np.array(rows)


def _blend(units: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) each: sum of dominances, and of dominance times opening and width, at the times (N,)."""
    start, end, weight, opening, wide = (column[:, None] for column in units.T)
    distance = np.maximum(0, start - times) / LEAD_S + np.maximum(0, times - end) / CARRY_S
    dominance = weight * np.exp(-distance)
    return dominance.sum(0), (dominance * opening).sum(0), (dominance * wide).sum(0)


def _closures(phonemes: tuple[Phoneme, ...], times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How closed [0, 1] and how pressed [0, 1] the lips are by bilabials and labiodentals, (N,) each."""
    closed, press = np.zeros(len(times)), np.zeros(len(times))
    for index, phoneme in enumerate(phonemes):
        before = phonemes[index - 1] if index else None
        after = phonemes[index + 1] if index + 1 < len(phonemes) else None
        if _is_bilabial(phoneme, after):
            strength, pressure = 1.0, 1.0
        elif phoneme.symbol[0] in LABIODENTALS:
            strength, pressure = _LABIODENTAL_CLOSURE, 0.35
        else:
            continue
        start, stop = _closed_span(phoneme, before)
        # A ramp of _CLOSING_S on both sides of the span, in which the lips are fully closed.
        ramp = np.clip(np.minimum(times - start, stop - times) / _CLOSING_S + 1, 0, 1)
        closed, press = np.maximum(closed, strength * ramp), np.maximum(press, pressure * ramp)
    return np.clip(smooth(closed, 0.01) * 1.02, 0, 1), np.clip(smooth(press, 0.01), 0, 1)


def _is_bilabial(phoneme: Phoneme, after: Phoneme | None) -> bool:
    """m, b, p; and n right before one of them, which is said with closed lips ("bin blue")."""
    if phoneme.symbol[0] in BILABIALS:
        return True
    follows = after is not None and after.start_s - phoneme.end_s < 0.02
    return phoneme.symbol[0] == "n" and after is not None and follows and after.symbol[0] in BILABIALS


def _closed_span(phoneme: Phoneme, before: Phoneme | None) -> tuple[float, float]:
    """(start_s, stop_s) of closed lips, at least _MIN_CLOSURE_S, so that one video frame at least sees them."""
    start, stop = phoneme.start_s, phoneme.end_s
    if before is None or start - before.end_s > 0.1:
        start -= _INITIAL_CLOSURE_S
    if phoneme.symbol[0] in "pb":
        # A stop's lips part at its burst, near the end; the aspiration after it is already open.
        stop = min(stop, start + max(_MIN_CLOSURE_S, 0.7 * (stop - start)))
    if stop - start < _MIN_CLOSURE_S:
        middle = 0.5 * (start + stop)
        start, stop = middle - _MIN_CLOSURE_S / 2, middle + _MIN_CLOSURE_S / 2
    return start, stop


def lips_from_sound(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same from sound alone: open where loud with a high first formant, wide by the second, pressed at dips.

    Formants are taken relative to the recording's own range, as voices differ.
    """
    loud = loudness(samples)
    first, second, high = band_shape(samples)
    low, up = np.percentile(first[loud > 0.5], (10, 95)) if (loud > 0.5).any() else (400.0, 700.0)
    openness = np.clip((first - low) / max(up - low, 50.0), 0.2, 1) * (1 - 0.3 * np.clip(2 * high - 0.3, 0, 1))
    voiced = np.clip((loud - 0.35) / 0.5, 0, 1)
    centre = np.median(second[loud > 0.5]) if (loud > 0.5).any() else 1650.0
    spread = np.clip((second - centre) / 400, -1, 1)
    active = is_speech(loud).astype(np.float64)
    dip = np.clip((smooth(loud, 0.08) - loud - 0.12) / 0.2, 0, 1) * active * (high < 0.3)
    # Consonants too are mostly said with the lips apart.
    opened = active * (_CONSONANT_OPEN + (1 - _CONSONANT_OPEN) * openness * voiced)
    mouth_open = smooth(opened, _SOUND_BLEND_S) * (1 - 0.8 * smooth(dip, 0.013))
    return np.clip(mouth_open, 0, 1), smooth(spread * voiced * active, 0.03), smooth(dip, 0.013)
