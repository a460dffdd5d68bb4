"""Pairs for the PCE classifiers: a real window and its negative, generated or (hard negatives) out of step with it.

Letters: P pairs, T frames, C channels, H W latent size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from paha.config import PahaConfig, Section
from paha.data.dataset import Clip, FeatureDataset
from paha.diffusion.target import to_target
from paha.errors import PahaError
from paha.masks import grow_box
from paha.training.negatives import Pair, load_negatives

Split: TypeAlias = Literal["train", "held_out"]
Kind: TypeAlias = Literal["generated", "shifted", "swapped"]
KINDS: tuple[Kind, ...] = ("generated", "shifted", "swapped")


class PairConfig(Section):
    """What the pairs are made of.

    lengths: frames of a batch, drawn uniformly. random_reference: a reference frame anywhere in the clip, else the
    window's first. hard_prob: share of hard negatives, real video with audio out of step; 0 is the paper. swap_prob:
    share of those that hear another clip, the others their own clip min_shift to max_shift frames away. held_out: share
    of the identities that are never trained on.
    """

    lengths: tuple[int, ...]
    random_reference: bool = True
    hard_prob: float = 0.0
    swap_prob: float = 0.3
    min_shift: int = 3
    max_shift: int = 25
    held_out: float = 0.1


@dataclass(frozen=True)
class PairBatch:
    """P pairs. real, fake: (P, T, C, H, W) clean latents z_0 in the space that is diffused. audio, fake_audio:
    (P, T, 2m+1, L, D). box: (P, 4), the reference frame's face box, grown, for both. kinds: of the negatives."""

    real: Tensor
    fake: Tensor
    audio: Tensor
    fake_audio: Tensor
    box: Tensor
    kinds: tuple[Kind, ...]

    def to(self, device: torch.device | str) -> PairBatch:
        """The same on another device."""
        tensors = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "kinds"}
        return replace(self, **tensors)


@dataclass(frozen=True)
class Window:
    """Where a member comes from: frames of a clip, its reference frame, and the audio it is heard with."""

    clip: Clip
    start: int
    ref_frame: int
    audio_clip: Clip
    audio_start: int


