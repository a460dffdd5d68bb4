"""Small videos of a drawn head whose mouth opens with its own sound, as a dataset and as folders of methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from toy_corpus import draw, keypoints

from paha.dataset.manifest import ClipAnnotations, save_annotations, write_manifest
from paha.media.audio_io import write_wav
from paha.media.video_io import write_video
from paha.types import LEFT_HAND, RIGHT_HAND, ClipRecord, Keypoints

RATE_HZ = 16_000
SIZE = 48


def loudness(number: int, num_frames: int) -> np.ndarray:
    """How loud clip `number` is in each frame, (T,) in [0, 1], with a pause in the middle."""
    rng = np.random.default_rng([7, number])
    curve = np.convolve(rng.random(num_frames + 4), np.ones(5) / 5, "valid")
    curve = (curve - curve.min()) / np.ptp(curve)
    curve[num_frames // 2 : num_frames // 2 + 12] = 0
    return curve.astype(np.float32)


def sound(curve: np.ndarray) -> np.ndarray:
    """A buzz of that loudness, 640 samples a frame."""
    envelope = np.repeat(curve, 640)
    return (0.3 * envelope * np.sign(np.sin(np.arange(len(envelope)) * 0.06))).astype(np.float32)


def frames_of(curve: np.ndarray, number: int) -> np.ndarray:
    """(T, 48, 48, 3) uint8: the mouth opens with the curve."""
    x, y = 0.45 + 0.01 * (number % 5), 0.4
    return np.stack([draw(size=SIZE, x=x, y=y, mouth_open=m, hue=number % 3 / 3) for m in curve])


def keypoints_of(curve: np.ndarray, number: int) -> Keypoints:
    """Face points of the drawing, and arms and hands that move up and down, all seen."""
    x, y = 0.45 + 0.01 * (number % 5), 0.4
    points, _ = zip(*(keypoints(size=SIZE, x=x, y=y, mouth_open=m) for m in curve), strict=True)
    points = np.stack(points)
    t = np.arange(len(curve))
    lift = 0.08 * np.sin(2 * np.pi * t / (11 + number))[:, None]
    for part, side in ((LEFT_HAND, 0.75), (RIGHT_HAND, 0.25)):
        spread = np.linspace(0, 0.1, 21)
        points[:, part, 0] = SIZE * (side + spread)
        points[:, part, 1] = SIZE * (0.8 + lift + 0.3 * spread)
    for index, (px, py) in {5: (0.65, 0.6), 6: (0.35, 0.6), 7: (0.72, 0.7), 8: (0.28, 0.7)}.items():
        points[:, index] = SIZE * np.array([px, py])
    points[:, 9], points[:, 10] = points[:, LEFT_HAND.start], points[:, RIGHT_HAND.start]
    return Keypoints(points.astype(np.float32), np.ones((len(curve), 133), np.float32))


def make_dataset(folder: Path, *, clips: int = 3, num_frames: int = 80) -> Path:
    """A dataset folder with exact keypoints."""
    records = []
    (folder / "clips").mkdir(parents=True)
    for number in range(clips):
        name, curve = f"clip{number}", loudness(number, num_frames)
        write_video(folder / f"clips/{name}.mp4", frames_of(curve, number), crf=10)
        write_wav(folder / f"clips/{name}.wav", sound(curve), RATE_HZ)
        box = np.tile(np.array([0.2, 0.15, 0.7, 0.65], np.float32) * SIZE, (num_frames, 1))
        annotations = ClipAnnotations(keypoints_of(curve, number), box, {"mouth_open": curve})
        save_annotations(folder / f"clips/{name}.safetensors", annotations)
        records.append(
            ClipRecord(
                clip_id=name,
                video=f"clips/{name}.mp4",
                audio=f"clips/{name}.wav",
                annotations=f"clips/{name}.safetensors",
                num_frames=num_frames,
                width=SIZE,
                height=SIZE,
                identity=name,
                source="paha.synth/test",
            )
        )
    write_manifest(folder, records)
    return folder


def make_method(folder: Path, *, clips: int = 3, num_frames: int = 80, shift: int = 0) -> Path:
    """A folder of videos with sound; the mouth is `shift` frames late."""
    for number in range(clips):
        curve = loudness(number, num_frames)
        late = np.roll(curve, shift)
        write_video(folder / f"clip{number}.mp4", frames_of(late, number), audio=(sound(curve), RATE_HZ), crf=10)
    return folder
