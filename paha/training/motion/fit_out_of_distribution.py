"""Fit `paha.pipeline.out_of_distribution` to a corpus: where presenters lie, also after what happens to a picture on its way."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from paha.dataset.manifest import read_manifest
from paha.media.video_io import iter_video
from paha.motion.keypoint_estimator import INPUT_SIZE, PoseReader
from paha.pipeline.out_of_distribution import Likeness, describe
from paha.media.pixels import image_to_pixels

COPIES = 2
"""Changed copies of each clip's first frame, beside the frame itself."""
LEAST_CROP, JPEG_QUALITY, SIDES = 0.85, (40, 95), (96, 400)


def fit_likeness(reader: PoseReader, data: Path) -> Likeness:
    """The cloud of the first frames of a corpus folder's clips."""
    rng = np.random.default_rng(0)
    descriptions = []
    for record in read_manifest(data):
        frame = next(iter_video(data / record.video))
        pictures = [frame, *(changed(frame, rng) for _ in range(COPIES))]
        pixels = [image_to_pixels(picture, width=INPUT_SIZE, height=INPUT_SIZE) for picture in pictures]
        descriptions.append(describe(reader, torch.cat(pixels)))
    return Likeness.fit(torch.cat(descriptions))


def changed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A square picture (H, H, 3) uint8 as it may be given: cut, resized, its colours moved, stored as JPEG, each now
    and then."""
    crop, resize, colour, jpeg = rng.random(4) < 0.5
    if crop:
        image = _cut(image, rng)
    if resize:
        side = int(rng.integers(*SIDES))
        image = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
    if colour:
        moved = image * rng.uniform(0.85, 1.15, 3) + rng.uniform(-10, 10)
        image = moved.round().clip(0, 255).astype(np.uint8)
    return _jpeg(image, int(rng.integers(*JPEG_QUALITY))) if jpeg else image


def _cut(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side = int(len(image) * rng.uniform(LEAST_CROP, 1))
    y, x = rng.integers(0, np.array(image.shape[:2]) - side + 1)
    return image[y : y + side, x : x + side]


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored).convert("RGB"))
