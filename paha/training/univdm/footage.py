"""Filmed people as training data of motion latents: `paha prepare`'s keypoints to motion, beside the endless stream.

Letters: T frames, m audio margin, L layers and D width of the audio feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from paha.config import PahaConfig, TrainConfig
from paha.dataset.dataset import FIXED_SEED
from paha.dataset.features import source_hash
from paha.dataset.joint import joined
from paha.dataset.manifest import load_annotations
from paha.dataset.prepare.smoothing import smooth_keypoints
from paha.dataset.splits import SplitName, read_splits, split_records, splits_digest
from paha.dataset.synth.motion_clips import MotionClip
from paha.dataset.synth.motion_dataset import MotionDataset, clip_tensors
from paha.dataset.training_data import TrainedOn
from paha.errors import PahaError
from paha.extractors.audio import AudioEncoder, load_audio_encoder
from paha.media.audio_io import read_audio, to_mono_16k
from paha.motion.geometry import SEEN, Geometry
from paha.motion.motion_codec import PersonGrid
from paha.motion.person import measure
from paha.runtime.statistics import lip_r, loudness_lips
from paha.training.univdm.motion_probe import HeldOut
from paha.types import FACE, BatchContext, ClipBatch, ClipRecord, Keypoints

if TYPE_CHECKING:
    from paha.extractors.image import ImageEncoder

FOOTAGE_TRAIN: dict[str, Any] = {
    "learning_rate": 5e-4,
    "steps": 300,
    "warmup_steps": 20,
    "ema_decay": 0.98,
    "checkpoint_every": 100,
    "sample_every": 100,
}
"""What fine-tuning on footage changes in the preset's training."""
BODY_SMOOTHING, FACE_SMOOTHING = 0.3, 0.1
"""Weights of the temporal fit of keypoints (Appendix C), against a detector's jitter; lips are too fast for more."""
MIN_FACE_SHARE = 0.9
"""Of a clip's frames that must show a face: heads and lips are measured off its points."""

IN_STEP = 0.25
"""Of `FootageDataset.lips_r`: speaking mouths have more (GRID's films 0.36 to 0.51)."""
_LAGS = range(-5, 6)


@dataclass(frozen=True)
class FilmedClip:
    """A prepared clip in memory. keypoints: smoothed, gaps filled. audio: (T, L, D) features of its frames. loudness:
    (T,)."""

    record: ClipRecord
    keypoints: Keypoints
    audio: Tensor
    source: str
    loudness: np.ndarray

    @property
    def lips_r(self) -> list[float]:
        """Correlation of the mouth's opening with the sound's loudness, at lags of -5 to 5 frames."""
        mouth = measure(self.keypoints.points).mouth_open
        return [lip_r(mouth, self.loudness, lag=lag) for lag in _LAGS]

    def window(self, start: int, count: int, reference: int, *, margin: int) -> MotionClip:
        """Frames start .. start + count - 1, counted from the person in frame `reference`."""
        points, scores = self.keypoints.points, self.keypoints.scores
        geometry = Geometry.of(points[reference], scores[reference])
        frames = torch.arange(start - margin, start + count + margin).clamp(0, len(self.audio) - 1)
        return MotionClip(
            audio=self.audio[frames],
            motion=measure(points[start : start + count], reference=points[reference]),
            reference=geometry.state,
            points=points[reference],
            scores=scores[reference],
        )


def filled(keypoints: Keypoints) -> Keypoints:
    """Keypoints (T, 133) whose unseen points are drawn linearly in time between seen ones, and then fitted smoothly.

    What is never seen stays where the detector put it, with its score.
    """
    points, scores = np.array(keypoints.points, np.float32), np.array(keypoints.scores, np.float32)
    at = np.arange(len(points))
    for k in np.flatnonzero((scores >= SEEN).any(0)):
        seen = np.flatnonzero(scores[:, k] >= SEEN)
        for axis in range(2):
            points[:, k, axis] = np.interp(at, seen, points[seen, k, axis])
        scores[:, k] = np.interp(at, seen, scores[seen, k])
    body, face = (smooth_keypoints(Keypoints(points, scores), w).points for w in (BODY_SMOOTHING, FACE_SMOOTHING))
    body[:, FACE] = face[:, FACE]
    return Keypoints(body, scores)


