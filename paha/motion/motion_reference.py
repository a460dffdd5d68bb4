"""A photograph as the motion codec's reference: what UniVDM is told of it, and its motion back to pictures."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from paha.motion.geometry import Geometry
from paha.motion.landmarks import Landmarks
from paha.motion.motion_codec import MotionCodec, PersonGrid
from paha.motion.photograph import Photograph
from paha.motion.renderer import Renderer
from paha.motion.resampling import OpenCVResampler, Resampler
from paha.motion.resampling_torch import TorchResampler
from paha.motion.strength import MotionStrength

DEFAULT_SIZE = 1280
"""Pixels of a video's longer side at most, where nothing else is asked for; pictures are never enlarged."""
IRISES = {"left": (473, 263, 362), "right": (468, 33, 133)}
"""An iris and the corners of its eye in the mesh."""


class MotionReference:
    """One photograph of one person. image: (H, W, 3) uint8, H and W even. landmarks: in its pixels. strength: of the
    motion in its frames."""

    def __init__(
        self,
        codec: MotionCodec,
        image: np.ndarray,
        landmarks: Landmarks,
        strength: MotionStrength = MotionStrength(),
    ) -> None:
        self.codec, self.image, self.landmarks, self.strength = codec, image, landmarks, strength
        self.geometry = Geometry.of(landmarks.points, landmarks.scores, gaze=gaze_of(landmarks))
        self.grid: PersonGrid = codec.grid(self.geometry)
        self._channels = self.grid.reference_channels()[None]

    @property
    def width(self) -> int:
        """Of the video, pixels."""
        return self.image.shape[1]

    @property
    def height(self) -> int:
        """Of the video, pixels."""
        return self.image.shape[0]

    @property
    def latent(self) -> Tensor:
        """(1, C, G, G): no motion."""
        return torch.zeros_like(self.channels)

    @property
    def channels(self) -> Tensor:
        """(1, C, G, G): where the person's parts are."""
        return self._channels

    @property
    def pooled(self) -> Tensor:
        """(1, C, G, G), what image tokens are pooled from."""
        return self.channels

    @property
    def face_box(self) -> np.ndarray:
        """(4,) x0 y0 x1 y1 in [0, 1] of the grid's square."""
        box = self.geometry.to_cells(self.geometry.face_box().reshape(2, 2)) / self.codec.cells
        return box.reshape(4).astype(np.float32)

    @cached_property
    def _renderer(self) -> Future[Renderer]:
        pool = ThreadPoolExecutor(1)
        photo, resampler = Photograph(self.image, self.landmarks), resampler_on(self.codec.device)
        building = pool.submit(Renderer, photo, resampler=resampler)
        pool.shutdown(wait=False)
        return building

    @property
    def renderer(self) -> Renderer:
        """Built when the first frame is asked for, or begun by `prepare`."""
        return self._renderer.result()

    def prepare(self) -> None:
        """Begin to build the renderer beside whatever is computed meanwhile."""
        _ = self._renderer

    def iter_frames(self, latents: Tensor) -> Iterator[np.ndarray]:
        """Frames (H, W, 3) uint8 of scaled latents (T, C, G, G), in order."""
        return self.renderer.frames(self.strength(self.grid.read(latents)))


def resampler_on(device: torch.device) -> Resampler:
    """What reads the photograph where the codec is: PyTorch on a GPU, OpenCV everywhere else."""
    return TorchResampler(device) if device.type == "cuda" else OpenCVResampler()


def fit_size(image: np.ndarray, longest: int = DEFAULT_SIZE) -> np.ndarray:
    """The picture with even sides, the longer one `longest` pixels at most: shrunk, never enlarged, hardly cropped."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = (max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2))
    if scale == 1.0:
        return np.ascontiguousarray(image[: size[1], : size[0]])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def gaze_of(landmarks: Landmarks) -> np.ndarray:
    """(2,) where both eyes look, x and y in [-1, 1], from where the irises lie between the corners."""
    looks = []
    for iris, outer, inner in IRISES.values():
        eye = landmarks.face[[outer, inner], :2]
        width = max(float(np.linalg.norm(eye[0] - eye[1])), 1e-6)
        looks.append((landmarks.face[iris, :2] - eye.mean(0)) / (0.25 * width))
    return np.clip(np.mean(looks, 0), -1, 1).astype(np.float32)
