"""Who speaks what in the report: photographs of `stills`, sentences of voices that no training heard, the rig's truth.

Sentence i of the held-out voices goes with photograph i; both lists have the order of their own index.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paha.dataset.synth.natural_speech import NaturalSpeech
from paha.dataset.synth.person_motion import person_motion
from paha.dataset.synth.speech import Speech, cut, join
from paha.errors import PahaError
from paha.motion.motion_reference import MotionReference
from paha.motion.person import PersonMotion

PAUSE_S = 0.6
"""Silence before and after every sentence, so that closed lips are measured in every video."""


@dataclass(frozen=True)
class Still:
    """A photograph of the index. file: under the folder. hands: whether they are in the picture."""

    name: str
    path: Path
    kind: str
    hands: bool


@dataclass(frozen=True)
class Case:
    """A photograph and what it says. number: its place, which seeds the noise and the rig's idle motion."""

    number: int
    still: Still
    speech: Speech

    @property
    def name(self) -> str:
        """Of the case's results."""
        return f"{self.number:03d}_{self.still.name}"

    @property
    def motion(self) -> PersonMotion:
        """What the rig does at this speech, counted from rest; the lips follow the sound without chance."""
        return person_motion(self.speech, rng=np.random.default_rng([15, self.number]))


def read_stills(folder: Path, *, part: str = "test") -> list[Still]:
    """The photographs of a part of the index, in its order. Raises PahaError where there is none."""
    path = folder / "index.tsv"
    if not path.is_file():
        raise PahaError(f"{folder} has no index.tsv: give the folder of photographs (--stills)")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["file"].startswith(f"{part}/")]
    return [
        Still(Path(row["file"]).stem, folder / row["file"], row["kind"], row["hands_visible"] == "yes") for row in rows
    ]


class Sentences:
    """Sentences of the held-out voices. Raises PahaError where the folder has none."""

    def __init__(self, folder: Path) -> None:
        self._speech = NaturalSpeech(folder, held_out=True)

    def one(self, number: int) -> Speech:
        """Sentence `number`, with a pause before and after it."""
        return join([self._sentence(number)], [PAUSE_S, PAUSE_S])

    def many(self, number: int, *, seconds: float) -> Speech:
        """Sentences from `number` on, whoever says them, with pauses, cut to `seconds`."""
        parts, pauses = [], [PAUSE_S]
        while sum(part.duration_s for part in parts) + sum(pauses) < seconds:
            parts.append(self._sentence(number + len(parts)))
            pauses.append(0.3 + 0.3 * (len(parts) % 3))
        return cut(join(parts, pauses), start_s=0, stop_s=seconds)

    def _sentence(self, number: int) -> Speech:
        return self._speech.sentence(number % len(self._speech))


def since_photograph(motion: PersonMotion, reference: MotionReference) -> PersonMotion:
    """The rig's motion as it would be seen from the photograph's moment: a mouth that is open there closes first."""
    moment = PersonMotion.rest(1)
    moment.mouth_open[0] = reference.geometry.state.mouth_open[0]
    return motion.relative_to(moment)
