"""One row of an evaluation: clips added one by one, metrics with intervals at the end, in memory that does not grow
with their number (but for a few numbers a clip).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from paha.evaluation.metrics.accents import accent_alignment
from paha.evaluation.metrics.appearance import FID_DIM, csim
from paha.evaluation.metrics.beats import NO_ARMS, NO_MOTION_BEAT, bas
from paha.evaluation.metrics.frechet import FrechetSide, frechet_interval
from paha.evaluation.metrics.gestures import Diversity, gesture_features
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.keypoints import FORE, MIN_SCORE
from paha.evaluation.metrics.measured import Measured
from paha.evaluation.metrics.parts import (
    drift,
    hand_confidence,
    hand_motion,
    hands_seen,
    hkv,
    jerk,
    lip_loudness,
    mouth_in_silence,
    mouth_seen,
    seen_share,
)
from paha.evaluation.metrics.regions import DESCRIPTION_DIM, MIN_DEVIATION, REGIONS
from paha.evaluation.metrics.sync import sync_score
from paha.extractors.mel import fit_length
from paha.runtime.statistics import Interval, bootstrap, lip_r
from paha.types import FPS, SAMPLE_RATE_HZ, Keypoints

FVD_DIM, EXPRESSION_DIM = 400, 52
NO_FACE = "no face was seen"
NO_HAND = "no hand was seen"
UNSEEN = "never seen"
NOT_ON_COPIES = "not measured on a corrupted copy"
Value: TypeAlias = "Interval | str"
"""A number with its interval, or why there is none."""

JITTER = 0.02
"""Of the row `noise`: standard deviation of the keypoints' noise, in heights of the frame."""


class RowScores:
    """The metrics of one set of clips. `add` every clip, then ask for `results` against the real set's row."""

    def __init__(self, instruments: Instruments, *, seed: int = 0) -> None:
        self.instruments = instruments
        model = instruments.autoencoder
        own: dict[str, Any] = {"replicates": instruments.replicates, "seed": seed}
        self.gestures = None if model is None else FrechetSide(model.config["latent_dim"], **own)
        self.diversity = Diversity()
        biased = instruments.fvd_protocol.covariance == "n"
        self.fvd = FrechetSide(FVD_DIM, biased=biased, **own) if instruments.i3d else None
        self.fid = FrechetSide(FID_DIM, replicates=0, seed=seed) if instruments.inception else None
        self.expression = FrechetSide(EXPRESSION_DIM, **own) if instruments.expression else None
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
        self._add_looks(clip, truth, noise=fvd == "noise")
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
        seconds = max(1, len(clip.mouth)) / FPS
        self._note(clip, "bas", beats.score, beats.absent)
        self._note(clip, "bas_motion", beats.motion, beats.absent or NO_MOTION_BEAT)
        self._note(clip, "bas_legacy", beats.legacy, beats.absent)
        accents = accent_alignment(clip.keypoints, mono)
        self._note(clip, "accent_z", accents.z, accents.absent)
        self._note(clip, "motion_beats", None if beats.motion_beats is None else beats.motion_beats / seconds, NO_ARMS)
        if not (clip.keypoints.scores[:, FORE] >= MIN_SCORE).any():
            self._note(clip, "fgd", None, NO_ARMS, scalar=False)
            return
        if self.gestures is not None and self.instruments.autoencoder is not None:
            features = gesture_features(self.instruments.autoencoder, clip.keypoints)
            self.gestures.add(features, clip.clip_id)
            self.diversity.add(features)
            self._note(clip, "fgd", 0.0 if len(features) else None, "shorter than one window", scalar=False)

    def _add_lips(self, clip: Measured, mono: np.ndarray, truth: Measured | None) -> None:
        if mouth_seen(clip.keypoints):
            r, lag, margin = lip_loudness(clip.mouth, mono)
            self._note(clip, "lip_loudness_r", r)
            self._note(clip, "lip_loudness_margin", margin)
            self._note(clip, "lip_lag", None if lag is None else float(abs(lag)), "a still mouth")
            self._note(clip, "mouth_in_silence", mouth_in_silence(clip.mouth, mono), "no pause in the speech")
        else:
            for name in ("lip_loudness_r", "lip_loudness_margin", "lip_lag", "mouth_in_silence"):
                self._note(clip, name, None, NO_FACE)
        if truth is not None:
            length = min(len(clip.mouth), len(truth.mouth))
            both = mouth_seen(clip.keypoints) and mouth_seen(truth.keypoints) and length > 1
            self._note(clip, "lip_r", lip_r(clip.mouth[:length], truth.mouth[:length]) if both else None, NO_FACE)
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
        self._note(clip, "hand_confidence", None if confidence is None else confidence[0], NO_HAND)
        self._note(clip, "hand_confidence_variance", None if confidence is None else confidence[1], NO_HAND)
        self._note(clip, "hand_motion", hand_motion(clip.keypoints), NO_HAND)
        self._note(clip, "hkv", hkv(clip.keypoints, height=clip.height), NO_HAND)
        self._note(clip, "jerk", jerk(clip.keypoints), NO_ARMS)
        self._note(clip, "hands_seen", hands_seen(clip.keypoints))
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

    def _add_looks(self, clip: Measured, truth: Measured | None, *, noise: bool) -> None:
        self._note(clip, "flicker", clip.flicker, NOT_ON_COPIES)
        if self.fid is not None:
            copy = "inception_noise" if noise and "inception_noise" in clip.looks else "inception"
            self.fid.add(clip.looks.get(copy, np.zeros((0, FID_DIM))), clip.clip_id)
        if self.expression is not None:
            shapes = clip.looks.get("expression", np.zeros((0, EXPRESSION_DIM)))
            shapes = shapes[np.isfinite(shapes).all(1)]
            self.expression.add(shapes, clip.clip_id)
            reason = NO_FACE if "expression" in clip.looks else NOT_ON_COPIES
            self._note(clip, "e_fid", 0.0 if len(shapes) else None, reason, scalar=False)
        if self.instruments.arcface is not None and truth is not None:
            faces = (measured.looks.get("identity", np.zeros((0, 1))) for measured in (clip, truth))
            self._note(clip, "csim", csim(*faces), NO_FACE)

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
        if "psnr_frame" in made:
            made = {f"{kind}_{name}": UNSEEN for kind in ("psnr", "ssim") for name in self.regions} | made
        for name, side in self.regions.items():
            made[f"frd_{name}"] = frechet_interval(real.regions[name], side, floor=MIN_DEVIATION) or UNSEEN
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
        made["fid"] = absent.get("inception", "no Inception network")
        if self.fid is not None and real.fid is not None:
            made["fid"] = frechet_interval(real.fid, self.fid) or "too few frames"
        made["e_fid"] = "blendshapes are read by MediaPipe alone (--pose mediapipe)"
        if self.expression is not None and real.expression is not None:
            why = next(iter(self.dropped.get("e_fid", {}).values()), NO_FACE)
            made["e_fid"] = frechet_interval(real.expression, self.expression) or why
        if self.instruments.arcface is None:
            made["csim"] = absent.get("arcface", "no face network")
        if "pose" in absent:
            unseen = (NO_FACE, NO_HAND, NO_ARMS, UNSEEN, "too short or unseen", "no face or short")
            made |= {name: absent["pose"] for name, value in made.items() if value in unseen}
        return made


