"""One row of an evaluation: clips added one by one, metrics with intervals at the end, in memory that does not grow
with their number (but for a few numbers a clip).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from paha.evaluation.metrics.beats import bas
from paha.evaluation.metrics.frechet import FrechetSide, frechet_interval
from paha.evaluation.metrics.gestures import Diversity, gesture_features
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.measure import Measured
from paha.evaluation.metrics.parts import (
    drift,
    hand_confidence,
    hand_motion,
    lip_loudness,
    mouth_in_silence,
    seen_share,
)
from paha.evaluation.metrics.regions import DESCRIPTION_DIM, REGIONS
from paha.evaluation.metrics.sync import sync_score
from paha.extractors.mel import fit_length
from paha.runtime.statistics import Interval, bootstrap, lip_r
from paha.types import FPS, SAMPLE_RATE_HZ, Keypoints

FVD_DIM = 400
Value: TypeAlias = "Interval | str"
"""A number with its interval, or why there is none."""

JITTER = 0.02
"""Of the row `noise`: standard deviation of the keypoints' noise, in heights of the frame."""


class RowScores:
    """The metrics of one set of clips. `add` every clip, then ask for `results` against the real set's row."""

    def __init__(self, instruments: Instruments, *, seed: int = 0) -> None:
        self.instruments = instruments
        model = instruments.autoencoder
        own: dict[str, int] = {"replicates": instruments.replicates, "seed": seed}
        self.gestures = None if model is None else FrechetSide(model.config["latent_dim"], **own)
        self.diversity = Diversity()
        self.fvd = FrechetSide(FVD_DIM, **own) if instruments.i3d else None
        self.regions = {name: FrechetSide(DESCRIPTION_DIM, **own) for name in REGIONS}
        self.scalars: dict[str, dict[str, float]] = {}
        """metric -> clip -> value"""
        self.dropped: dict[str, dict[str, str]] = {}
        """metric -> clip -> reason"""
        self.clips = 0

    def add(self, clip: Measured, mono: np.ndarray, *, truth: Measured | None = None, fvd: str = "plain") -> None:
        """Add a clip with its speech (16 kHz). truth: the real clip of the pair. fvd: which copy's features count."""
        self.clips += 1
        mono = fit_length(mono, len(clip.mouth) * SAMPLE_RATE_HZ // FPS)
        self._add_gestures(clip, mono)
        self._add_lips(clip, mono, truth)
        self._add_parts(clip)
        for name, side in self.regions.items():
            if name in clip.regions:
                side.add(clip.regions[name], clip.clip_id)
        for name, (psnr, ssim) in clip.errors.items():
            self._note(clip, f"psnr_{name}", float(psnr))
            self._note(clip, f"ssim_{name}", float(ssim))
        if self.fvd is not None:
            features = clip.fvd.get(fvd, np.zeros((0, FVD_DIM)))
            self.fvd.add(features, clip.clip_id)
            self._note(clip, "fvd", None if not len(features) else 0.0, "shorter than one window", scalar=False)

    def _add_gestures(self, clip: Measured, mono: np.ndarray) -> None:
        beats = bas(clip.keypoints, mono)
        self._note(clip, "bas", beats.score, "no onset in the speech")
        self._note(clip, "bas_legacy", beats.legacy, "no onset in the speech")
        self._note(clip, "motion_beats", beats.motion_beats * FPS / max(1, len(clip.mouth)))
        if self.gestures is not None and self.instruments.autoencoder is not None:
            features = gesture_features(self.instruments.autoencoder, clip.keypoints)
            self.gestures.add(features, clip.clip_id)
            self.diversity.add(features)
            self._note(clip, "fgd", 0.0 if len(features) else None, "shorter than one window", scalar=False)

    def _add_lips(self, clip: Measured, mono: np.ndarray, truth: Measured | None) -> None:
        r, lag, margin = lip_loudness(clip.mouth, mono)
        self._note(clip, "lip_loudness_r", r)
        self._note(clip, "lip_loudness_margin", margin)
        self._note(clip, "lip_lag", None if lag is None else float(abs(lag)), "a still mouth")
        self._note(clip, "mouth_in_silence", mouth_in_silence(clip.mouth, mono), "no pause in the speech")
        if truth is not None:
            length = min(len(clip.mouth), len(truth.mouth))
            self._note(clip, "lip_r", lip_r(clip.mouth[:length], truth.mouth[:length]) if length > 1 else None, "short")
        if self.instruments.syncnet is None:
            return
        shift = self.instruments.sync_protocol.max_shift
        score = sync_score(clip.lips, clip.sound, max_shift=shift) if len(clip.lips) and len(clip.sound) else None
        reason = clip.no_sync or "too short"
        self._note(clip, "sync_c", None if score is None else score.confidence, reason)
        self._note(clip, "sync_d", None if score is None else score.distance, reason)
        self._note(clip, "sync_offset", None if score is None else float(abs(score.offset)), reason)

    def _add_parts(self, clip: Measured) -> None:
        confidence = hand_confidence(clip.keypoints)
        self._note(clip, "hand_confidence", None if confidence is None else confidence[0], "no hand was seen")
        self._note(clip, "hand_confidence_var", None if confidence is None else confidence[1], "no hand was seen")
        self._note(clip, "hand_motion", hand_motion(clip.keypoints), "no hand was seen")
        self._note(clip, "arms_seen", seen_share(clip.keypoints))
        faces = clip.regions.get("face", np.zeros((0, 1)))
        moved = drift(faces)
        size = float(np.linalg.norm(faces.mean(0))) if len(faces) else 0.0
        self._note(
            clip, "identity_drift", None if moved is None or not size else 100 * moved / size, "no face or short"
        )
        for place, name in enumerate(("face", "background")):
            colours = clip.colours[:, place]
            known = colours[np.isfinite(colours).all(1)]
            self._note(clip, f"colour_drift_{name}", drift(known), "too short or unseen")

    def _note(self, clip: Measured, name: str, value: float | None, reason: str = "", *, scalar: bool = True) -> None:
        if value is None or not np.isfinite(value):
            self.dropped.setdefault(name, {})[clip.clip_id] = reason or "not a number"
        elif scalar:
            self.scalars.setdefault(name, {})[clip.clip_id] = float(value)

    def results(self, real: RowScores) -> dict[str, Value]:
        """Every metric by key: value, interval and number of clips, or the reason why it is absent."""
        absent = self.instruments.absent
        made: dict[str, Value] = {name: bootstrap(list(values.values())) for name, values in self.scalars.items()}
        made |= {name: next(iter(why.values())) for name, why in self.dropped.items() if name not in made}
        for name, side in self.regions.items():
            made[f"frd_{name}"] = frechet_interval(real.regions[name], side, standardise=True) or "never seen"
        if self.gestures is not None and real.gestures is not None:
            made["fgd"] = frechet_interval(real.gestures, self.gestures) or "too few windows"
            made["div"] = self.diversity.interval(1) or "too few windows"
            made["div_l2"] = self.diversity.interval(2) or "too few windows"
        else:
            made |= dict.fromkeys(("fgd", "div", "div_l2"), absent.get("pose_autoencoder", "no pose autoencoder"))
        if self.fvd is not None and real.fvd is not None:
            made["fvd"] = frechet_interval(real.fvd, self.fvd) or "too few windows"
        else:
            made["fvd"] = absent.get("i3d", "no I3D")
        if self.instruments.syncnet is None:
            made |= dict.fromkeys(("sync_c", "sync_d"), absent.get("syncnet", "no SyncNet"))
        return made


Corruption: TypeAlias = Callable[[Measured, np.random.Generator], Measured]


def shuffled(clip: Measured, rng: np.random.Generator) -> Measured:
    """The clip's frames in random order."""
    order = rng.permutation(len(clip.mouth))
    lips = clip.lips[rng.permutation(len(clip.lips))]
    return replace(_frames(clip, order), lips=lips)


def frozen(clip: Measured, rng: np.random.Generator) -> Measured:
    """The clip's first frame, held."""
    still = _frames(clip, np.zeros(len(clip.mouth), int))
    regions: dict[str, np.ndarray] = {}
    for name, found in clip.regions.items():
        first = found[clip.region_at[name] == 0]
        if len(first):
            regions[name] = np.concatenate([first] * max(1, len(clip.colours)))
    lips = np.repeat(clip.lips[:1], len(clip.lips), axis=0)
    return replace(still, regions=regions, colours=np.repeat(clip.colours[:1], len(clip.colours), axis=0), lips=lips)


def noisy(clip: Measured, rng: np.random.Generator) -> Measured:
    """Noise on the picture (regions) and jitter on the keypoints."""
    keypoints = clip.keypoints
    points = keypoints.points + rng.normal(0, JITTER * clip.height, keypoints.points.shape).astype(np.float32)
    mouth = clip.mouth + rng.normal(0, clip.mouth.std() + 1e-6, clip.mouth.shape)
    return replace(clip, keypoints=Keypoints(points, keypoints.scores), mouth=mouth, regions=clip.noisy or clip.regions)


def _frames(clip: Measured, order: np.ndarray) -> Measured:
    keypoints = Keypoints(clip.keypoints.points[order], clip.keypoints.scores[order])
    return replace(clip, keypoints=keypoints, face_box=clip.face_box[order], mouth=clip.mouth[order])
