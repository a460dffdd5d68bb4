"""Pairs for the PCE classifiers: a real window and its negative, generated or (hard negatives) out of step with it.

Letters: P pairs, T frames, C channels, H W latent size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from paha.config import PahaConfig, Section
from paha.dataset.dataset import ClipFeatures, FeatureDataset
from paha.errors import PahaError
from paha.training.pce.hold_out import Split, held_out_ids
from paha.training.pce.negatives import Pair, load_negatives
from paha.training.pce.pair_store import (
    ClipStore,
    ClipWindow,
    DeviceStore,
    FrameStore,
    Kind,
    Member,
    PairBatch,
    fits_on_device,
    gather,
)

KINDS: tuple[Kind, ...] = ("generated", "shifted", "swapped")


class PairConfig(Section):
    """What the pairs are made of.

    lengths: frames of a batch, drawn uniformly. random_reference: a reference frame anywhere in the clip, else the
    window's first. hard_prob: share of hard negatives, real video with audio out of step; 0 is the paper. swap_prob:
    share of those with another clip's audio; the others have their own, min_shift to max_shift frames away. held_out:
    share of the identities, or of each one's clips where they are few, that is never trained on (`held_out_ids`).
    """

    lengths: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    random_reference: bool = True
    hard_prob: float = Field(default=0.0, ge=0, le=1)
    swap_prob: float = Field(default=0.3, ge=0, le=1)
    min_shift: int = Field(default=3, ge=1)
    max_shift: int = Field(default=25, ge=1)
    held_out: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _shifts_have_a_range(self) -> Self:
        if self.min_shift > self.max_shift:
            raise ValueError(f"min_shift is {self.min_shift}; give at most max_shift, {self.max_shift}")
        return self


class PairDataset:
    """Draws pairs of one of the two parts that `held_out_ids` makes of the clips.

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
        held_out = held_out_ids(dataset.clips, pairs.held_out)
        self.clips = [clip for clip in dataset.clips if (clip.clip_id in held_out) == (split == "held_out")]
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
        self._usable_clips: dict[int, list[ClipFeatures]] = {}
        self._places: dict[int, dict[str, int]] = {}
        self._fitting_pairs: dict[int, list[Pair]] = {}
        self._store = ClipStore(self._latents)
        self._device_stores: dict[torch.device, FrameStore] = {}
        if not self.clips:
            raise PahaError(f"no clip of the data falls into the {split} part; give two or more, and a held_out share")

    def batch(
        self,
        generator: torch.Generator,
        num_pairs: int,
        *,
        kind: Kind | None = None,
        length: int | None = None,
        device: torch.device | str = "cpu",
    ) -> PairBatch:
        """num_pairs pairs of one length. kind: of all negatives, else drawn by hard_prob and swap_prob. device: where
        the batch is wanted; on a GPU the whole set is kept there, if it is not too large."""
        lengths = [n for n in self.options.lengths if self._usable(n)]
        if not lengths:
            raise PahaError(f"no clip is as long as {min(self.options.lengths)} frames")
        length = lengths[_draw(len(lengths), generator)] if length is None else length
        members = [self._member(kind or self._draw_kind(generator), length, generator) for _ in range(num_pairs)]
        return gather(self._store_on(torch.device(device)), members, length, self.config).to(device)

    def windows(self, generator: torch.Generator, count: int, length: int, *, margin: int = 0) -> list[ClipWindow]:
        """Real windows of the split with `margin` further frames of the clip on both sides."""
        usable = [clip for clip in self.clips if clip.num_frames >= length + 2 * margin]
        if not usable:
            raise PahaError(f"no held-out clip has {length + 2 * margin} frames; make longer ones")
        windows = []
        for number in range(count):
            clip = usable[number % len(usable)]
            start = margin + _draw(clip.num_frames - length - 2 * margin + 1, generator)
            windows.append(ClipWindow(clip, start, self._reference(clip, start, generator), clip, start))
        return windows

    def real(self, window: ClipWindow, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """z_0 (T, C, H, W), audio windows (T, 2m+1, L, D) and grown face box (4,) of a real window."""
        place = (window.audio_clip, window.audio_start)
        batch = gather(self._store, [Member(window, place, None, _box(window), "shifted")], length, self.config)
        return batch.real[0], batch.fake_audio[0], batch.box[0]

    def audio(self, clip: ClipFeatures, starts: Sequence[int], length: int) -> Tensor:
        """A(f) (S, T, 2m+1, L, D) of `length` frames of a clip from each start, clamped at its ends."""
        return self._store.audio([(clip, start) for start in starts], length, self.config.model.audio_margin)

    def _store_on(self, device: torch.device) -> FrameStore:
        if device.type == "cpu":
            return self._store
        if device not in self._device_stores:
            clips = list(self._by_id.values())
            small = fits_on_device(clips, self._latents)
            self._device_stores[device] = DeviceStore(clips, self._latents, device) if small else self._store
        return self._device_stores[device]

    def _member(self, kind: Kind, length: int, generator: torch.Generator) -> Member:
        if kind == "generated":
            return self._generated(length, generator)
        window = self._window(generator, length)
        shift = self._draw_shift(window, length, generator) if kind == "shifted" else None
        if shift is not None:
            return Member(window, (window.clip, window.start + shift), None, _box(window), "shifted")
        other = self._other(window.clip, length, generator)
        start = _draw(max(1, other.num_frames - length + 1), generator)
        return Member(window, (other, start), None, _box(window), "swapped")

    def _generated(self, length: int, generator: torch.Generator) -> Member:
        fitting = self._fitting(length)
        if not fitting:
            raise PahaError(f"no negative of this part of the clips has {length} frames; make some, or shorter lengths")
        pair = fitting[_draw(len(fitting), generator)]
        offset = _draw(pair.num_frames - length + 1, generator)
        clip, voice = self._by_id[pair.clip_id], self._by_id[pair.audio_clip_id]
        window = ClipWindow(clip, pair.start + offset, pair.ref_frame, clip, pair.start + offset)
        heard = (voice, pair.audio_start + offset)
        return Member(window, heard, (pair.number, offset), pair.face_box, "generated")

    def _window(self, generator: torch.Generator, length: int) -> ClipWindow:
        usable = self._usable(length)
        clip = usable[_draw(len(usable), generator)]
        start = _draw(clip.num_frames - length + 1, generator)
        return ClipWindow(clip, start, self._reference(clip, start, generator), clip, start)

    def _reference(self, clip: ClipFeatures, start: int, generator: torch.Generator) -> int:
        drawn = _draw(clip.num_frames, generator)
        return drawn if self.options.random_reference else start

    def _draw_kind(self, generator: torch.Generator) -> Kind:
        hard, swap = torch.rand(2, generator=generator).tolist()
        if self.generated and hard >= self.options.hard_prob:
            return "generated"
        return "swapped" if swap < self.options.swap_prob else "shifted"

    def _draw_shift(self, window: ClipWindow, length: int, generator: torch.Generator) -> int | None:
        """A shift in frames that keeps the audio inside the clip; None where the clip is too short for any."""
        last = window.clip.num_frames - length
        sizes = range(self.options.min_shift, self.options.max_shift + 1)
        shifts = [s for size in sizes for s in (-size, size) if 0 <= window.start + s <= last]
        return shifts[_draw(len(shifts), generator)] if shifts else None

    def _other(self, clip: ClipFeatures, length: int, generator: torch.Generator) -> ClipFeatures:
        usable = self._usable(length)
        if len(usable) < 2:
            raise PahaError("hard negatives need a second clip to take the audio from; make more clips")
        # One of the others, in their order, without a list of them for every pair.
        place, drawn = self._places[length][clip.clip_id], _draw(len(usable) - 1, generator)
        return usable[drawn if drawn < place else drawn + 1]

    def _usable(self, length: int) -> list[ClipFeatures]:
        """The clips of `length` frames or more."""
        if length not in self._usable_clips:
            self._usable_clips[length] = [clip for clip in self.clips if clip.num_frames >= length]
            self._places[length] = {clip.clip_id: i for i, clip in enumerate(self._usable_clips[length])}
        return self._usable_clips[length]

    def _fitting(self, length: int) -> list[Pair]:
        """The generated pairs of `length` frames or more."""
        if length not in self._fitting_pairs:
            self._fitting_pairs[length] = [pair for pair in self.generated if pair.num_frames >= length]
        return self._fitting_pairs[length]


def _check_known(pairs: Sequence[Pair], known: dict[str, ClipFeatures], negatives: Path) -> None:
    for pair in pairs:
        for name in (pair.clip_id, pair.audio_clip_id):
            if name not in known:
                raise PahaError(
                    f"{negatives} speaks of clip {name}, which the data has not; give the data it was made of"
                )


def _box(window: ClipWindow) -> tuple[float, ...]:
    return tuple(window.clip.tensors["face_box"][window.ref_frame].tolist())


def _draw(stop: int, generator: torch.Generator) -> int:
    return int(torch.randint(stop, (), generator=generator))
