"""Where the frames of classifier pairs lie: in their clips, in memory or mapped, or all on a GPU.

Both stores give the same batch for the same members. Letters: P pairs, T frames, C channels, H W latent size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from paha.config import PahaConfig
from paha.dataset.dataset import OWN_REFERENCE, ClipFeatures
from paha.pce.regions import grow_box
from paha.sampling.target import to_target
from paha.univdm.audio_window import window_frames

Kind: TypeAlias = Literal["generated", "shifted", "swapped"]
ON_DEVICE_LIMIT_BYTES = 8 * 2**30
"""Larger sets stay in main memory."""


@dataclass(frozen=True)
class ClipWindow:
    """Where a member comes from: frames of a clip, its reference frame, and its audio."""

    clip: ClipFeatures
    start: int
    ref_frame: int
    audio_clip: ClipFeatures
    audio_start: int


@dataclass(frozen=True)
class Member:
    """One pair by its places. real: the real window, with its own audio. fake_audio: clip and first frame of the
    negative's audio. generated: number of the generated video and first frame in it; None where the negative is
    the real video. box: the reference frame's face box, not grown."""

    real: ClipWindow
    fake_audio: tuple[ClipFeatures, int]
    generated: tuple[int, int] | None
    box: tuple[float, ...]
    kind: Kind


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


class FrameStore(Protocol):
    """Frames by their places. All float32."""

    def latents(self, places: Sequence[tuple[ClipFeatures | int, int]], length: int) -> Tensor:
        """(P, T, C, H, W): `length` frames of a clip, or of the generated video of that number, from each start."""
        ...

    def audio(self, places: Sequence[tuple[ClipFeatures, int]], length: int, margin: int) -> Tensor:
        """A(f) (P, T, 2m+1, L, D) of `length` frames from each start, clamped at the clip's ends."""
        ...


class ClipStore:
    """Frames as the clips and the generated videos hold them."""

    def __init__(self, generated: Mapping[int, Tensor]) -> None:
        self.generated = generated

    def latents(self, places: Sequence[tuple[ClipFeatures | int, int]], length: int) -> Tensor:
        """As `FrameStore`."""
        videos = [self.generated[v] if isinstance(v, int) else v.tensors["latents"] for v, _ in places]
        cut = [video[start : start + length] for video, (_, start) in zip(videos, places, strict=True)]
        return torch.stack(cut).float()

    def audio(self, places: Sequence[tuple[ClipFeatures, int]], length: int, margin: int) -> Tensor:
        """As `FrameStore`."""
        windows = []
        for features, start in ((clip.tensors["audio"], start) for clip, start in places):
            frames = start + torch.arange(length)
            windows.append(features[window_frames(frames, margin, last=len(features) - 1)])
        return torch.stack(windows).float()


class DeviceStore:
    """All frames one after the other in a few tensors on a device, so that a batch is a few gathers."""

    def __init__(
        self, clips: Sequence[ClipFeatures], generated: Mapping[int, Tensor], device: torch.device | str
    ) -> None:
        videos = {clip.clip_id: clip.tensors["latents"] for clip in clips} | dict(generated)
        self.device = torch.device(device)
        self._latents, self._at = _joined(videos, self.device)
        self._audio, self._audio_at = _joined({clip.clip_id: clip.tensors["audio"] for clip in clips}, self.device)

    def latents(self, places: Sequence[tuple[ClipFeatures | int, int]], length: int) -> Tensor:
        """As `FrameStore`."""
        names = [video if isinstance(video, int) else video.clip_id for video, _ in places]
        first = [self._at[name] + start for name, (_, start) in zip(names, places, strict=True)]
        frames = torch.tensor(first)[:, None] + torch.arange(length)
        return self._latents[frames.to(self.device)].float()

    def audio(self, places: Sequence[tuple[ClipFeatures, int]], length: int, margin: int) -> Tensor:
        """As `FrameStore`."""
        starts, lasts = torch.tensor([(start, len(c.tensors["audio"]) - 1) for c, start in places]).unbind(1)
        inside = window_frames(starts[:, None] + torch.arange(length), margin, last=lasts[:, None, None])
        frames = torch.tensor([self._audio_at[c.clip_id] for c, _ in places])[:, None, None] + inside
        return self._audio[frames.to(self.device)].float()


def gather(store: FrameStore, members: Sequence[Member], length: int, config: PahaConfig) -> PairBatch:
    """The members' tensors, `length` frames each. Both videos of a pair are held against one reference latent."""
    margin = config.model.audio_margin
    real = store.latents([(m.real.clip, m.real.start) for m in members], length)
    ref = store.latents([(m.real.clip, m.real.ref_frame) for m in members], 1)[:, 0]
    if OWN_REFERENCE in members[0].real.clip.tensors:
        ref = torch.zeros_like(ref)
    z_0 = to_target(real, ref, config.diffusion)
    fake = z_0
    if any(m.generated for m in members):
        places = [m.generated or (m.real.clip, m.real.start) for m in members]
        fake = to_target(store.latents(places, length), ref, config.diffusion)
    audio = store.audio([(m.real.clip, m.real.start) for m in members], length, margin)
    fake_audio = store.audio([m.fake_audio for m in members], length, margin)
    box = grow_box(torch.tensor([m.box for m in members])).to(z_0.device)
    return PairBatch(z_0, fake, audio, fake_audio, box, tuple(m.kind for m in members))


def fits_on_device(clips: Sequence[ClipFeatures], generated: Mapping[int, Tensor]) -> bool:
    """Whether `DeviceStore` may hold these clips and videos."""
    tensors = [clip.tensors[name] for clip in clips for name in ("latents", "audio")] + list(generated.values())
    return sum(t.numel() * t.element_size() for t in tensors) <= ON_DEVICE_LIMIT_BYTES


def _joined(videos: Mapping[str, Tensor] | Mapping[str | int, Tensor], device: torch.device) -> tuple[Tensor, dict]:
    """All frames (F, ...) on the device, and where each video starts."""
    starts, total = {}, 0
    for name, frames in videos.items():
        starts[name] = total
        total += len(frames)
    return torch.cat(list(videos.values())).to(device), starts
