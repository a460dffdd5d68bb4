"""Trivial baselines of Table 1 as motion: still, lips by loudness alone, another's motion, the nearest speech's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from experiments.guidance.rig_people import RigPerson
from paha.config import AudioConfig
from paha.evaluation.tables.baselines import mel_distance
from paha.extractors.audio import load_audio_encoder
from paha.motion.person import PersonMotion
from paha.runtime.statistics import loudness_lips

LOUD_QUANTILE = 0.95
"""Of a clip's loudness: what its mouth is widest at."""


def baseline_motions(people: Sequence[RigPerson], library: Sequence[RigPerson]) -> dict[str, list[PersonMotion]]:
    """Motion since the reference by baseline. library: people who are not tested, of at least as many frames."""
    frames = len(people[0].motion())
    rest = PersonMotion.rest(frames)
    slope, offset = _loudness_fit(library)
    lips = [replace(rest, mouth_open=(offset + slope * _loudness(p)).astype(np.float32)) for p in people]
    heard, known = [_mel(p) for p in people], [_mel(p) for p in library]
    nearest = [library[int(np.argmin([mel_distance(mine, other) for other in known]))] for mine in heard]
    following = [*people[1:], *people[:1]]
    return {
        "still": [rest] * len(people),
        "lips by loudness alone": lips,
        "retrieval by audio": [other.motion().frames(slice(frames)) for other in nearest],
        "another clip's motion": [other.motion() for other in following],
    }


def _loudness(person: RigPerson) -> np.ndarray:
    """(T,) about 0 to 1."""
    loud = loudness_lips(person.samples, len(person.motion()))
    return loud / max(float(np.quantile(loud, LOUD_QUANTILE)), 1e-6)


def _loudness_fit(library: Sequence[RigPerson]) -> tuple[float, float]:
    """Slope and offset of openings on loudness, by least squares over the library."""
    loud = np.concatenate([_loudness(person) for person in library])
    mouth = np.concatenate([person.motion().mouth_open for person in library])
    slope, offset = np.polyfit(loud, mouth, 1)
    return float(slope), float(offset)


def _mel(person: RigPerson) -> np.ndarray:
    """(T, 80) mean log-mel spectrum of each frame."""
    encoder = load_audio_encoder(AudioConfig(kind="logmel"))
    return np.asarray(encoder.encode(person.samples, len(person.motion())).mean(1), np.float16)
