"""MediaPipe's four networks, loaded once for everybody who reads pictures with them."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from paha.errors import PahaError
from paha.extractors.later import imported_later
from paha.extractors.quiet import quiet
from paha.extractors.weights import weight

WEIGHT_NAMES = (
    "mediapipe-face-detector",
    "mediapipe-face-landmarker",
    "mediapipe-hand-landmarker",
    "mediapipe-pose-landmarker",
)


_NOT_OURS = ("matplotlib", "matplotlib.pyplot", "sounddevice")
"""What MediaPipe draws and records with: a third of the start of `paha evaluate`."""


class Task(Protocol):
    """A network of MediaPipe. Its results are MediaPipe's own classes, which have no stubs: hence Any."""

    _handle: object

    def detect(self, image: Any) -> Any:
        """What it finds in a picture (`image_of`)."""
        ...

    def close(self) -> None:
        """Free it."""
        ...


@dataclass(frozen=True)
class Tasks:
    """face: the mesh of 478 points. hands: 21 points each. pose: 33 points. boxes: BlazeFace's boxes of faces."""

    face: Task
    hands: Task
    pose: Task
    boxes: Task

    def close(self) -> None:
        """Free the networks."""
        with quiet():
            for task in (self.face, self.hands, self.pose, self.boxes):
                task.close()

    def forget(self) -> None:
        """At the interpreter's end MediaPipe's own clean-up fails, loudly; the system frees what is left."""
        for task in (self.face, self.hands, self.pose, self.boxes):
            task._handle = None


def load_tasks(
    *,
    num_faces: int,
    num_hands: int,
    num_poses: int,
    blendshapes: bool = False,
    masks: bool = False,
    download: bool = False,
) -> Tasks:
    """The networks. num_*: at most so many are found. blendshapes: of faces. masks: of people.

    download: fetch the registered weights where they are missing. Raises PahaError where mediapipe is not installed, or
    weights are not to be had or cannot be read.
    """
    files = {name: str(weight(name, download=download)) for name in WEIGHT_NAMES}
    vision, base = vision_tasks()
    kinds = {
        "face": (vision.FaceLandmarker, vision.FaceLandmarkerOptions, "face-landmarker", {"num_faces": num_faces}),
        "hands": (vision.HandLandmarker, vision.HandLandmarkerOptions, "hand-landmarker", {"num_hands": num_hands}),
        "pose": (vision.PoseLandmarker, vision.PoseLandmarkerOptions, "pose-landmarker", {"num_poses": num_poses}),
        "boxes": (vision.FaceDetector, vision.FaceDetectorOptions, "face-detector", {}),
    }
    more = {"face": {"output_face_blendshapes": blendshapes}, "pose": {"output_segmentation_masks": masks}}
    loaded: dict[str, Any] = {}
    with quiet(), ExitStack() as stack:
        for name, (task, options, file, own) in kinds.items():
            path = base(model_asset_path=files[f"mediapipe-{file}"])
            try:
                made = task.create_from_options(options(base_options=path, **own, **more.get(name, {})))
            except (RuntimeError, ValueError, OSError) as error:
                raise PahaError(f"MediaPipe cannot load its {name} weights: {error}; fetch them again") from error
            stack.callback(made.close)
            loaded[name] = made
        stack.pop_all()
    tasks = Tasks(**loaded)
    atexit.register(tasks.forget)
    return tasks


def vision_tasks() -> tuple[Any, Any]:
    """(the vision tasks, BaseOptions). Raises PahaError where mediapipe is not installed."""
    try:
        with imported_later(*_NOT_OURS):
            from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise PahaError(f"mediapipe is not there ({error}); pip install 'paha[extract]'") from error
    return vision, BaseOptions


def image_of(square: np.ndarray) -> Any:
    """MediaPipe's image of a picture (S, S, 3) uint8. It projects points wrongly where a picture is not square."""
    import mediapipe

    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(square))
