"""`paha train pose-reader`: the reader of presenter frames, trained on renderings and on what codecs and models make
of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.config import TrainConfig
from paha.dataset.manifest import read_manifest
from paha.dataset.splits import SplitName
from paha.extractors.pixel_codec import PixelCodec
from paha.extractors.pose_reader import INPUT_SIZE, PoseReader, PoseReading, ReaderOutput
from paha.media.video_io import contact_sheet, save_png
from paha.runtime.statistics import lip_r
from paha.training.job import Job, StepContext
from paha.training.motion.augment import colour_jitter, degrade, inside, random_affine, uniform, warp, warp_points
from paha.training.motion.frames import FrameSet, load_clip, load_frames, to_images, to_pixels
from paha.types import BODY, FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

POSE_READER_TRAIN = TrainConfig(
    batch_size=32,
    steps=2500,
    learning_rate=2e-3,
    weight_decay=0.01,
    warmup_steps=100,
    cosine_decay=True,
    grad_clip=100.0,
    ema_decay=0.995,
    checkpoint_every=500,
    sample_every=500,
)

GROUPS = {"body": BODY, "face": FACE, "hands": slice(LEFT_HAND.start, RIGHT_HAND.stop)}
VISIBLE_SCORE = 0.3
BOX_WEIGHT, SCORE_WEIGHT, MOUTH_WEIGHT = 1.0, 2.0, 100.0
"""Beside point errors in pixels of the reader's input."""
CODED_SHARE = 0.4
"""Share of a batch that goes through the codec, where one is given."""
CODED_NOISE = 0.4
"""Largest deviation of the noise on their unit-variance latents: a stand-in for generated frames."""
SHEET_FRAMES = 8
PROBE_FRAMES = 128

Transform = Callable[[np.ndarray], np.ndarray]


def pose_reader_job(
    data_dir: Path,
    *,
    batch_size: int,
    codec: PixelCodec | None = None,
    every: int = 3,
    model: PoseReader | None = None,
    split: SplitName = "train",
) -> Job:
    """The job that trains a reader on every n-th frame of a split of a corpus folder; with a codec also on its noisy
    round trips.

    Raises PahaError for a folder without clips.
    """
    frames = load_frames(data_dir, every=every, size=INPUT_SIZE, split=split)
    return pose_reader_job_on(model or PoseReader(), frames, batch_size=batch_size, codec=codec)


def pose_reader_job_on(model: PoseReader, frames: FrameSet, *, batch_size: int, codec: PixelCodec | None = None) -> Job:
    """The same on frames in memory, 128 px."""
    if codec is not None:
        codec.eval().requires_grad_(False)
    return Job(
        name="pose-reader",
        model=model,
        loss=partial(reader_loss, frames=frames, batch_size=batch_size, codec=codec),
        save=save_reader,
        sample=partial(sample_reader, frames=frames),
        probe=partial(probe_reader, frames=frames),
        fingerprint={"model": dict(model.config), "frames": len(frames), "codec": codec is not None},
    )


def reader_loss(
    model: nn.Module, context: StepContext, *, frames: FrameSet, batch_size: int, codec: PixelCodec | None
) -> tuple[Tensor, dict[str, float | Tensor]]:
    """Points (both stages), confidences, face box and mouth opening of an augmented batch."""
    draw = context.generator("batch")
    batch = frames.draw(batch_size, generator=draw)
    x, truth = augment(batch, codec=codec, generator=draw, device=context.device)
    output = model(x, jitter_box(truth.face_box, generator=draw))
    losses = reader_errors(output, truth)
    total = losses["coarse"] + losses["points"] + BOX_WEIGHT * losses["box"]
    total = total + SCORE_WEIGHT * losses["score"] + MOUTH_WEIGHT * losses["mouth"]
    return total, {name: loss.detach() for name, loss in losses.items()}


def augment(
    batch: FrameSet, *, codec: PixelCodec | None, generator: torch.Generator, device: torch.device | str = "cpu"
) -> tuple[Tensor, ReaderOutput]:
    """Pixels and the truth about them, moved, coloured, coded and degraded. `score_logits` of the truth holds plain
    scores.
    """
    theta = random_affine(len(batch), shift=0.06, scale=0.12, degrees=6, flip=False, generator=generator)
    points = warp_points(torch.from_numpy(batch.points), theta)
    corners = warp_points(torch.from_numpy(batch.face_box).unflatten(1, (2, 2)), theta)
    scores = torch.from_numpy(batch.scores) * inside(points)
    x = colour_jitter(warp(to_pixels(batch.images), theta), amount=0.15, generator=generator).to(device)
    if codec is not None:
        x = code(x, codec, generator=generator)
    x = degrade(x, generator=generator)
    mouth, sure = torch.from_numpy(batch.mouth_open), torch.zeros(len(x))
    truth = ReaderOutput(points, points, scores, corners.flatten(1), mouth, sure)
    return x, ReaderOutput(**{name: value.to(device) for name, value in vars(truth).items()})


@torch.no_grad()
def code(x: Tensor, codec: PixelCodec, *, generator: torch.Generator) -> Tensor:
    """The first frames of a (shuffled) batch through the codec, with noise of random strength on their latents."""
    count = round(CODED_SHARE * len(x))
    z = codec.encode(x[:count].to(codec.dtype))
    std = uniform((count, 1, 1, 1), 0, CODED_NOISE, generator=generator)
    z = z + (torch.randn(z.shape, generator=generator) * std).to(z)
    return torch.cat([codec.decode(z).to(x), x[count:]])


