"""A personal model and the clip it was trained on: reference | truth | codec round trip | generated.

python benchmarks/personal.py --data DATA --model RUN/model -o OUT

The clip is made again from its first frame and its sound. OUT gets `strip.png` (whole frames) and `faces.png` (faces,
enlarged): columns the reference, then moments; rows the truth, what the codec leaves of it (the ceiling), what was
generated; further `generated.mp4` and `personal.json`. A still reference image stands beside the numbers as the floor.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import torch
import typer

from paha import verbs
from paha.data.atomic import write_bytes
from paha.data.audio_io import read_audio, to_mono_16k
from paha.data.image_io import contact_sheet, fit_image, save_png
from paha.data.manifest import read_manifest
from paha.data.video_writer import VideoWriter
from paha.errors import PahaError
from paha.extractors.choose import PoseExtractor, choose_pose, pose_extractor
from paha.metrics.lips import best_lag, lip_r, loudness_lips
from paha.metrics.parts import mouth_opening
from paha.training.codec import PARTS, part_mask
from paha.training.frames import FrameSet, load_clip
from paha.training.pose_reader import codec_transform
from paha.types import FACE, FPS

MOMENTS = 6
FACE_GROWTH = 1.6
"""Side of a face's close-up over the face box's longer side."""
FACE_SIDE = 384
"""Pixels of a close-up: lips are read off them, for a face of 25 pixels is small for a detector."""
Row = dict[str, float]

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def personal(
    data: Annotated[Path, typer.Option("--data", help="Prepared dataset.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    model: Annotated[Path, typer.Option("--model", help="Model folder.")] = verbs.SHIPPED_MODEL,
    clip: Annotated[int, typer.Option(help="Place of the clip in the manifest.", min=0)] = 0,
    frames: Annotated[int | None, typer.Option(help="Make so many of its first frames (all by default).")] = None,
    steps: Annotated[int, typer.Option(help="DDIM steps.", min=1, max=1000)] = 30,
    seed: Annotated[int, typer.Option(help="Of the noise.", min=0)] = 0,
    pose: Annotated[str, typer.Option(help="What reads the lips: auto, mediapipe, dwpose, presenter.")] = "auto",
) -> None:
    """Generate, measure, draw."""
    records, pipeline = read_manifest(data), verbs.load_pipeline(model)
    if clip >= len(records):
        raise PahaError(f"{data} has {len(records)} clips, no number {clip}")
    record = records[clip]
    truth = load_clip(data, record, size=pipeline.preset.height).pick(slice(frames))
    made = pipeline(
        truth.images[0], data / record.audio, num_frames=len(truth), num_inference_steps=steps, seed=seed
    ).frames
    coded = codec_transform(pipeline.codec)(truth.images)
    sound = to_mono_16k(*read_audio(data / record.audio))[: len(truth) * 16_000 // FPS]
    reader = choose_pose(pose)
    versions = {
        "truth": truth.images,
        "round trip": coded,
        "generated": made,
        "still": np.repeat(truth.images[:1], len(truth), 0),
    }
    rows = measure(versions, truth, sound, pose_extractor(reader))
    names = [*rows["truth"], *(name for name in rows["generated"] if name not in rows["truth"])]
    typer.echo(f"| {record.clip_id}, {len(truth)} frames | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for kind, row in rows.items():
        values = (f"{row[name]:.2f}" if name in row else "-" for name in names)
        typer.echo(f"| {kind} | {' | '.join(values)} |")
    protocol = {"clip": record.clip_id, "frames": len(truth), "steps": steps, "seed": seed, "lips read by": reader}
    write_bytes(out / "personal.json", json.dumps(protocol | {"measured": rows}, indent=1).encode())
    shown = [truth.images, coded, made]
    save_png(out / "strip.png", strip(shown))
    save_png(out / "faces.png", strip([close_ups(images, truth.face_box)[:, ::2, ::2] for images in shown]))
    height, width = made.shape[1:3]
    with VideoWriter(
        out / "generated.mp4", width=width, height=height, audio=(sound, 16_000), num_frames=len(made)
    ) as writer:
        writer.write(made)


def measure(versions: dict[str, np.ndarray], truth: FrameSet, sound: np.ndarray, pose: PoseExtractor) -> dict[str, Row]:
    """PSNR in dB against the truth, over frames and parts, and lips as `pose` reads them: r against those read off the
    truth, its best lag in frames, r against loudness (`loudness` alone: the baseline that any sound gives)."""
    read = {name: lips(pose, close_ups(images, truth.face_box)) for name, images in versions.items()}
    rows: dict[str, Row] = {}
    for name, images in versions.items():
        errors = psnr_by_part(images, truth) if name != "truth" else {}
        rows[name] = {"lip r": lip_r(read[name], read["truth"])}
        rows[name] |= {"lag": float(best_lag(read[name], read["truth"])), "lip spread": float(read[name].std())}
        rows[name] |= {"r to loudness": lip_r(read[name], loudness_lips(sound, len(truth)))} | errors
    rows["loudness"] = {"lip r": lip_r(loudness_lips(sound, len(truth)), read["truth"])}
    return rows


def lips(pose: PoseExtractor, images: np.ndarray) -> np.ndarray:
    """Mouth opening (T,) of faces (T, H, W, 3); 0 throughout where no face is found."""
    found = pose.detect(images).keypoints
    return mouth_opening(found) if (found.scores[:, FACE] > 0).any() else np.zeros(len(images))


def psnr_by_part(images: np.ndarray, truth: FrameSet) -> Row:
    """PSNR in dB over whole frames and over the rectangles of `paha.training.codec.PARTS`."""
    square = torch.from_numpy((images.astype(np.float32) - truth.images.astype(np.float32)) ** 2).mean(-1)[:, None]
    points, scores = torch.from_numpy(truth.points), torch.from_numpy(truth.scores)
    masks = {part: part_mask(points, scores, part, height=images.shape[1], width=images.shape[2]) for part in PARTS}
    errors = {"frame": square.mean()} | {part: square[mask].mean() for part, mask in masks.items() if mask.any()}
    return {f"{name} dB": float(10 * torch.log10(255**2 / error.clamp_min(1e-3))) for name, error in errors.items()}


def strip(rows: list[np.ndarray]) -> np.ndarray:
    """One row for each of several videos (T, H, W, 3): the reference (the first one's first frame), then moments."""
    moments = np.linspace(0, len(rows[0]) - 1, MOMENTS + 1).round().astype(int)[1:]
    return contact_sheet([frame for row in rows for frame in (rows[0][0], *row[moments])], columns=MOMENTS + 1)


def close_ups(images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Squares about the clip's mean face, (T, FACE_SIDE, FACE_SIDE, 3). boxes: (T, 4) in [0, 1]."""
    height, width = images.shape[1:3]
    x0, y0, x1, y1 = boxes.mean(0) * [width, height, width, height]
    half = int(min(FACE_GROWTH * max(x1 - x0, y1 - y0), width, height) / 2)
    x = int(np.clip((x0 + x1) / 2, half, width - half))
    y = int(np.clip((y0 + y1) / 2, half, height - half))
    cut = images[:, y - half : y + half, x - half : x + half]
    return np.stack([fit_image(picture, width=FACE_SIDE, height=FACE_SIDE) for picture in cut])


if __name__ == "__main__":
    try:
        app()
    except PahaError as error:
        sys.exit(f"personal: error: {error}")
