"""What is known of the person in a photograph: face mesh, whole-body keypoints, soft mask; and who of several people.

Two detectors stand behind one interface: MediaPipe, where its package and its models are found, and the estimator that
is shipped (`paha.motion.keypoint_estimator`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from paha.errors import PahaError
from paha.extractors.mediapipe_tasks import WEIGHT_NAMES
from paha.extractors.weights import find_weight
from paha.motion.landmark_checks import check_face, warnings_of
from paha.motion.soft_mask import keep_nearest, refine_mask
from paha.types import LEFT_HAND, RIGHT_HAND

if TYPE_CHECKING:
    from paha.motion.own_landmarks import OwnLandmarks

DETECTORS = ("mediapipe", "own", "auto")
Detector = Literal["mediapipe", "own", "auto"]
NUM_MESH_POINTS = 478
IRISES = (slice(468, 473), slice(473, 478))
"""Points of the person's right and left iris in the mesh: the centre, then four on its border."""
FOREHEAD, CHIN = 10, 152
"""Mesh points whose distance is the face's height."""
_NAMED_FACE = 0.75
"""A face is the named one if its centre lies within so many of the given box's half sides."""
_HAND_POINTS = 5
"""So many points of a hand in a face's box, and it is no other person's face."""


@dataclass(frozen=True)
class PersonReading:
    """What a detector reads of one person. Pixels of the picture, pixel centres at +0.5.

    face: (478, 3) float32, MediaPipe's mesh; x, y and z in pixels, z negative toward the viewer. points: (133, 2)
    float32, COCO-WholeBody; left and right are the person's. scores: (133,) float32 in [0, 1], 0 for what is not seen.
    mask: (H, W) float32 in [0, 1], coarse; other
    people may be in it. face_score: how sure the detector is of the face, in [0, 1].
    covered: which of "eyes" and "mouth" something lies before.
    """

    face: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    mask: np.ndarray
    face_score: float
    covered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Landmarks:
    """What is known of the person in a photograph. Pixels of the picture, pixel centres at +0.5.

    face: (478, 3) float32, MediaPipe's face mesh topology; x, y in pixels, z in pixels (negative toward the viewer).
    points: (133, 2) float32 COCO-WholeBody (body 17, feet 6, 68 iBUG face points, left hand 21, right hand 21; left
    and right are the person's). scores: (133,) float32 in [0, 1]; 0 for what is not seen (hands absent, hips hidden or
    outside the picture). make_mask: see `mask`. source: the detector that read it, "mediapipe" or "own". warnings: one
    line each for people.
    """

    face: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    make_mask: Callable[[], np.ndarray]
    source: str
    warnings: tuple[str, ...]

    @cached_property
    def mask(self) -> np.ndarray:
        """(H, W) float32 in [0, 1], soft mask of this person at the picture's size: made when it is first asked for,
        since frames need it, but what is sampled does not."""
        return self.make_mask()

    @property
    def face_height(self) -> float:
        """Distance of the top of the forehead and the chin in pixels."""
        return float(np.linalg.norm(self.face[FOREHEAD, :2] - self.face[CHIN, :2]))


