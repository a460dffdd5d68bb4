"""Motion clips made ahead of the training by worker processes; the same clips for any number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from paha.dataset.synth.motion_clips import BLOCK, MotionClip, MotionClips


class ClipBlocks(Dataset):
    """Map-style: item b is the list of the clips of block b, each through `transform`. A block is one worker's work."""

    def __init__(self, clips: MotionClips, *, num_blocks: int, transform: Callable[[MotionClip], Any] | None) -> None:
        self.clips, self.num_blocks, self.transform = clips, num_blocks, transform

    def __len__(self) -> int:
        return self.num_blocks

    def __getitem__(self, block: int) -> list[Any]:
        made = [self.clips[block * BLOCK + place] for place in range(BLOCK)]
        return made if self.transform is None else [self.transform(clip) for clip in made]


def motion_batches(
    clips: MotionClips,
    *,
    batch_size: int,
    start: int = 0,
    stop: int = 2**40,
    workers: int = 1,
    ahead: int = 2,
    transform: Callable[[MotionClip], Any] | None = None,
) -> Iterator[list[Any]]:
    """Lists of batch_size clips, from index start to stop (exclusive; what does not fill a batch is left out).

    A run resumes where it was by start = batches seen x batch_size. workers: processes that make blocks, `ahead` blocks
    each; 0 makes them here. transform: applied to each clip where it is made; it must be picklable.
    """
    if not 0 <= start <= stop or batch_size < 1:
        raise ValueError(f"no batches of {batch_size} from {start} to {stop}")
    first, last = start // BLOCK, -(-stop // BLOCK)
    loader = DataLoader(
        ClipBlocks(clips, num_blocks=last, transform=transform),
        batch_size=None,
        sampler=range(first, last),  # pyright: ignore[reportArgumentType]  # any iterable of indices will do
        num_workers=workers,
        prefetch_factor=ahead if workers else None,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_one_thread if workers else None,
    )
    index, batch = first * BLOCK, []
    for block in loader:
        for clip in block:
            if start <= index < stop:
                batch.append(clip)
            index += 1
            if len(batch) == batch_size:
                yield batch
                batch = []


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
