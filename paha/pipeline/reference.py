"""The reference image as a codec takes it: one interface for motion latents and for latents of pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
from torch import Tensor

from paha.config import PahaConfig
from paha.errors import PahaError
from paha.media.pixels import image_to_pixels
from paha.motion.landmarks import Detector, Landmarks
from paha.motion.strength import MotionStrength
from paha.pipeline.inputs import PahaWarning, frame_size


class Reference(Protocol):
    """What UniVDM is told of a reference image, and its latents back to frames.

    width, height: of the video, pixels. latent: (1, C, h, w), frame 0 of the merged sequence. channels: (1, C, h, w),
    the channel half. pooled: (1, C, h, w), what image tokens are pooled from.
    """

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def latent(self) -> Tensor: ...
    @property
    def channels(self) -> Tensor: ...
    @property
    def pooled(self) -> Tensor: ...

    def prepare(self) -> None:
        """Begin, on another thread, what frames need and sampling does not."""
        ...

    def iter_frames(self, latents: Tensor) -> Iterator[np.ndarray]:
        """Frames (height, width, 3) uint8 of scaled latents (T, C, h, w), in order."""
        ...


@dataclass(frozen=True)
class ReferenceOptions:
    """How a reference image is read.

    width, height: of the video; the preset's by default. With motion latents the larger one is what the picture's
    longer side is shrunk to (1280 by default), and the picture keeps its shape. face_box: x0 y0 x1 y1 in pixels of the
    image, which of several people. landmarks: who reads the photograph, "mediapipe", "own" or "auto". strength: how
    much of the motion is made; of motion latents only. reading: what `begun` began, of this one image.
    """

    width: int | None = None
    height: int | None = None
    face_box: tuple[float, float, float, float] | None = None
    landmarks: Detector = "auto"
    strength: MotionStrength = field(default_factory=MotionStrength)
    reading: Reading | None = field(default=None, compare=False, repr=False)

    def begun(self, image: np.ndarray, preset: PahaConfig) -> Self:
        """The same; with motion latents the person in the image (H, W, 3) uint8 is being read on another thread, which
        takes about as long as what else is to be loaded."""
        wanted = preset.codec.kind == "motion" and self.reading is None
        return replace(self, reading=Reading(image, self)) if wanted else self


class Reading:
    """A photograph at the video's size, and what a thread of its own reads of it. image: (H, W, 3) uint8."""

    def __init__(self, image: np.ndarray, options: ReferenceOptions) -> None:
        from paha.motion.landmarks import find_landmarks
        from paha.motion.motion_reference import DEFAULT_SIZE, fit_size

        longest = max(options.width or 0, options.height or 0) or DEFAULT_SIZE
        self.image = fit_size(image, longest)
        box = options.face_box
        if box is not None:
            scale = self.image.shape[1] / image.shape[1]
            box = (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
        pool = ThreadPoolExecutor(1)
        self._found: Future[Landmarks] = pool.submit(
            find_landmarks, self.image, detector=options.landmarks, face_box=box
        )
        pool.shutdown(wait=False)

    @property
    def landmarks(self) -> Landmarks:
        """Waits for them. Raises PahaError where the person cannot be read."""
        return self._found.result()


def make_reference(codec: Any, image: np.ndarray, preset: PahaConfig, options: ReferenceOptions) -> Reference:
    """The reference of an image (H, W, 3) uint8. Warns (PahaWarning) of what the video will suffer from; raises
    PahaError where the image or the options cannot be used."""
    if preset.codec.kind == "motion":
        return _motion_reference(codec, image, options)
    if options.strength != MotionStrength():
        raise PahaError("this model makes pixels, not motion: leave the motion strength as it is")
    from paha.extractors.codec import PixelReference

    width, height = frame_size(preset, options.width, options.height)
    return PixelReference(codec, image_to_pixels(image, width=width, height=height))


def _motion_reference(codec: Any, image: np.ndarray, options: ReferenceOptions) -> Reference:
    from paha.motion.motion_reference import MotionReference

    reading = options.reading or Reading(image, options)
    landmarks = reading.landmarks
    for line in landmarks.warnings:
        warnings.warn(line, PahaWarning, stacklevel=4)
    return MotionReference(codec, reading.image, landmarks, options.strength)
