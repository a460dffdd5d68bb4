"""Single frames of a corpus folder with their annotations, in memory, for the trainings that need no time axis."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from paha.dataset.manifest import load_annotations
from paha.dataset.splits import SplitName, split_records
from paha.errors import PahaError
from paha.media.video_io import read_video
from paha.types import ClipRecord

MAX_FRAMES = 24_000
"""1.2 GB at 128 px."""
READ_THREADS = 2


@dataclass(frozen=True)
class FrameSet:
    """Frames and what is true of them. images: (N, H, W, 3) uint8. points: (N, 133, 2) in [0, 1] of the frame's sides.

    scores: (N, 133). face_box: (N, 4) in [0, 1]. mouth_open: (N,), NaN where the corpus has no rig. clip: (N,) index
    of the clip.
    """

    images: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    face_box: np.ndarray
    mouth_open: np.ndarray
    clip: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def cat(cls, parts: list[Self]) -> Self:
        """Join frame sets of one size."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def pick(self, index: np.ndarray | slice) -> FrameSet:
        """The frames at these places."""
        return FrameSet(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def draw(self, batch_size: int, *, generator: torch.Generator) -> FrameSet:
        """A uniform random batch, with replacement."""
        return self.pick(torch.randint(len(self), (batch_size,), generator=generator).numpy())

    def spread(self, count: int) -> FrameSet:
        """Up to `count` frames at even distances: the same ones every time."""
        return self.pick(np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int)))

    def pixel_batches(self, batch_size: int, *, device: torch.device | str = "cpu") -> Iterator[Tensor]:
        """All frames in order, as pixels (n, 3, H, W) in [-1, 1]."""
        for i in range(0, len(self), batch_size):
            yield to_pixels(self.images[i : i + batch_size], device=device)


def load_frames(
    folder: Path,
    *,
    every: int = 3,
    max_frames: int = MAX_FRAMES,
    size: int | None = None,
    split: SplitName = "train",
) -> FrameSet:
    """Read every n-th frame of all clips of a split of a corpus folder.

    every: 1 or more, raised where needed to stay below max_frames. size: side in pixels to which frames are resized,
    if given. Raises PahaError for a folder without clips or clips of different sizes.
    """
    records = split_records(folder, split)
    if not records:
        raise PahaError(f"{folder} lists no clips; make some with `paha synth {folder} --clips 100`")
    total = sum(record.num_frames for record in records)
    every = max(every, -(-total // max_frames))
    # Each clip starts at another offset, so that all moments of speech are seen.
    jobs = [(folder, record, number, every, size) for number, record in enumerate(records)]
    with ThreadPoolExecutor(READ_THREADS) as pool:
        parts = list(pool.map(lambda job: load_clip(job[0], job[1], number=job[2], every=job[3], size=job[4]), jobs))
    sizes = {part.images.shape[1:3] for part in parts}
    if len(sizes) > 1:
        raise PahaError(f"{folder} has clips of different sizes {sorted(sizes)}; train on one size")
    return FrameSet.cat(parts)


def load_clip(
    folder: Path, record: ClipRecord, *, number: int = 0, every: int = 1, size: int | None = None
) -> FrameSet:
    """Every n-th frame of one clip, from frame `number` modulo `every` on."""
    annotations = load_annotations(folder / record.annotations)
    images = read_video(folder / record.video, size=None if size is None else (size, size))
    length = min(len(images), len(annotations.keypoints.points))
    at = np.arange(number % every if length > every else 0, length, every)
    side = np.array([record.width, record.height], dtype=np.float32)
    mouth = annotations.rig.get("mouth_open", np.full(length, np.nan, dtype=np.float32))
    return FrameSet(
        images=images[at],
        points=(annotations.keypoints.points[at] / side).astype(np.float32),
        scores=annotations.keypoints.scores[at].astype(np.float32),
        face_box=(annotations.face_box[at] / np.tile(side, 2)).astype(np.float32),
        mouth_open=np.asarray(mouth, dtype=np.float32)[at],
        clip=np.full(len(at), number, dtype=np.int32),
    )


def to_pixels(images: np.ndarray, *, device: torch.device | str = "cpu") -> Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return x.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_images(x: Tensor) -> np.ndarray:
    """Pixels (N, 3, H, W) in [-1, 1] to uint8 (N, H, W, 3)."""
    x = ((x.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return x.permute(0, 2, 3, 1).cpu().numpy()
