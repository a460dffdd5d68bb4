"""Another mouth in the frames of a video: lips and jaw moved to a wanted opening, all else of every frame kept.

Each frame is its own photograph: its mouth, as it is, is moved by what it lacks to the wanted one, by the same fields
that animate a photograph, in a crop about the face. Letters: T frames, H W a frame, h w the crop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from paha.motion.crops import Square
from paha.motion.face_model import IBUG_68
from paha.motion.fields import OVAL
from paha.motion.landmarks import LandmarkReader, Landmarks, choose_face
from paha.motion.person import PersonMotion, measure
from paha.motion.photograph import Photograph
from paha.motion.renderer import Renderer
from paha.runtime.threads import map_in_order
from paha.types import FACE, NUM_KEYPOINTS

CROP = 2.4
"""Side of the crop in face heights."""
MESH_SIGMA = 0.8
"""Frames over which meshes are smoothed: what MediaPipe trembles by."""
FADE_SIGMA = 1.5
"""Frames over which the new mouth fades where no face is read."""
FEATHER = 0.05
"""Face heights over which the new mouth blends into its frame."""
BELOW_CHIN = 0.4
"""Face heights of the throat that the jaw moves."""
_NOSE_TIP = 1


@dataclass(frozen=True)
class FaceTrack:
    """One face through a video. meshes: (T, 478, 3) float32 pixels, smoothed over time. found: (T,) whether a face was
    read; meshes between are interpolated."""

    meshes: np.ndarray
    found: np.ndarray

    @property
    def state(self) -> PersonMotion:
        """The person's state (T), as `measure` reads it off the mesh alone."""
        points = np.zeros((len(self.meshes), NUM_KEYPOINTS, 2), np.float32)
        points[:, FACE] = self.meshes[:, IBUG_68, :2]
        return measure(points)

    @property
    def presence(self) -> np.ndarray:
        """(T,) float32 in [0, 1]: how much of the new mouth is shown; 0 where no face was read."""
        near = gaussian_filter1d(self.found.astype(np.float32), FADE_SIGMA, mode="nearest")
        return np.clip(2 * near - 1, 0, 1) * self.found


class FaceTracker:
    """Reads one face in frame after frame: the largest of the first frame that has any, or the one in `face_box`."""

    def __init__(self, reader: LandmarkReader, face_box: tuple[float, float, float, float] | None = None) -> None:
        self.reader, self.face_box = reader, face_box
        self._box: np.ndarray | None = None
        self._meshes: list[np.ndarray | None] = []

    def add(self, frame: np.ndarray) -> None:
        """Read the next frame (H, W, 3) uint8. Raises PahaError where no face is in `face_box`."""
        mesh = None if self._box is None else self.reader.read_face(frame, self._box)
        if mesh is None:
            mesh = self._search(frame)
        if mesh is not None:
            self._box = np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])
        self._meshes.append(mesh)

    def _search(self, frame: np.ndarray) -> np.ndarray | None:
        faces = self.reader.find_faces(frame)
        if not len(faces):
            return None
        if self._box is None:
            chosen = choose_face(faces, face_box=self.face_box, size=frame.shape[:2])
        else:  # the same person comes back near where they were
            middle = (self._box[:2] + self._box[2:]) / 2
            distance = np.linalg.norm((faces[:, :2] + faces[:, 2:4]) / 2 - middle, axis=1)
            chosen = int(np.argmin(distance))
            if distance[chosen] > (self._box[3] - self._box[1]):
                return None
        return self.reader.read_face(frame, faces[chosen, :4])

    def track(self) -> FaceTrack | None:
        """The face through all frames; None where none was found in any."""
        found = np.array([mesh is not None for mesh in self._meshes], bool)
        if not found.any():
            return None
        known = np.stack([mesh for mesh in self._meshes if mesh is not None]).reshape(found.sum(), -1)
        at = np.arange(len(found))
        filled = np.stack([np.interp(at, at[found], column) for column in known.T], 1)
        smooth = gaussian_filter1d(filled, MESH_SIGMA, axis=0, mode="nearest")
        return FaceTrack(smooth.reshape(len(found), -1, 3).astype(np.float32), found)


