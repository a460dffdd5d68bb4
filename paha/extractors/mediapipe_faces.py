"""Meshes and blendshapes of MediaPipe's face landmarker, without an object for each of their 530 numbers.

Its Python interface makes those objects for every face, a tenth of the time that the network takes. They are read off
the memory of its C interface here, where that is laid out as `ctypes` classes of the same package say; other versions,
and other tasks that answer in its classes, are asked the public way. The numbers are the same to the bit.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from paha.extractors.mediapipe_tasks import Task

Face = tuple[np.ndarray, np.ndarray]
"""Mesh (478, 2) float32, shares of the picture's sides, and blendshapes (52,), or (0,) where they are not read."""


def faces_in(task: Task, image: Any) -> list[Face]:
    """The faces that the landmarker finds in a picture (`image_of`), in its order."""
    try:
        from mediapipe.tasks.python.vision.face_landmarker import MpFaceLandmarkerResultC

        detect, close = task._lib.MpFaceLandmarkerDetectImage, task._lib.MpFaceLandmarkerCloseResult  # pyright: ignore[reportAttributeAccessIssue]
        handle, picture = task._handle, image._image_ptr
    except (ImportError, AttributeError):
        return _public(task.detect(image))
    found = MpFaceLandmarkerResultC()
    detect(handle, picture, None, ctypes.byref(found))
    try:
        return [_face(found, k) for k in range(found.face_landmarks_count)]
    finally:
        close(ctypes.byref(found))


def _public(found: Any) -> list[Face]:
    meshes = [np.array([(p.x, p.y) for p in face], np.float32) for face in found.face_landmarks]
    shapes = [np.array([s.score for s in face]) for face in found.face_blendshapes] or [np.zeros(0)] * len(meshes)
    return list(zip(meshes, shapes, strict=True))


def _face(found: Any, k: int) -> Face:
    face = found.face_landmarks[k]
    mesh = _columns(face.landmarks, face.landmarks_count, "x", "y")
    if k >= found.face_blendshapes_count:
        return mesh, np.zeros(0)
    shapes = found.face_blendshapes[k]
    return mesh, _columns(shapes.categories, shapes.categories_count, "score")[:, 0].astype(np.float64)


def _columns(first: Any, count: int, *names: str) -> np.ndarray:
    """(count, len(names)) float32 fields of an array of ctypes structures that starts at the pointer `first`."""
    struct = first._type_
    offsets = [getattr(struct, name).offset for name in names]
    layout = np.dtype(
        {"names": names, "formats": ["f4"] * len(names), "offsets": offsets, "itemsize": ctypes.sizeof(struct)}
    )
    rows = np.frombuffer(ctypes.string_at(first, count * ctypes.sizeof(struct)), layout)
    return np.stack([rows[name] for name in names], 1)
