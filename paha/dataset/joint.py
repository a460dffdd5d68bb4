"""Training on several datasets at once, balanced: each gives as many clips of a batch as the others, however long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch

from paha.dataset.dataset import ClipFeatures, DrawnBatches, FeatureDataset
from paha.dataset.training_data import TrainedOn
from paha.errors import PahaError
from paha.types import ClipBatch


class JointDataset(DrawnBatches):
    """Several `FeatureDataset`s as one. Clip b of a batch is of part (first + b) modulo their number, first drawn.

    Raises PahaError where they were made by different codecs, or two have a clip of the same name.
    """

    def __init__(self, parts: Sequence[FeatureDataset]) -> None:
        self.parts = list(parts)
        scales = {part.channel_scale for part in self.parts}
        if len(scales) != 1:
            raise PahaError(f"the datasets' latents have scales {sorted(scales)}; make their features by one codec")
        names = [clip.clip_id for clip in self.clips]
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            raise PahaError(f"two datasets have a clip called '{twice}'; rename one, or leave one out")
        self.channel_scale: float = self.parts[0].channel_scale
        """As of the parts."""

    @property
    def clips(self) -> list[ClipFeatures]:
        """Of all parts."""
        return [clip for part in self.parts for clip in part.clips]

    @property
    def folder(self) -> Path:
        """Of the first part's features."""
        return self.parts[0].folder

    @property
    def fingerprint(self) -> dict[str, list[Mapping[str, object]]]:
        """What a resumed run must share."""
        return {"datasets": [part.fingerprint for part in self.parts]}

    @property
    def records(self) -> list[TrainedOn]:
        """What a model that is trained on this keeps."""
        return [record for part in self.parts for record in part.records]

    def batch(self, generator: torch.Generator, batch_size: int) -> ClipBatch:
        """batch_size windows, as many of each part as can be; the odd ones of parts drawn uniformly."""
        first = int(torch.randint(len(self.parts), (), generator=generator))
        counts = [0] * len(self.parts)
        for b in range(batch_size):
            counts[(first + b) % len(self.parts)] += 1
        drawn = zip(self.parts, counts, strict=True)
        return joined([part.batch(generator, count) for part, count in drawn if count])


def joined(batches: Sequence[ClipBatch]) -> ClipBatch:
    """One batch of all their clips."""
    names = [f.name for f in fields(ClipBatch) if f.name != "clip_ids" and getattr(batches[0], f.name) is not None]
    tensors = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in names}
    return replace(batches[0], clip_ids=sum((batch.clip_ids for batch in batches), ()), **tensors)
