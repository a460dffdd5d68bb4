"""Pose of a video's frames, behind one interface. Here: the reader of presenter frames, which needs no download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paha.errors import PahaError
from paha.extractors.pose_reader import PoseReader
from paha.types import Keypoints
from paha.univdm.pretrained import load_part


@dataclass(frozen=True)
class PoseTrack:
    """Pose of a clip. face_box: (T, 4) px, x0 y0 x1 y1. mouth_open: (T,) in [0, 1], or None where the extractor has
    none.
    """

    keypoints: Keypoints
    face_box: np.ndarray
    mouth_open: np.ndarray | None


class PresenterPose:
    """Reads presenter frames (illustrated ones; it was not trained on photographs)."""

    def __init__(self, reader: PoseReader) -> None:
        self.reader = reader.eval().requires_grad_(False)

    @classmethod
    def load(cls, folder: Path) -> PresenterPose:
        """From a folder that `paha train pose-reader` wrote. Raises PahaError where it cannot be read."""
        if not (folder / "config.json").is_file():
            raise PahaError(f"no pose reader in {folder}; train one with `paha train pose-reader`")
        return cls(
            load_part(PoseReader, folder, remedy="train it again with `paha train pose-reader` or copy it again")
        )

    def detect(self, frames: np.ndarray) -> PoseTrack:
        """Pose of frames (T, H, W, 3) uint8, in their pixels."""
        reading = self.reader.read(frames)
        return PoseTrack(Keypoints(reading.points, reading.scores), reading.face_box, reading.mouth_open)
