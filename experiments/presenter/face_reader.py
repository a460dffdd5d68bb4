"""MediaPipe's face mesh on frames: the instrument of the report, which no part of the shipped model ever met."""

from __future__ import annotations

import atexit
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from paha.errors import PahaError
from paha.extractors.mediapipe_tasks import vision_tasks
from paha.extractors.quiet import quiet
from paha.extractors.weights import weight
from paha.motion.crops import Square
from paha.motion.landmarks import CHIN, FOREHEAD

CROP = 2.2
"""Side of the square that is read, in face heights; the same one for a whole video."""
CROP_PX = 320
UPPER_LIP, LOWER_LIP = 13, 14
RIGID = (1, 4, 6, 33, 133, 168, 197, 263, 362)
"""Nose and corners of the eyes: what speech leaves alone."""


@dataclass(frozen=True)
class FaceTrack:
    """mesh: (T, 478, 2) pixels of the frames, NaN where no face was found."""

    mesh: np.ndarray

    @property
    def opening(self) -> np.ndarray:
        """(T,) gap of the inner lips in face heights."""
        gap = np.linalg.norm(self.mesh[:, UPPER_LIP] - self.mesh[:, LOWER_LIP], axis=1)
        return gap / np.linalg.norm(self.mesh[:, FOREHEAD] - self.mesh[:, CHIN], axis=1)

    @property
    def found(self) -> np.ndarray:
        """(T,) bool."""
        return np.isfinite(self.mesh[:, 0, 0])


class FaceReader:
    """Each frame is read by itself, without memory of others: no smoothing flatters a video."""

    def __init__(self, task: Any) -> None:
        self._task = task

    @classmethod
    def load(cls) -> FaceReader:
        """Raises PahaError where MediaPipe or its face model is not to be had."""
        path = str(weight("mediapipe-face-landmarker", download=False))
        vision, base = vision_tasks()
        options = vision.FaceLandmarkerOptions(base_options=base(model_asset_path=path), num_faces=1)
        try:
            with quiet():
                task = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError) as error:
            raise PahaError(f"MediaPipe cannot load {path}: {error}; fetch it again") from error
        reader = cls(task)
        atexit.register(reader._forget)
        return reader

    def _forget(self) -> None:
        """At the interpreter's end MediaPipe's own clean-up fails, loudly; the system frees what is left."""
        self._task._handle = None

    def read(self, frames: Iterable[np.ndarray], face: np.ndarray) -> FaceTrack:
        """The face in frames (H, W, 3) uint8, looked for about the mesh (J, 2 or more) of one of them."""
        middle = (face[:, :2].min(0) + face[:, :2].max(0)) / 2
        square = Square.at(middle, CROP * float(np.linalg.norm(face[FOREHEAD, :2] - face[CHIN, :2])))
        return FaceTrack(np.stack([self._mesh(frame, square) for frame in frames]))

    def _mesh(self, frame: np.ndarray, square: Square) -> np.ndarray:
        import mediapipe

        crop = np.ascontiguousarray(square.cut(frame, side=CROP_PX))
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=crop)
        faces = self._task.detect(image).face_landmarks
        if not faces:
            return np.full((478, 2), np.nan, np.float32)
        return np.array([(p.x, p.y) for p in faces[0]], np.float32) * square.side + square.corner


@lru_cache(maxsize=1)
def face_reader() -> FaceReader:
    """One a process, kept open: to open it takes as long as to read a hundred frames."""
    cv2.setNumThreads(1)
    return FaceReader.load()