Corruption: TypeAlias = Callable[[Measured, np.random.Generator], Measured]


def shuffled(clip: Measured, rng: np.random.Generator) -> Measured:
    """The clip's frames in random order."""
    order = rng.permutation(len(clip.mouth))
    lips = clip.lips[rng.permutation(len(clip.lips))]
    return replace(_frames(clip, order), lips=lips, flicker=None)


def frozen(clip: Measured, rng: np.random.Generator) -> Measured:
    """The clip's first frame, held."""
    still = _frames(clip, np.zeros(len(clip.mouth), int))
    regions: dict[str, np.ndarray] = {}
    for name, found in clip.regions.items():
        first = found[clip.region_at[name] == 0]
        if len(first):
            regions[name] = np.concatenate([first] * max(1, len(clip.colours)))
    lips = np.repeat(clip.lips[:1], len(clip.lips), axis=0)
    looks = {name: np.repeat(found[:1], len(found), axis=0) for name, found in clip.looks.items()}
    colours = np.repeat(clip.colours[:1], len(clip.colours), axis=0)
    return replace(still, regions=regions, colours=colours, lips=lips, looks=looks, flicker=0.0)


def noisy(clip: Measured, rng: np.random.Generator) -> Measured:
    """Noise on the picture (regions) and jitter on the keypoints."""
    keypoints = clip.keypoints
    points = keypoints.points + rng.normal(0, JITTER * clip.height, keypoints.points.shape).astype(np.float32)
    mouth = clip.mouth + rng.normal(0, clip.mouth.std() + 1e-6, clip.mouth.shape)
    looks = {name: found for name, found in clip.looks.items() if name.startswith("inception")}
    regions = clip.noisy or clip.regions
    known = Keypoints(points, keypoints.scores)
    return replace(clip, keypoints=known, mouth=mouth, regions=regions, looks=looks, flicker=None)


def _frames(clip: Measured, order: np.ndarray) -> Measured:
    keypoints = Keypoints(clip.keypoints.points[order], clip.keypoints.scores[order])
    return replace(clip, keypoints=keypoints, face_box=clip.face_box[order], mouth=clip.mouth[order])