def mouth_motion(wanted: PersonMotion, own: PersonMotion, presence: np.ndarray) -> PersonMotion:
    """What each frame's mouth lacks to the wanted one, T frames of relative motion; nothing else moves."""
    change = PersonMotion.rest(len(wanted)).to_array()
    motion = PersonMotion.from_array(change)
    for name in ("mouth_open", "mouth_wide", "lip_press"):
        lacking = getattr(wanted, name) - getattr(own, name)
        getattr(motion, name)[:] = presence * lacking
    return motion


def dub_frame(frame: np.ndarray, mesh: np.ndarray, motion: PersonMotion, t: int) -> np.ndarray:
    """A frame (H, W, 3) uint8 with the mouth of its mesh (478, 3) moved by motion t. Outside the lower half of the face
    it is the frame to the bit."""
    height = float(np.linalg.norm(mesh[10, :2] - mesh[152, :2]))
    square = Square.at((mesh[10, :2] + mesh[152, :2]) / 2 + (0, 0.2 * height), CROP * height)
    left, top = np.maximum(np.floor(square.corner), 0).astype(int)
    right, bottom = np.ceil(square.corner + square.side).astype(int)
    crop = np.ascontiguousarray(frame[top : max(bottom, 0), left : max(right, 0)])
    if min(crop.shape[:2]) < 2:
        return frame
    own = mesh - np.array([left, top, 0], np.float32)
    points, scores = np.zeros((NUM_KEYPOINTS, 2), np.float32), np.zeros(NUM_KEYPOINTS, np.float32)
    points[FACE], scores[FACE] = own[IBUG_68, :2], 1
    landmarks = Landmarks(own, points, scores, lambda: np.zeros(crop.shape[:2], np.float32), "", ())
    moved = Renderer(Photograph(crop, landmarks), face_alone=True).frame(motion, t)
    share = lower_face(own, crop.shape[:2], height)
    out = frame.copy()
    out[top : top + crop.shape[0], left : left + crop.shape[1]] = cv2.blendLinear(moved, crop, share, 1 - share)
    return out


def lower_face(mesh: np.ndarray, size: tuple[int, ...], height: float) -> np.ndarray:
    """(h, w) float32 in [0, 1]: the face below the tip of the nose, and the throat, soft inwards; 0 elsewhere."""
    oval, nose = mesh[list(OVAL), :2], mesh[_NOSE_TIP, :2]
    down = (mesh[152, :2] - mesh[10, :2]) / height
    across = np.array([down[1], -down[0]])
    below = (oval - nose) @ down
    middle = (mesh[10, :2] + mesh[152, :2]) / 2
    # Below the nose the oval, and as much again of the throat; above it nothing.
    lowered = oval + np.clip(below / below.max(), 0, 1)[:, None] * BELOW_CHIN * height * down
    lowered = lowered - np.minimum((lowered - nose) @ down, 0)[:, None] * down
    sides = (oval - middle) @ across
    corners = [nose + s * across + 0 * down for s in (sides.min(), sides.max())]
    hull = cv2.convexHull(np.concatenate([lowered, corners]).astype(np.float32))
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.rint(hull * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    reach = max(1, round(FEATHER * height))
    inner = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2))
    return np.minimum(cv2.blur(inner, (2 * reach + 1,) * 2), mask).astype(np.float32) / 255


def dub_frames(
    frames: Iterator[np.ndarray], track: FaceTrack, motion: PersonMotion, *, workers: int = 2
) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) uint8 with their new mouths, in order, `workers` at a time; as many as there is motion for."""
    presence = track.presence

    def dubbed(numbered: tuple[int, np.ndarray]) -> np.ndarray:
        t, frame = numbered
        return dub_frame(frame, track.meshes[t], motion, t) if presence[t] else frame

    return map_in_order(dubbed, enumerate(islice(frames, len(motion))), workers=workers)
