"""Which pose extractor: `presenter` (drawn presenters, shipped), `mediapipe` or `dwpose` (photographed people)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from paha.errors import PahaError
from paha.extractors.pose import PoseTrack, join_tracks
from paha.extractors.weights import find_weight, weight

KINDS = ("presenter", "mediapipe", "dwpose")
_NEEDS = {
    "presenter": (),
    "dwpose": ("dwpose-detector", "dwpose-pose"),
    "mediapipe": tuple(
        f"mediapipe-{part}" for part in ("face-detector", "face-landmarker", "hand-landmarker", "pose-landmarker")
    ),
}
"""The registered weights of each kind."""
_PACKAGES = {"dwpose": "onnxruntime", "mediapipe": "mediapipe"}
PRESENTER_READER = Path(__file__).parents[1] / "assets" / "pose_reader"


class PoseExtractor(Protocol):
    """What reads the pose of a video's frames."""

    def detect(self, frames: np.ndarray) -> PoseTrack:
        """Pose of frames (T, H, W, 3) uint8, in their pixels."""
        ...


def choose_pose(kind: str = "auto") -> str:
    """The extractor that `kind` stands for: itself, or for `auto` the best whose package and weights are here.

    dwpose before mediapipe before the shipped presenter reader, which needs no weights but reads drawn presenters only:
    callers say so where `auto` gives it. Raises PahaError for an unknown kind.
    """
    if kind in KINDS:
        return kind
    if kind != "auto":
        raise PahaError(f"unknown pose extractor '{kind}'; known: auto, {', '.join(KINDS)}")
    return next((name for name in ("dwpose", "mediapipe") if _is_here(name)), "presenter")


def pose_extractor(
    kind: str = "auto", *, body_every: int = 1, hands_every: int = 1, expression: bool = False
) -> PoseExtractor:
    """The extractor of that kind, loaded. Weights that it lacks are fetched; `auto` takes what is here.

    body_every, hands_every, expression: of `mediapipe` (`paha.extractors.mediapipe_pose.MediaPipePose.load`).

    Raises PahaError for an unknown kind, a missing package, or weights that are not to be had.
    """
    chosen = choose_pose(kind)
    if chosen == "mediapipe":
        from paha.extractors.mediapipe_pose import MediaPipePose

        return MediaPipePose.load(body_every=body_every, hands_every=hands_every, expression=expression)
    if chosen == "dwpose":
        from paha.extractors.dwpose import DWPose

        return DWPose.load()
    from paha.extractors.pose import PresenterPose

    return PresenterPose.load(PRESENTER_READER)


class Readers:
    """As many equal extractors as threads read at once: MediaPipe's networks answer one caller at a time.

    Only for extractors that read every frame by itself; a clip's frames may be read by several of them.
    """

    def __init__(self, make: Callable[[], PoseExtractor], *, threads: int = 1) -> None:
        """threads: that share the frames of one call; the answer is the same."""
        self._make, self.threads, self._idle = make, threads, [make()]

    def detect(self, frames: np.ndarray) -> PoseTrack:
        """Pose of frames (T, H, W, 3) uint8, in their pixels."""
        if self.threads == 1:
            return self._detect(frames)
        with ThreadPoolExecutor(self.threads) as pool:
            parts = np.array_split(frames, min(self.threads, len(frames)))
            return join_tracks(list(pool.map(self._detect, parts)))

    @contextmanager
    def borrowed(self) -> Iterator[PoseExtractor]:
        """One of them, for this thread alone."""
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = self._make()
        try:
            yield reader
        finally:
            self._idle.append(reader)

    def _detect(self, frames: np.ndarray) -> PoseTrack:
        with self.borrowed() as reader:
            return reader.detect(frames)


def fetch_weights(kind: str) -> None:
    """Fetch what the extractor lacks, before work begins on many files that would each fail for want of it.

    Raises PahaError that names the first weight that is not to be had.
    """
    for name in _NEEDS[kind]:
        weight(name)


def extractor_files(kind: str) -> list[Path]:
    """The weights that an extractor reads with, as far as they are here; none for other names."""
    if kind == "presenter":
        return sorted(PRESENTER_READER.glob("diffusion*.safetensors"))
    return [path for name in _NEEDS.get(kind, ()) if (path := find_weight(name)) is not None]


def _is_here(kind: str) -> bool:
    return find_spec(_PACKAGES[kind]) is not None and all(find_weight(name) is not None for name in _NEEDS[kind])
