"""A hand-drawn corpus folder in the format on disk: one round head a clip, with a mouth that opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from paha.dataset.manifest import ClipAnnotations, save_annotations, write_manifest
from paha.media.video_io import write_video
from paha.types import FACE, LEFT_HAND, ClipRecord, Keypoints

MOUTH = slice(FACE.start + 48, FACE.stop)


def draw(*, size: int, x: float, y: float, mouth_open: float, hue: float) -> np.ndarray:
    """A frame (size, size, 3) uint8: a head of radius 0.25 at (x, y) (shares of the side) with a dark mouth."""
    at = (np.arange(size) + 0.5) / size
    head = ((at - x) ** 2 + (at[:, None] - y) ** 2) < 0.25**2
    mouth = ((at - x) / 0.12) ** 2 + ((at[:, None] - y - 0.1) / (0.01 + 0.08 * mouth_open)) ** 2 < 1
    image = np.full((size, size, 3), 60 + 120 * hue)
    image[head] = (230, 180, 150)
    image[mouth] = (90, 20, 30)
    return image.astype(np.uint8)


def keypoints(*, size: int, x: float, y: float, mouth_open: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (133, 2) px and scores (133,): the face on its outline, the mouth on the mouth's, the left hand unseen."""
    angle = np.linspace(0, 2 * np.pi, 133)
    points = np.stack([x + 0.25 * np.cos(angle), y + 0.25 * np.sin(angle)], 1)
    turn = np.linspace(0, 2 * np.pi, 20)
    points[MOUTH] = np.stack([x + 0.12 * np.cos(turn), y + 0.1 + (0.01 + 0.08 * mouth_open) * np.sin(turn)], 1)
    scores = np.ones(133)
    scores[LEFT_HAND] = 0
    return (points * size).astype(np.float32), scores.astype(np.float32)


def make_toy_corpus(folder: Path, *, clips: int = 2, num_frames: int = 8, size: int = 32, seed: int = 0) -> Path:
    """Write the folder; returns it."""
    rng = np.random.default_rng(seed)
    (folder / "clips").mkdir(parents=True)
    records = []
    for number in range(clips):
        name = f"clip{number}"
        x, y, hue = rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6), rng.random()
        mouth = (0.5 + 0.5 * np.sin(np.arange(num_frames) + 7 * rng.random())).astype(np.float32)
        images = np.stack([draw(size=size, x=x, y=y, mouth_open=m, hue=hue) for m in mouth])
        points, scores = zip(*(keypoints(size=size, x=x, y=y, mouth_open=m) for m in mouth), strict=True)
        box = np.array([x - 0.25, y - 0.25, x + 0.25, y + 0.25], dtype=np.float32) * size
        annotations = ClipAnnotations(
            keypoints=Keypoints(np.stack(points), np.stack(scores)),
            face_box=np.tile(box, (num_frames, 1)),
            rig={"mouth_open": mouth},
        )
        save_annotations(folder / "clips" / f"{name}.safetensors", annotations)
        write_video(folder / "clips" / f"{name}.mp4", images, crf=5)
        records.append(
            ClipRecord(
                clip_id=name,
                video=f"clips/{name}.mp4",
                audio=f"clips/{name}.wav",
                annotations=f"clips/{name}.safetensors",
                num_frames=num_frames,
                width=size,
                height=size,
                identity=name,
                source="toy",
            )
        )
    write_manifest(folder, records)
    return folder
