"""What `paha inspect` looks at: clips of a dataset with their annotations, or any video read by a pose extractor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np

from paha.dataset.manifest import MANIFEST, load_annotations, read_manifest
from paha.errors import PahaError
from paha.extractors.choose import PoseExtractor, choose_pose, pose_extractor
from paha.media.image_io import fit_image
from paha.media.video_io import iter_video
from paha.types import FPS, ClipRecord

LARGEST_SIDE = 512
"""Frames are looked at with their shorter side at most this, the size that PAR's lengths are given for."""
ANNOTATIONS = "the dataset's annotations"
DETECT_FRAMES = 16
"""Frames of full size in memory at a time."""


@dataclass(frozen=True)
class PosedClip:
    """Some seconds of a clip. frames: (T, H, W, 3) uint8. points: (T, 133, 2) in [0, 1] of their sides.

    scores: (T, 133). origin: in words, where the points come from.
    """

    name: str
    frames: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    origin: str


def dataset_of(source: Path) -> tuple[Path, list[ClipRecord]] | None:
    """The dataset folder and the chosen records: all of a folder's, or the one whose video `source` is.

    None for a video that no dataset lists. Raises PahaError for a path that is neither, or an empty dataset.
    """
    if source.is_dir():
        records = read_manifest(source)
        if not records:
            raise PahaError(f"{source} lists no clips; make some with `paha synth` or `paha prepare`")
        return source, records
    if not source.is_file():
        raise PahaError(f"{source} does not exist; give a video or a dataset folder")
    for folder in source.resolve().parents[:2]:
        if (folder / MANIFEST).is_file():
            own = [r for r in read_manifest(folder) if (folder / r.video).resolve() == source.resolve()]
            if own:
                return folder, own
    return None


def load_annotated(folder: Path, record: ClipRecord, *, seconds: float) -> PosedClip:
    """The first seconds of a dataset's clip with its own keypoints."""
    width, height = view_size(record.width, record.height)
    count = min(record.num_frames, max(1, round(seconds * FPS)))
    frames = np.stack(list(islice(iter_video(folder / record.video, size=(width, height)), count)))
    points, scores = annotated_points(folder, record)
    if len(points) < len(frames):
        raise PahaError(f"{record.video} has more frames than its annotations ({len(points)}); make the clip again")
    points, scores = points[: len(frames)], scores[: len(frames)]
    return PosedClip(record.clip_id, frames, points, scores, ANNOTATIONS)


def annotated_points(folder: Path, record: ClipRecord) -> tuple[np.ndarray, np.ndarray]:
    """All keypoints of a dataset's clip: points (T, 133, 2) in [0, 1] and scores (T, 133)."""
    keypoints = load_annotations(folder / record.annotations).keypoints
    return keypoints.points / np.array([record.width, record.height], np.float32), keypoints.scores


class VideoReader:
    """Any video with the keypoints that a pose extractor reads off its frames; a `with` block frees its networks.

    kind: as in `choose_pose`. The extractor is loaded for the first video.
    """

    def __init__(self, kind: str) -> None:
        self.kind = choose_pose(kind)
        self._extractor: PoseExtractor | None = None

    @property
    def origin(self) -> str:
        """Who reads, in words."""
        return {"presenter": "the presenter pose reader", "mediapipe": "MediaPipe", "dwpose": "DWPose"}[self.kind]

    def load(self, video: Path, *, seconds: float) -> PosedClip:
        """The first seconds of a video; its pose is read at full size. Raises PahaError where it cannot be read."""
        if self._extractor is None:
            self._extractor = pose_extractor(self.kind)
        size = view_size(*_size(video))
        frames, points, scores = [], [], []
        for chunk in _chunks(islice(iter_video(video), max(1, round(seconds * FPS)))):
            keypoints = self._extractor.detect(chunk).keypoints
            points.append(keypoints.points / np.array([chunk.shape[2], chunk.shape[1]], np.float32))
            scores.append(keypoints.scores)
            frames += [fit_image(frame, width=size[0], height=size[1]) for frame in chunk]
        return PosedClip(video.stem, np.stack(frames), np.concatenate(points), np.concatenate(scores), self.origin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close = getattr(self._extractor, "close", None)
        if close is not None:
            close()


def view_size(width: int, height: int, *, largest: int = LARGEST_SIDE) -> tuple[int, int]:
    """(width, height) of a frame scaled down until its shorter side is at most `largest`, both even."""
    scale = min(1.0, largest / min(width, height))
    return 2 * round(width * scale / 2), 2 * round(height * scale / 2)


def _size(video: Path) -> tuple[int, int]:
    frame = next(iter_video(video))
    return frame.shape[1], frame.shape[0]


def _chunks(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    while chunk := list(islice(frames, DETECT_FRAMES)):
        yield np.stack(chunk)
