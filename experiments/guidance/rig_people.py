"""People of the rig's motion stream with what they say: what guidance in motion latents is tried on.

Every person says something of their own. Motion is read off latents, the true one's too, so that nothing is seen in one
that the grid cannot hold in the other. Letters: B people, T frames, S signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paha.config import PahaConfig
from paha.dataset.synth.motion_clips import BLOCK, SPEECHES, MotionClip, MotionClips, MotionStream, speech_of
from paha.dataset.synth.motion_dataset import motion_tensors
from paha.motion.geometry import Geometry
from paha.motion.motion_codec import PersonGrid
from paha.motion.person import PersonMotion, move_points
from paha.pce.regions import Region
from paha.pipeline.pipeline import PahaPipeline
from paha.sampling.long_video import Segment
from paha.types import Keypoints
from paha.univdm.conditioning import Conditioning

SIGNALS: dict[Region, tuple[str, ...]] = {
    "face": ("mouth_open", "mouth_wide", "lip_press"),
    "non_face": ("parts", "hand_rotation"),
}
SPEAKS = 0.005
"""Face heights of deviation below which a mouth does not speak."""
HAND_MOVES = 0.02


@dataclass(frozen=True)
class RigPerson:
    """One clip. samples: (M,) 16 kHz, from its first frame on."""

    clip: MotionClip
    samples: np.ndarray

    @cached_property
    def grid(self) -> PersonGrid:
        """Where the person is."""
        return PersonGrid(Geometry.of(self.clip.points, self.clip.scores))

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """latents (T, C, G, G), ref_channels, face_box ... of the true motion."""
        return motion_tensors(self.grid, self.clip)

    def motion(self, latents: Tensor | None = None) -> PersonMotion:
        """Motion since the reference of latents (T, C, G, G), by default of the true ones."""
        return self.grid.read(self.tensors["latents"] if latents is None else latents)

    def keypoints(self, latents: Tensor | None = None) -> Keypoints:
        """(T, 133) in face heights; what the photograph does not show has score 0."""
        return self.keypoints_of(self.motion(latents))

    def keypoints_of(self, motion: PersonMotion) -> Keypoints:
        """The same of motion since the reference."""
        points = move_points(self.clip.points, motion).astype(np.float32)
        return Keypoints(points, np.repeat(self.clip.scores[None].astype(np.float32), len(motion), 0))

    @property
    def shows_hands(self) -> bool:
        """Whether a wrist is in the picture and moves."""
        wrists = self.motion().parts[:, 4:6][:, self.grid.geometry.parts_seen[4:6]]
        return bool(wrists.size) and float(wrists.std(0).max()) > HAND_MOVES


def signals_of(motion: PersonMotion, region: Region) -> np.ndarray:
    """(T, S) float32 of the region, each less its mean over the clip."""
    parts = [np.asarray(getattr(motion, name), np.float32).reshape(len(motion), -1) for name in SIGNALS[region]]
    together = np.concatenate(parts, 1)
    return together - together.mean(0)


def draw_people(
    config: PahaConfig,
    count: int,
    *,
    seed: int,
    num_frames: int,
    held_out: bool,
    speech: Path | None = None,
    hands: bool = False,
) -> list[RigPerson]:
    """The first `count` people of a stream who speak, and of whom moving hands are seen where `hands` asks for it.

    One clip of each speech, so that no two share sound or motion. speech: aligned natural speech; espeak-ng without.
    """
    stream = MotionStream(
        seed=seed,
        num_frames=num_frames,
        audio_margin=config.model.audio_margin,
        speech=None if speech is None else str(speech),
        natural_share=1.0,
        held_out=held_out,
        speech_seconds=num_frames / 25 + 2.0,
    )
    clips, people, number = MotionClips(stream, config.audio), list[RigPerson](), 0
    while len(people) < count:
        block, place = divmod(number, SPEECHES)
        number += 1
        # A clip shows the hands or not by chance: the first of the speech's clips that does.
        for index in range(block * BLOCK + place, (block + 1) * BLOCK, SPEECHES):
            assert speech_of(index) == number - 1
            clip, samples = clips.with_sound(index)
            person = RigPerson(clip, samples)
            if clip.motion.mouth_open.std() > SPEAKS and (not hands or person.shows_hands):
                people.append(person)
                break
    return people


def conditioning_of(pipeline: PahaPipeline, people: Sequence[RigPerson], segment: Segment) -> Conditioning:
    """What UniVDM is told of all people in a segment."""
    channels = torch.stack([person.tensors["ref_channels"] for person in people])
    audio = torch.stack([person.clip.audio_windows[segment.frames] for person in people])
    encoder: Any = pipeline.image_encoder
    return Conditioning.build(torch.zeros_like(channels), encoder.encode(channels), audio, ref_channels=channels)
