"""An endless, random-access stream of (speech, motion of a person) for training: no pixels, no files.

Clip i is a function of (seed, i) alone, whatever process makes it. A long speech is synthesised, recorded and acted
once, and several windows are cut from it, so that the sound and the motion around a window are true.
Legend: T frames, m audio margin, L layers and D width of the audio feature.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paha.config import AudioConfig
from paha.dataset.synth.natural_speech import NaturalSpeech
from paha.dataset.synth.person_motion import person_motion
from paha.dataset.synth.reference_person import random_hold, random_person, random_state
from paha.dataset.synth.room import record
from paha.dataset.synth.speech import LANGUAGES, Speech, at_speed, random_speech
from paha.errors import PahaError
from paha.motion.person import PersonMotion
from paha.types import FPS, SAMPLE_RATE_HZ

STREAM_VERSION = 1
"""Raised whenever the same seed and index would give another clip."""
SPEECHES, WINDOWS = 8, 8
"""Indices come in blocks of SPEECHES x WINDOWS clips; neighbours in a block are of different speeches."""
BLOCK = SPEECHES * WINDOWS
_SILENT_SHARE = 0.05
_IN_CLIP_SHARE = 0.6


def speech_of(index: int) -> int:
    """The number of the speech that clip `index` of a stream is cut from."""
    block, place = divmod(index, BLOCK)
    return block * SPEECHES + place % SPEECHES


@dataclass(frozen=True)
class MotionStream:
    """Which clips a stream has. num_frames: of a clip. audio_margin: m, true neighbours of the sound on both sides.

    speech: a folder of aligned natural speech (`natural_speech`); natural_share of the speeches then come from it, the
    others from espeak-ng in `languages`. held_out: the test voices instead of the training ones. speed_spread: of the
    logarithm of how fast, and how high, a speech is played.
    """

    seed: int = 0
    num_frames: int = 32
    audio_margin: int = 2
    speech: str | None = None
    natural_share: float = 0.7
    languages: tuple[str, ...] = LANGUAGES
    held_out: bool = False
    speech_seconds: float = 12.0
    speed_spread: float = 0.09

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.audio_margin < 0 or self.speech_seconds * 25 < self.num_frames + 25:
            raise PahaError(
                f"a stream of {self.num_frames} frames with margin {self.audio_margin} needs at least 1, at least 0, "
                f"and speeches (speech_seconds {self.speech_seconds}) that last a second longer than a clip"
            )
        if not 0 <= self.natural_share <= 1:
            raise PahaError(f"natural_share {self.natural_share} is a share: 0 to 1")


@dataclass(frozen=True)
class MotionClip:
    """T frames of speech and motion, and the reference photograph's person.

    audio: (T + 2m, L, D) features, m neighbours on both sides. motion: T frames, absolute: counted from neutral.
    reference: one frame, absolute. points: (133, 2) keypoints in the reference state, face heights about the face's
    middle. scores: (133,), 0 for what the picture does not show.
    """

    audio: Tensor
    motion: PersonMotion
    reference: PersonMotion
    points: np.ndarray
    scores: np.ndarray

    @property
    def audio_windows(self) -> Tensor:
        """(T, 2m + 1, L, D), the window A(f) of every frame."""
        size = len(self.audio) - len(self.motion) + 1
        return self.audio.unfold(0, size, 1).movedim(-1, 1)


@dataclass(frozen=True)
class ActedSpeech:
    """A speech as heard and as acted. audio: (N + 2m, L, D), continued at the ends. motion: N frames from rest."""

    audio: Tensor
    motion: PersonMotion
    speech: Speech
    samples: np.ndarray


class MotionClips:
    """The clips of a stream by index, made on demand; the last speeches are kept."""

    def __init__(self, stream: MotionStream, audio: AudioConfig) -> None:
        """Raises PahaError for a folder of speech that cannot be used."""
        self.stream, self.audio = stream, audio
        self.natural = None if stream.speech is None else NaturalSpeech(Path(stream.speech), held_out=stream.held_out)
        self._acted: OrderedDict[int, ActedSpeech] = OrderedDict()

    def __getstate__(self) -> dict:
        """What another process needs to make the same clips: not what this one has made."""
        kept = {name: value for name, value in self.__dict__.items() if name != "encoder"}
        return kept | {"_acted": OrderedDict()}

    @cached_property
    def encoder(self):
        """The audio encoder of the configuration."""
        from paha.extractors.audio import load_audio_encoder

        return load_audio_encoder(self.audio)

    def __getitem__(self, index: int) -> MotionClip:
        """Clip `index`, from 0."""
        if index < 0:
            raise IndexError(f"clip {index}: a stream begins at 0 and does not end")
        return self._cut(self.acted(speech_of(index)), self._rng(1, index))

    def with_sound(self, index: int) -> tuple[MotionClip, np.ndarray]:
        """Clip `index` and its sound as it is heard, (M,) 16 kHz, from its first frame to its last."""
        clip, acted = self[index], self.acted(speech_of(index))
        start = self._start(acted, self._rng(1, index))
        step = SAMPLE_RATE_HZ // FPS
        return clip, acted.samples[start * step : (start + self.stream.num_frames) * step]

    def acted(self, number: int) -> ActedSpeech:
        """Speech `number` of the stream."""
        if number not in self._acted:
            self._acted[number] = self._act(self._rng(0, number))
            while len(self._acted) > SPEECHES:
                self._acted.popitem(last=False)
        return self._acted[number]

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([STREAM_VERSION, self.stream.seed, int(self.stream.held_out), *key])

    @torch.no_grad()
    def _act(self, rng: np.random.Generator) -> ActedSpeech:
        speech = self._speech(rng)
        motion = person_motion(speech, rng=rng)
        samples = record(speech.samples, rng=rng) if speech.phonemes else _room_tone(len(speech.samples), rng)
        features = self.encoder.encode(samples, len(motion))
        margin = self.stream.audio_margin
        # As at the ends of a recording that a video is made for.
        frames = torch.arange(-margin, len(motion) + margin).clamp(0, len(motion) - 1)
        return ActedSpeech(features[frames], motion, speech, samples)

    def _speech(self, rng: np.random.Generator) -> Speech:
        seconds = self.stream.speech_seconds
        if rng.random() < _SILENT_SHARE:
            return Speech(np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32))
        factor = float(np.exp(rng.normal(0, self.stream.speed_spread)).clip(0.8, 1.25))
        if self.natural is not None and rng.random() < self.stream.natural_share:
            speech = self.natural.random_speech(rng, min_seconds=seconds * factor)
        else:
            language = str(rng.choice(self.stream.languages))
            held_out = self.stream.held_out
            speech = random_speech(rng, language=language, min_seconds=seconds * factor, held_out=held_out)
        return at_speed(speech, factor)

    def _start(self, acted: ActedSpeech, rng: np.random.Generator) -> int:
        """The first frame of a clip, the first that is drawn for it."""
        return int(rng.integers(0, len(acted.motion) - self.stream.num_frames + 1))

    def _cut(self, acted: ActedSpeech, rng: np.random.Generator) -> MotionClip:
        count, margin = self.stream.num_frames, self.stream.audio_margin
        start = self._start(acted, rng)
        person, hold = random_person(rng), random_hold(rng)
        held = acted.motion.after(hold)
        if rng.random() < _IN_CLIP_SHARE:
            moment = int(rng.integers(len(held)))
            reference = held.frames(slice(moment, moment + 1))
        else:
            reference = random_state(rng, hold=hold)
        return MotionClip(
            audio=acted.audio[start : start + count + 2 * margin].clone(),
            motion=held.frames(slice(start, start + count)),
            reference=reference,
            points=person.in_state(reference),
            scores=person.scores,
        )


def _room_tone(count: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) nobody speaks: nothing at all, or noise of any level."""
    if rng.random() < 0.3:
        return np.zeros(count, np.float32)
    level = 10 ** rng.uniform(-4, -1)
    return (level * rng.standard_normal(count)).astype(np.float32)