class FootageDataset:
    """Random windows of prepared clips as `ClipBatch` of motion latents, each with a random reference frame.

    skipped: clip -> why it is left out. Raises PahaError where no clip can be used or a file cannot be read.
    """

    channel_scale = 1.0

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        config: PahaConfig,
        split: SplitName = "train",
        image_encoder: ImageEncoder | None = None,
    ) -> None:
        from paha.extractors.image import load_image_encoder

        self.config, self.split, self.folders = config, split, list(folders)
        self.num_frames, self.margin = config.num_frames, config.model.audio_margin
        self.image_encoder = image_encoder or load_image_encoder(config.image)
        self.skipped: dict[str, str] = {}
        encoder = load_audio_encoder(config.audio)
        found = [self._load(folder, record, encoder) for folder in folders for record in split_records(folder, split)]
        self.clips = [clip for clip in found if clip is not None]
        if not self.clips:
            why = next(iter(self.skipped.values()), "the datasets are empty")
            raise PahaError(f"no clip of {', '.join(map(str, folders))} can be trained on: {why}")

    def _load(self, folder: Path, record: ClipRecord, encoder: AudioEncoder) -> FilmedClip | None:
        keypoints = load_annotations(folder / record.annotations).keypoints
        if len(keypoints.points) < self.num_frames:
            self.skipped[record.clip_id] = f"it is shorter than {self.num_frames} frames"
            return None
        if (keypoints.scores[:, FACE] >= SEEN).all(1).mean() < MIN_FACE_SHARE:
            self.skipped[record.clip_id] = f"its face is seen in less than {MIN_FACE_SHARE:.0%} of the frames"
            return None
        mono = to_mono_16k(*read_audio(folder / record.audio))
        with torch.no_grad():
            audio = encoder.encode(mono, len(keypoints.points)).float().cpu()
        loudness = loudness_lips(mono, len(audio))
        return FilmedClip(record, filled(keypoints), audio, source_hash(folder, record), loudness)

    @property
    def seconds(self) -> float:
        """Of all clips."""
        return sum(len(clip.audio) for clip in self.clips) / 25

    @property
    def lips_r(self) -> float:
        """How the mouths follow the sound's loudness: mean r over clips, at the best common lag of up to 0.2 s.

        Below `IN_STEP` the sound is hardly the film's own, and what the model knows of lips is trained away.
        """
        return float(np.mean([clip.lips_r for clip in self.clips], axis=0).max())

    @property
    def people(self) -> set[str]:
        """Who is seen."""
        return {clip.record.identity for clip in self.clips}

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """What a resumed run must share."""
        return {"footage": sorted(clip.source[:16] for clip in self.clips), "splits_sha256": self._splits_sha256}

    @property
    def records(self) -> list[TrainedOn]:
        """What the trained model keeps of it (`paha.dataset.training_data`)."""
        clips = {clip.record.clip_id: clip.source[:16] for clip in self.clips}
        names = ", ".join(folder.resolve().name for folder in self.folders)
        return [TrainedOn(data=names, split=self.split, splits_sha256=self._splits_sha256, clips=clips)]

    @property
    def _splits_sha256(self) -> list[str]:
        return [splits_digest(read_splits(folder)) for folder in self.folders]

    def batch(self, generator: torch.Generator, batch_size: int) -> ClipBatch:
        """batch_size windows, uniform over all windows of all clips."""
        ends = torch.tensor([len(clip.audio) - self.num_frames + 1 for clip in self.clips]).cumsum(0)
        drawn = torch.randint(int(ends[-1]), (batch_size,), generator=generator)
        places = torch.searchsorted(ends, drawn, right=True)
        chance = torch.rand(batch_size, generator=generator)
        made = []
        for place, window, share in zip(places.tolist(), drawn.tolist(), chance.tolist(), strict=True):
            clip = self.clips[place]
            start = int(ends[place]) - 1 - window
            made.append(self.window(clip, start, int(share * len(clip.audio))))
        return self.collate(made, [self.clips[place].record.clip_id for place in places.tolist()])

    def window(self, clip: FilmedClip, start: int, reference: int) -> MotionClip:
        """One window of a clip."""
        return clip.window(start, self.num_frames, reference, margin=self.margin)

    def collate(self, clips: Sequence[MotionClip], names: Sequence[str]) -> ClipBatch:
        """One batch of windows."""
        tensors = [clip_tensors(clip) for clip in clips]
        stacked = {name: torch.stack([one[name] for one in tensors]) for name in tensors[0]}
        tokens = self.image_encoder.encode(stacked["ref_channels"])
        reference = torch.zeros_like(stacked["latents"][:, 0])
        return ClipBatch(ref_latent=reference, image_tokens=tokens, clip_ids=tuple(names), **stacked)

    def held_out(self, count: int) -> HeldOut:
        """Up to `count` windows side by side, each counted from its clip's first frame, as a video is made."""
        windows = self.held_out_windows(count)
        clips = [clip for _, clip in windows]
        grids = [PersonGrid(Geometry.of(clip.points, clip.scores)) for clip in clips]
        true = [clip.motion.relative_to(clip.reference) for clip in clips]
        return HeldOut(self.collate(clips, [name for name, _ in windows]), grids, true)

    def held_out_windows(self, count: int) -> list[tuple[str, MotionClip]]:
        """Those windows with their clips' names, spread over all."""
        found = []
        for clip in self.clips:
            for start in range(0, len(clip.audio) - self.num_frames + 1, self.num_frames):
                found.append((clip.record.clip_id, self.window(clip, start, 0)))
        return found[:: max(1, len(found) // count)][:count]


class FootageMix:
    """Footage and the stream in one batch: `share` of the clips, one at least, are filmed; the others keep what the
    model knows of all people."""

    channel_scale = 1.0

    def __init__(self, footage: FootageDataset, stream: MotionDataset, *, share: float) -> None:
        self.footage, self.stream, self.share = footage, stream, share

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """What a resumed run must share."""
        return {**self.stream.fingerprint, **self.footage.fingerprint, "footage_share": self.share}

    @property
    def records(self) -> list[TrainedOn]:
        """What the trained model keeps of it."""
        return self.footage.records

    def num_filmed(self, batch_size: int) -> int:
        """Of so many clips."""
        return min(batch_size, max(1, round(batch_size * self.share)))

    def training_batch(self, context: BatchContext, train: TrainConfig) -> ClipBatch:
        """The clips of a part of a step: filmed ones first."""
        filmed = self.num_filmed(train.batch_size)
        parts = [self.footage.batch(context.generator("footage"), filmed)]
        if filmed < train.batch_size:
            number = context.step * train.num_micro_batches + context.micro
            parts.append(self.stream.batch(number, train.batch_size - filmed))
        return joined(parts)

    def fixed_batches(self, count: int, batch_size: int) -> list[ClipBatch]:
        """The same few filmed batches at every call."""
        generator = torch.Generator().manual_seed(FIXED_SEED)
        return [self.footage.batch(generator, batch_size) for _ in range(count)]
