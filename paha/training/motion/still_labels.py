"""Labels of still pictures by MediaPipe: made once, kept as files, read into memory for training."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from paha.errors import PahaError
from paha.media.image_io import read_image
from paha.motion.landmarks import Landmarks, landmark_reader, read_landmarks
from paha.training.report import say

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
MASK_SIDE = 256
"""Longer side of kept masks, in cells."""
_SAY_EVERY = 100


@dataclass(frozen=True)
class StillLabel:
    """One picture and what is taken as true of it. Pixels of the picture, pixel centres at +0.5.

    path: of the picture. face: (478, 3) px. points: (133, 2) px. scores: (133,). mask: (h, w) uint8, 255 inside, of the
    picture's shape but smaller. faces: (N, 5) boxes of all faces and their scores, largest first.
    """

    path: Path
    face: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    mask: np.ndarray
    faces: np.ndarray


def label_stills(stills: Path, cache: Path) -> list[StillLabel]:
    """Labels of all pictures in a folder, in order of name; those in `cache` are read, the others made and kept there.

    Pictures in which no face can be read are left out. Raises PahaError for a folder without pictures, and where
    MediaPipe or its models are missing.
    """
    paths = sorted(path for path in stills.iterdir() if path.suffix.lower() in PICTURES) if stills.is_dir() else []
    if not paths:
        raise PahaError(f"no pictures ({', '.join(PICTURES)}) in {stills}")
    begun = cache.is_dir()
    cache.mkdir(parents=True, exist_ok=True)
    labels = []
    for number, path in enumerate(paths):
        file = cache / f"{path.stem}.npz"
        if not file.is_file():
            _write(file, path)
        label = _read(file, path)
        labels += [] if label is None else [label]
        if number % _SAY_EVERY == 0:
            say(f"labels: {number} of {len(paths)} pictures")
    if not labels:
        if not begun:
            shutil.rmtree(cache)
        raise PahaError(f"no face could be read in any of the {len(paths)} pictures in {stills}; give others")
    return labels


def _write(file: Path, path: Path) -> None:
    image = read_image(path)
    try:
        reader = landmark_reader("mediapipe")
        faces = reader.find_faces(image)
        found = read_landmarks(image, reader, faces)
    except PahaError as error:
        say(f"{path.name} is left out: {error}")
        faces, found = np.zeros((0, 5), np.float32), None
    temporary = file.with_suffix(".tmp.npz")
    if found is None:
        np.savez(temporary, points=np.zeros((0, 2), np.float32))
    else:
        np.savez(temporary, allow_pickle=False, faces=faces, **_arrays(found))
    temporary.replace(file)


def _arrays(found: Landmarks) -> dict[str, np.ndarray]:
    side = max(found.mask.shape)
    size = [max(1, round(length * MASK_SIDE / side)) for length in found.mask.shape[::-1]]
    mask = Image.fromarray((found.mask * 255).round().astype(np.uint8)).resize((size[0], size[1]), Image.Resampling.BOX)
    return {"face": found.face, "points": found.points, "scores": found.scores, "mask": np.asarray(mask)}


def _read(file: Path, path: Path) -> StillLabel | None:
    with np.load(file) as kept:
        if not len(kept["points"]):
            return None
        return StillLabel(path, *(kept[name] for name in ("face", "points", "scores", "mask", "faces")))
