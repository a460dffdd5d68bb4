"""The paper's metrics of motion that is read without pictures, person by person, and differences between two rows.

Keypoints are the reference's, moved as decoded latents have it; what pictures are needed for (FVD, Sync-C) is absent.
sync is the confidence of `sync_instrument`, SyncNet's protocol on signals of motion. Letters: B people, R replicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from experiments.guidance.rig_people import RigPerson, signals_of
from experiments.guidance.sync_instrument import SyncInstrument
from experiments.presenter import scores
from paha.evaluation.metrics.frechet import NUM_REPLICATES, FrechetSide, drawn_distances
from paha.evaluation.metrics.gestures import gesture_features, load_autoencoder, pair_distances
from paha.evaluation.metrics.instruments import EXACT, Instruments
from paha.evaluation.metrics.measured import Measured
from paha.evaluation.metrics.scores import RowScores, Value
from paha.motion.person import PersonMotion
from paha.runtime.statistics import Interval, bootstrap

NO_PICTURE = "motion is read without pictures, and no weights of {} are within reach"
ABSENT = {"i3d": NO_PICTURE.format("I3D"), "syncnet": NO_PICTURE.format("SyncNet")}
OWN = ("sync", "jerk", "spread")
"""Scores that `RowScores` has not."""


def motion_instruments(*, replicates: int = NUM_REPLICATES) -> Instruments:
    """Exact keypoints and the shipped pose autoencoder. replicates: of the bootstrap of FGD."""
    return Instruments(None, EXACT, "", load_autoencoder(), absent=dict(ABSENT), replicates=replicates)


@dataclass(frozen=True)
class MotionRow:
    """values: by metric, means over people with intervals. people: metric -> person -> value. drawn: (R,) replicates of
    what has no value by person (fgd, div), resampled alike in all rows of the same people."""

    values: dict[str, Value]
    people: dict[str, dict[str, float]] = field(default_factory=dict)
    drawn: dict[str, np.ndarray] = field(default_factory=dict)


class MotionScores:
    """Scores motions of people against their true ones. instruments: see `motion_instruments`."""

    def __init__(self, people: Sequence[RigPerson], instruments: Instruments, lips: SyncInstrument) -> None:
        self.people, self.instruments, self.lips = people, instruments, lips
        self.truths = [_measured(f"{i:03d}", person, person.motion()) for i, person in enumerate(people)]
        self.real = RowScores(instruments)
        self._add(self.real, self.truths, self.truths)
        self._real_side = self._side(self.truths)

    def row(self, motions: Sequence[PersonMotion], seconds: np.ndarray | None = None) -> MotionRow:
        """The row of motions, one a person; or of several sets, set after set. seconds: of CPU, for the column TC."""
        count = len(self.people)
        names = [f"{i % count:03d}" + (f"@{i // count}" if i >= count else "") for i in range(len(motions))]
        people = [self.people[i % count] for i in range(len(motions))]
        measured = [_measured(*each) for each in zip(names, people, motions, strict=True)]
        own = RowScores(self.instruments)
        self._add(own, measured, [self.truths[i % count] for i in range(len(motions))])
        values, found = own.results(self.real), dict(own.scalars)
        for name in OWN:
            by_name = {n: self._own(name, p, m) for n, p, m in zip(names, people, motions, strict=True)}
            found[name] = {n: value for n, value in by_name.items() if np.isfinite(value)}
            values[name] = bootstrap(list(found[name].values())) if found[name] else "no wrist moves"
        if seconds is not None:
            values["tc"] = bootstrap(list(seconds))
        side = self._side(measured)
        drawn = {"fgd": drawn_distances(self._real_side, side), "div": self._diversity(measured)}
        return MotionRow(values, found, drawn)

    def _add(self, row: RowScores, measured: Sequence[Measured], truths: Sequence[Measured]) -> None:
        for i, (made, truth) in enumerate(zip(measured, truths, strict=True)):
            row.add(made, self.people[i % len(self.people)].samples, truth=truth)

    def _own(self, name: str, person: RigPerson, motion: PersonMotion) -> float:
        if name == "sync":
            return self.lips.score(signals_of(motion, self.lips.region), person.clip.audio_windows).confidence
        wrists, measure = person.grid.geometry.parts_seen[4:6], getattr(scores, name)
        own, real = (np.asarray(m.parts[:, 4:6][:, wrists], float) for m in (motion, person.motion()))
        return measure(own) / max(measure(real), 1e-6) if wrists.any() else float("nan")

    def _side(self, measured: Sequence[Measured]) -> FrechetSide:
        model = self.instruments.autoencoder
        assert model is not None
        side = FrechetSide(model.config["latent_dim"], replicates=self.instruments.replicates)
        for made in measured:
            side.add(gesture_features(model, made.keypoints), made.clip_id)
        return side

    def _diversity(self, measured: Sequence[Measured], *, replicates: int = 200) -> np.ndarray:
        """(R,) mean L1 distances of pairs of windows, people drawn with weights that are the same in every row."""
        model = self.instruments.autoencoder
        assert model is not None
        features = [gesture_features(model, made.keypoints) for made in measured]
        whose = np.repeat(np.arange(len(features)), [len(each) for each in features])
        weights = np.random.default_rng(0).poisson(1.0, (replicates, len(features))).astype(float)[:, whose]
        distance = pair_distances(np.concatenate(features), norm=1)
        pairs = weights.sum(1) ** 2 - np.square(weights).sum(1)
        return np.einsum("ri,ij,rj->r", weights, distance, weights, optimize=True) / np.maximum(pairs, 1)


def _measured(name: str, person: RigPerson, motion: PersonMotion) -> Measured:
    """What `paha evaluate` keeps of a video, of motion: its keypoints in face heights, its mouth."""
    box, mouth = np.zeros((len(motion), 4), np.float32), np.asarray(motion.mouth_open, np.float64)
    return Measured(name, 1, 1, person.keypoints_of(motion), box, mouth, np.zeros((0, 2, 3)))


def difference(row: MotionRow, base: MotionRow, metric: str) -> Interval | None:
    """row less base, 95 % over people, paired; None where one of them has no such number."""
    a, b = row.values.get(metric), base.values.get(metric)
    if not isinstance(a, Interval) or not isinstance(b, Interval):
        return None
    if metric in row.drawn and metric in base.drawn:
        return _of_replicates(a.mean - b.mean, row.drawn[metric], base.drawn[metric], a.num)
    own, other = row.people.get(metric, {}), base.people.get(metric, {})
    both = [own[name] - other[name] for name in own if name in other]
    return bootstrap(both) if both else None


def _of_replicates(value: float, own: np.ndarray, other: np.ndarray, num: int) -> Interval | None:
    """Quantiles of the replicates' differences about the difference itself, as `frechet_interval` has it."""
    if len(own) != len(other) or not len(own):
        return None
    low, middle, high = np.quantile(own - other, [0.025, 0.5, 0.975])
    return Interval(value, value + low - middle, value + high - middle, num)
