"""Pose of a video's frames, behind one interface. Here: the reader of presenter frames, which needs no download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paha.errors import PahaError
from paha.types import NUM_KEYPOINTS, Keypoints

if TYPE_CHECKING:
    from paha.extractors.pose_reader import PoseReader


@dataclass(frozen=True)
class PoseTrack:
    """Pose of a clip. face_box: (T, 4) px, x0 y0 x1 y1. mouth_open: (T,) in [0, 1], or None where the extractor has
    none. expression: (T, 52) MediaPipe's blendshapes in [0, 1], NaN where no face was found; None for other extractors.
    """

    keypoints: Keypoints
    face_box: np.ndarray
    mouth_open: np.ndarray | None
    expression: np.ndarray | None = None


def join_tracks(tracks: Sequence[PoseTrack]) -> PoseTrack:
    """The pose of a clip whose parts were read one after another."""
    points = np.concatenate([track.keypoints.points for track in tracks])
    scores = np.concatenate([track.keypoints.scores for track in tracks])
    boxes = np.concatenate([track.face_box for track in tracks])
    mouths = [track.mouth_open for track in tracks if track.mouth_open is not None]
    shapes = [track.expression for track in tracks]
    width = next((shape.shape[1] for shape in shapes if shape is not None), 0)
    full = [
        np.full((len(t.face_box), width), np.nan, np.float32) if t.expression is None else t.expression for t in tracks
    ]
    mouth = np.concatenate(mouths) if len(mouths) == len(tracks) else None
    return PoseTrack(Keypoints(points, scores), boxes, mouth, np.concatenate(full) if width else None)


MAX_FACE_SPREAD = 2.5
"""Nats. Of the drawn corpus, blurred by 4 px and with noise of 40 of 255, no frame has more than 2.2; bouncing circles
have 5.8 (median), noise 5.2, GRID's films 3.6 to 4.0 (docs/metrics.md)."""


class PresenterPose:
    """Reads presenter frames (illustrated ones; it was not trained on photographs).

    The reader answers whatever it is shown. Where its heatmaps of the face's points are spread out there is no face
    that it knows: all scores of such a frame are 0, as of an extractor that found nobody.
    """

    def __init__(self, reader: PoseReader) -> None:
        self.reader = reader.eval().requires_grad_(False)

    @classmethod
    def load(cls, folder: Path) -> PresenterPose:
        """From a folder that `paha train pose-reader` wrote. Raises PahaError where it cannot be read."""
        from paha.extractors.pose_reader import PoseReader
        from paha.univdm.pretrained import load_part

        if not (folder / "config.json").is_file():
            raise PahaError(f"no pose reader in {folder}; train one with `paha train pose-reader`")
        return cls(
            load_part(PoseReader, folder, remedy="train it again with `paha train pose-reader` or copy it again")
        )

    def detect(self, frames: np.ndarray) -> PoseTrack:
        """Pose of frames (T, H, W, 3) uint8, in their pixels."""
        reading = self.reader.read(frames)
        scores = reading.scores * (reading.face_spread <= MAX_FACE_SPREAD)[:, None]
        return PoseTrack(Keypoints(reading.points, scores), reading.face_box, reading.mouth_open)


class NoPose:
    """Finds nobody: where no extractor is here that could know these people, what needs one is absent."""

    def detect(self, frames: np.ndarray) -> PoseTrack:
        """Keypoints of frames (T, H, W, 3), all unseen."""
        count = len(frames)
        points, scores = np.zeros((count, NUM_KEYPOINTS, 2), np.float32), np.zeros((count, NUM_KEYPOINTS), np.float32)
        return PoseTrack(Keypoints(points, scores), np.zeros((count, 4), np.float32), None)
