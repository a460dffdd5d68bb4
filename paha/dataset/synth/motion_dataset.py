"""Training batches of motion latents, out of the endless stream of speech and motion (`synth.motion_clips`).

Batch k is a function of the stream's seed and of k alone, so that a run resumes to the bit, whatever the number of
worker processes that make clips ahead of it. Letters: B clips, T frames, C channels, G cells a side, K keypoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor

from paha.config import PahaConfig, TrainConfig
from paha.dataset.synth.motion_clips import MotionClip, MotionClips, MotionStream
from paha.dataset.synth.motion_loader import motion_batches
from paha.dataset.training_data import TrainedOn
from paha.extractors.image import ImageEncoder
from paha.motion.geometry import Geometry
from paha.motion.motion_codec import CELLS, PersonGrid
from paha.types import BatchContext, ClipBatch


class MotionDataset:
    """The training stream of a preset, as `ClipBatch`. workers: processes that make clips ahead; 0 for none."""

    channel_scale = 1.0

    def __init__(
        self,
        config: PahaConfig,
        *,
        speech: str | None = None,
        seed: int = 0,
        held_out: bool = False,
        workers: int = 1,
        image_encoder: ImageEncoder | None = None,
    ) -> None:
        """Raises PahaError for a folder of speech that cannot be used."""
        from paha.extractors.image import load_image_encoder

        self.stream = MotionStream(
            seed=seed,
            num_frames=config.num_frames,
            audio_margin=config.model.audio_margin,
            speech=speech,
            held_out=held_out,
        )
        self.clips = MotionClips(self.stream, config.audio)
        self.workers = workers
        self.image_encoder = image_encoder or load_image_encoder(config.image)
        self._next, self._batch_size = -1, 0
        self._ahead: Iterator[list[dict[str, Tensor]]] = iter(())

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """What a resumed run must share: the stream, but for where its speech lies on this machine."""
        return asdict(replace(self.stream, speech=None)) | {"natural": self.stream.speech is not None}

    @property
    def records(self) -> list[TrainedOn]:
        """No clip of a file: whoever is seen and heard in a test was never drawn here."""
        return []

    def training_batch(self, context: BatchContext, train: TrainConfig) -> ClipBatch:
        """The clips of a part of a step (`paha.training.job.StepContext`)."""
        return self.batch(context.step * train.num_micro_batches + context.micro, train.batch_size)

    def fixed_batches(self, count: int, batch_size: int) -> list[ClipBatch]:
        """The same few batches at every call: the stream's first clips."""
        clips = [clip_tensors(self.clips[i]) for i in range(count * batch_size)]
        return [self.collate(clips[i * batch_size : (i + 1) * batch_size]) for i in range(count)]

    def batch(self, number: int, batch_size: int) -> ClipBatch:
        """Batch `number` of those with batch_size clips; cheap where batches are asked for in order."""
        if number != self._next or batch_size != self._batch_size:
            options = {"batch_size": batch_size, "start": number * batch_size, "workers": self.workers}
            self._ahead = motion_batches(self.clips, transform=clip_tensors, **options)
            self._batch_size = batch_size
        self._next = number + 1
        return self.collate(next(self._ahead))

    def collate(self, clips: list[dict[str, Tensor]]) -> ClipBatch:
        """One batch of clips' tensors."""
        stacked = {name: torch.stack([clip[name] for clip in clips]) for name in clips[0]}
        return ClipBatch(
            ref_latent=torch.zeros_like(stacked["latents"][:, 0]),
            image_tokens=self.image_encoder.encode(stacked["ref_channels"]),
            clip_ids=tuple(str(i) for i in range(len(clips))),
            **stacked,
        )


def clip_tensors(clip: MotionClip) -> dict[str, Tensor]:
    """A clip as training sees it: the fields of `ClipBatch` without B."""
    grid = PersonGrid(Geometry.of(clip.points, clip.scores))
    return motion_tensors(grid, clip) | {"audio": clip.audio_windows.clone()}


def motion_tensors(grid: PersonGrid, clip: MotionClip) -> dict[str, Tensor]:
    """latents (T, C, G, G), ref_channels (C, G, G), points and scores (T, K, ...), face_box (4,): all in the grid's
    square, and the points those of the reference, as a cell is a place of the reference (docs/design.md)."""
    count = len(clip.motion)
    points = (grid.geometry.to_cells(grid.geometry.points) / CELLS).astype(np.float32)
    return {
        "latents": grid.paint(clip.motion.relative_to(clip.reference)),
        "ref_channels": grid.reference_channels(),
        "points": torch.from_numpy(points).expand(count, -1, -1),
        "scores": torch.from_numpy(np.asarray(clip.scores, np.float32)).expand(count, -1),
        "face_box": torch.from_numpy(face_square(grid)),
    }


def face_square(grid: PersonGrid) -> np.ndarray:
    """(4,) float32: the reference's face box in [0, 1] of the grid's square."""
    box = grid.geometry.to_cells(grid.geometry.face_box().reshape(2, 2)) / CELLS
    return box.reshape(4).astype(np.float32)