def jitter_box(box: Tensor, *, generator: torch.Generator) -> Tensor:
    """Boxes (N, 4) as wrong as a predicted one may be: moved and scaled by up to a tenth of their size."""
    size = (box[:, 2:] - box[:, :2]).repeat(1, 2)
    return box + size * uniform(tuple(box.shape), -0.1, 0.1, generator=generator).to(box)


def reader_errors(output: ReaderOutput, truth: ReaderOutput) -> dict[str, Tensor]:
    """Smooth-L1 of points and box in pixels, points weighted by confidence; cross entropy of confidences; MSE of the
    mouth.
    """
    scores = truth.score_logits
    known = ~truth.mouth_open.isnan()
    mouth = (output.mouth_open - truth.mouth_open.nan_to_num())[known].square()
    return {
        "coarse": point_error(output.coarse_points, truth.points, scores),
        "points": point_error(output.points[:, FACE], truth.points[:, FACE], scores[:, FACE]),
        "box": F.smooth_l1_loss(output.face_box * INPUT_SIZE, truth.face_box * INPUT_SIZE),
        "score": F.binary_cross_entropy_with_logits(output.score_logits, scores),
        "mouth": mouth.sum() / known.sum().clamp(min=1),
    }


def point_error(points: Tensor, truth: Tensor, scores: Tensor) -> Tensor:
    """Mean smooth-L1 distance in pixels of the reader's input, weighted by the points' confidence."""
    error = F.smooth_l1_loss(points * INPUT_SIZE, truth * INPUT_SIZE, reduction="none").sum(-1)
    return (error * scores).sum() / scores.sum().clamp(min=1)


def save_reader(model: nn.Module, folder: Path) -> None:
    """Write the reader as fp16 safetensors."""
    cast(PoseReader, copy.deepcopy(model)).half().save_pretrained(folder)


def sample_reader(model: nn.Module, step: int, path: Path, *, frames: FrameSet) -> None:
    """Frames with the points that the reader sees, over the same with the true ones."""
    shown = frames.spread(SHEET_FRAMES)
    read = cast(PoseReader, model).read(shown.images)
    seen = [draw_points(image, p, s) for image, p, s in zip(shown.images, read.points, read.scores, strict=True)]
    side = np.array(shown.images.shape[2:0:-1])
    true = [
        draw_points(image, p * side, s) for image, p, s in zip(shown.images, shown.points, shown.scores, strict=True)
    ]
    save_png(path, contact_sheet(np.stack(seen + true), columns=len(shown)))


def draw_points(image: np.ndarray, points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """A copy of (H, W, 3) at three times the size with a dot at each visible point (px)."""
    big = image.repeat(3, 0).repeat(3, 1)
    for x, y in (3 * points[scores > VISIBLE_SCORE]).astype(int):
        big[max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1] = (255, 40, 40)
    return big


def probe_reader(model: nn.Module, step: int, *, frames: FrameSet) -> dict[str, float | Tensor]:
    """Errors on clean training frames."""
    seen = frames.spread(PROBE_FRAMES)
    return dict(frame_errors(cast(PoseReader, model).read(seen.images), seen))


def evaluate_reader(reader: PoseReader, clips_dir: Path, *, transform: Transform | None = None) -> dict[str, object]:
    """How well the reader reads the clips of a corpus folder.

    transform: what is done to the frames (T, H, W, 3) uint8 before they are read, such as a codec round trip.
    Returns `mouth_r` (mean over clips of the correlation with the rig's mouth opening), `mouth_r_clips` by clip id,
    and the means over clips of `frame_errors`.
    """
    mouth_r: dict[str, float] = {}
    errors: list[dict[str, float]] = []
    for record in read_manifest(clips_dir):
        clip = load_clip(clips_dir, record)
        reading = reader.read(transform(clip.images) if transform else clip.images)
        mouth_r[record.clip_id] = lip_r(reading.mouth_open, clip.mouth_open)
        errors.append(frame_errors(reading, clip))
    means = {name: float(np.nanmean([error[name] for error in errors])) for name in errors[0]}
    return {"mouth_r": float(np.mean(list(mouth_r.values()))), **means, "mouth_r_clips": mouth_r}


def frame_errors(reading: PoseReading, truth: FrameSet) -> dict[str, float]:
    """Median point error in px per group (NaN where none is visible), mean box overlap, confidence and mouth errors."""
    side = np.array(truth.images.shape[2:0:-1])
    distance = np.linalg.norm(reading.points - truth.points * side, axis=-1)
    visible = truth.scores > VISIBLE_SCORE
    groups = GROUPS | {"all": slice(0, NUM_KEYPOINTS)}
    errors = {f"px_{name}": _median(distance[:, part][visible[:, part]]) for name, part in groups.items()}
    return errors | {
        "box_iou": float(box_iou(reading.face_box, truth.face_box * np.tile(side, 2)).mean()),
        "score_mae": float(np.abs(reading.scores - truth.scores).mean()),
        "mouth_mae": float(np.abs(reading.mouth_open - truth.mouth_open).mean()),
    }


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else float("nan")


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (N,) of boxes (N, 4), x0 y0 x1 y1."""
    overlap = np.prod(np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None), axis=1)
    area = np.prod(a[:, 2:] - a[:, :2], axis=1) + np.prod(b[:, 2:] - b[:, :2], axis=1)
    return overlap / np.clip(area - overlap, 1e-6, None)


def codec_transform(codec: PixelCodec) -> Transform:
    """Frames (T, H, W, 3) uint8 through the codec and back: the ceiling of what a model on its latents can show."""

    @torch.no_grad()
    def transform(images: np.ndarray) -> np.ndarray:
        pixels = [to_pixels(images[i : i + 32], device=codec.device) for i in range(0, len(images), 32)]
        return to_images(torch.cat([codec.decode(codec.encode(x)) for x in pixels]))

    return transform