class LandmarkReader(Protocol):
    """A detector. It reads pictures of any size; boxes are (x0, y0, x1, y1) in pixels of the picture."""

    source: str

    def find_faces(self, image: np.ndarray) -> np.ndarray:
        """Boxes (N, 5) float32 of all faces in (H, W, 3) uint8, from forehead to chin, with scores; largest first."""
        ...

    def read_face(self, image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
        """The mesh (478, 3), pixels, of the face in the box (4,) alone, or None where it cannot be read."""
        ...

    def read(self, image: np.ndarray, box: np.ndarray, *, alone: bool) -> PersonReading | None:
        """The person whose face is in the box (4,), or None where the face cannot be read. alone: whether there is no
        other face."""
        ...


def find_landmarks(
    image: np.ndarray,
    *,
    detector: Detector = "auto",
    face_box: tuple[float, float, float, float] | None = None,
) -> Landmarks:
    """Landmarks of the person in a picture (H, W, 3) uint8: the one with the largest face, or the one that face_box
    (x0, y0, x1, y1 in pixels) names.

    Raises PahaError where no face is found, none is where face_box says, the face is too small or cannot be read, or
    the detector is not to be had.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or min(image.shape[:2]) < 1:
        raise ValueError(f"the picture must be uint8 (H, W, 3), not {image.dtype} {image.shape}")
    reader = landmark_reader(detector)
    return read_landmarks(image, reader, reader.find_faces(image), face_box=face_box)


def read_landmarks(
    image: np.ndarray,
    reader: LandmarkReader,
    faces: np.ndarray,
    *,
    face_box: tuple[float, float, float, float] | None = None,
) -> Landmarks:
    """The same where the faces (N, 5) are found already."""
    chosen = choose_face(faces, face_box=face_box, size=image.shape[:2])
    check_face(faces[chosen])
    others = np.delete(faces, chosen, axis=0)[:, :4]
    reading = reader.read(image, faces[chosen, :4], alone=not len(others))
    if reading is None:
        raise PahaError("a face was found but its points cannot be read; use a sharper picture, seen from the front")
    others = others[~_holds_hand(others, reading)]
    told = warnings_of(image, reading, box=faces[chosen], others=others, named=face_box is not None)

    def make_mask() -> np.ndarray:
        return refine_mask(keep_nearest(reading.mask, faces[chosen, :4], others), image)

    return Landmarks(reading.face, reading.points, reading.scores, make_mask, reader.source, told)


def choose_face(faces: np.ndarray, *, face_box: tuple[float, float, float, float] | None, size: tuple[int, ...]) -> int:
    """Index of the largest of boxes (N, 5), or of the one that face_box names. size: height, width of the picture.

    Raises PahaError where there is none.
    """
    if not len(faces):
        raise PahaError(
            "no face was found in the picture; use one of a person seen from the front, the face at least a twelfth of "
            "the picture's height, or crop it about the person"
        )
    if face_box is None:
        return int(np.argmax(faces[:, 3] - faces[:, 1]))
    x0, y0, x1, y1 = face_box
    if not (x0 < x1 and y0 < y1):
        raise PahaError(f"--face-box {_text(face_box)} is no box; give x0,y0,x1,y1 in pixels with x0 < x1 and y0 < y1")
    half = np.array([x1 - x0, y1 - y0]) / 2
    centres = (faces[:, :2] + faces[:, 2:4]) / 2
    offsets = (np.abs(centres - (np.array([x0, y0]) + half)) / half).max(1)
    if offsets.min() > _NAMED_FACE:
        found = "; ".join(_text(face[:4]) for face in faces)
        raise PahaError(f"no face in --face-box {_text(face_box)}; the faces found in {size[1]} x {size[0]}: {found}")
    return int(np.argmin(offsets))


def landmark_reader(detector: Detector) -> LandmarkReader:
    """The detector of that name; "auto" is MediaPipe where its package and all of its models are found.

    Raises PahaError for an unknown name and where MediaPipe is asked for and not to be had.
    """
    if detector not in DETECTORS:
        raise PahaError(f"unknown landmark detector '{detector}'; known: {', '.join(DETECTORS)}")
    if detector == "auto":
        detector = "mediapipe" if has_mediapipe() else "own"
    return own_landmarks() if detector == "own" else _load_mediapipe()


def has_mediapipe() -> bool:
    """Whether MediaPipe's package and all of its models are on this machine."""
    return importlib.util.find_spec("mediapipe") is not None and all(find_weight(name) for name in WEIGHT_NAMES)


@lru_cache(maxsize=1)
def _load_mediapipe() -> LandmarkReader:
    from paha.motion.mediapipe_landmarks import MediaPipeLandmarks

    return MediaPipeLandmarks.load()


@lru_cache(maxsize=1)
def own_landmarks() -> OwnLandmarks:
    """The shipped estimator, loaded once."""
    from paha.motion.own_landmarks import OwnLandmarks

    return OwnLandmarks.load()


def _holds_hand(boxes: np.ndarray, reading: PersonReading) -> np.ndarray:
    """Which of boxes (N, 4) are about the person's own hands, (N,) bool: hands are taken for faces now and then."""
    hands = slice(LEFT_HAND.start, RIGHT_HAND.stop)
    points = reading.points[hands][reading.scores[hands] > 0]
    within = (points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:])
    return within.all(-1).sum(1) >= _HAND_POINTS


def _text(box: np.ndarray | tuple[float, ...]) -> str:
    return ",".join(f"{value:.0f}" for value in box)