class PairDataset:
    """Draws pairs of one split of the identities.

    negatives: folder of `paha negatives`, None where all negatives are hard. Raises PahaError where a split is empty or
    the negatives are of other features.
    """

    def __init__(
        self,
        dataset: FeatureDataset,
        negatives: Path | None,
        *,
        config: PahaConfig,
        pairs: PairConfig,
        split: Split = "train",
    ) -> None:
        self.config, self.options = config, pairs
        self.clips = [clip for clip in dataset.clips if split_of(clip.identity, pairs.held_out) == split]
        self._by_id = {clip.clip_id: clip for clip in self.clips}
        self.generated: list[Pair] = []
        self._latents: dict[int, Tensor] = {}
        if negatives is not None:
            found, latents = load_negatives(negatives)
            known = {clip.clip_id: clip for clip in dataset.clips}
            _check_known(found, known, negatives)
            self.generated = [pair for pair in found if pair.clip_id in self._by_id]
            self._latents = {pair.number: latents[pair.number] for pair in self.generated}
            self._by_id |= {pair.audio_clip_id: known[pair.audio_clip_id] for pair in self.generated}
        if not self.clips:
            raise PahaError(
                f"no identity of the data falls into the {split} part; give more, or another held_out share"
            )

    def batch(
        self, generator: torch.Generator, num_pairs: int, *, kind: Kind | None = None, length: int | None = None
    ) -> PairBatch:
        """num_pairs pairs of one length. kind: of all negatives, else drawn by hard_prob and swap_prob."""
        lengths = [n for n in self.options.lengths if any(clip.num_frames >= n for clip in self.clips)]
        if not lengths:
            raise PahaError(f"no clip is as long as {min(self.options.lengths)} frames")
        length = lengths[_draw(len(lengths), generator)] if length is None else length
        members = [self._member(kind or self._draw_kind(generator), length, generator) for _ in range(num_pairs)]
        real, fake, audio, fake_audio, boxes, kinds = zip(*members, strict=True)
        stacked = [torch.stack(values).float() for values in (real, fake, audio, fake_audio, boxes)]
        return PairBatch(*stacked, kinds=kinds)

    def windows(self, generator: torch.Generator, count: int, length: int, *, margin: int = 0) -> list[Window]:
        """Real windows of the split with `margin` further frames of the clip on both sides."""
        usable = [clip for clip in self.clips if clip.num_frames >= length + 2 * margin]
        if not usable:
            raise PahaError(f"no clip of the held-out identities has {length + 2 * margin} frames; make longer ones")
        windows = []
        for number in range(count):
            clip = usable[number % len(usable)]
            start = margin + _draw(clip.num_frames - length - 2 * margin + 1, generator)
            windows.append(Window(clip, start, self._reference(clip, start, generator), clip, start))
        return windows

    def real(self, window: Window, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """z_0 (T, C, H, W), audio windows (T, 2m+1, L, D) and grown face box (4,) of a real window."""
        ref = window.clip.tensors["latents"][window.ref_frame].float()
        latents = window.clip.tensors["latents"][window.start : window.start + length].float()
        box = grow_box(window.clip.tensors["face_box"][window.ref_frame])
        return self._z_0(latents, ref), self.audio(window.audio_clip, window.audio_start, length), box

    def audio(self, clip: Clip, start: int, length: int) -> Tensor:
        """A(f) of frames start .. start + length - 1 of a clip, clamped at its ends."""
        margin, features = self.config.model.audio_margin, clip.tensors["audio"]
        frames = start + torch.arange(length)[:, None] + torch.arange(-margin, margin + 1)
        return features[frames.clamp(0, len(features) - 1)].float()

    def _member(self, kind: Kind, length: int, generator: torch.Generator) -> tuple[Any, ...]:
        """(real z_0, fake z_0, audio, fake audio, grown box, kind) of one pair."""
        if kind == "generated":
            return (*self._generated(length, generator), kind)
        (window,) = self._shuffled(generator, length)
        z_0, audio, box = self.real(window, length)
        shift = self._draw_shift(window, length, generator) if kind == "shifted" else None
        if shift is not None:
            return z_0, z_0, audio, self.audio(window.clip, window.start + shift, length), box, "shifted"
        other = self._other(window.clip, length, generator)
        start = _draw(max(1, other.num_frames - length + 1), generator)
        return z_0, z_0, audio, self.audio(other, start, length), box, "swapped"

    def _generated(self, length: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        fitting = [pair for pair in self.generated if pair.num_frames >= length]
        if not fitting:
            raise PahaError(
                f"no negative of this part of the identities has {length} frames; make some, or shorter lengths"
            )
        pair = fitting[_draw(len(fitting), generator)]
        offset = _draw(pair.num_frames - length + 1, generator)
        clip, voice = self._by_id[pair.clip_id], self._by_id[pair.audio_clip_id]
        window = Window(clip, pair.start + offset, pair.ref_frame, voice, pair.audio_start + offset)
        ref = clip.tensors["latents"][pair.ref_frame].float()
        fake = self._z_0(self._latents[pair.number][offset : offset + length].float(), ref)
        box = grow_box(torch.tensor(pair.face_box))
        z_0, fake_audio, _ = self.real(window, length)
        return z_0, fake, self.audio(clip, window.start, length), fake_audio, box

    def _shuffled(self, generator: torch.Generator, length: int) -> list[Window]:
        usable = [clip for clip in self.clips if clip.num_frames >= length]
        clip = usable[_draw(len(usable), generator)]
        start = _draw(clip.num_frames - length + 1, generator)
        return [Window(clip, start, self._reference(clip, start, generator), clip, start)]

    def _reference(self, clip: Clip, start: int, generator: torch.Generator) -> int:
        drawn = _draw(clip.num_frames, generator)
        return drawn if self.options.random_reference else start

    def _draw_kind(self, generator: torch.Generator) -> Kind:
        hard, swap = torch.rand(2, generator=generator).tolist()
        if self.generated and hard >= self.options.hard_prob:
            return "generated"
        return "swapped" if swap < self.options.swap_prob else "shifted"

    def _draw_shift(self, window: Window, length: int, generator: torch.Generator) -> int | None:
        """A shift in frames that keeps the audio inside the clip; None where the clip is too short for any."""
        last = window.clip.num_frames - length
        sizes = range(self.options.min_shift, self.options.max_shift + 1)
        shifts = [s for size in sizes for s in (-size, size) if 0 <= window.start + s <= last]
        return shifts[_draw(len(shifts), generator)] if shifts else None

    def _other(self, clip: Clip, length: int, generator: torch.Generator) -> Clip:
        others = [c for c in self.clips if c.clip_id != clip.clip_id and c.num_frames >= length]
        if not others:
            raise PahaError("hard negatives need a second clip to take the audio from; make more clips")
        return others[_draw(len(others), generator)]

    def _z_0(self, latents: Tensor, ref: Tensor) -> Tensor:
        return to_target(latents[None], ref[None], self.config.diffusion)[0]


def split_of(identity: str, held_out: float) -> Split:
    """Which part an identity belongs to, by its name alone."""
    digest = hashlib.blake2b(identity.encode(), digest_size=4).digest()
    return "held_out" if int.from_bytes(digest, "little") / 2**32 < held_out else "train"


def _check_known(pairs: Sequence[Pair], known: dict[str, Clip], negatives: Path) -> None:
    for pair in pairs:
        for name in (pair.clip_id, pair.audio_clip_id):
            if name not in known:
                raise PahaError(
                    f"{negatives} speaks of clip {name}, which the data has not; give the data it was made of"
                )


def _draw(stop: int, generator: torch.Generator) -> int:
    return int(torch.randint(stop, (), generator=generator))
