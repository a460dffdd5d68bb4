"""What the PAR experiment measures of a model, on held-out windows of a presenter corpus whose truth is known.

Legend: N windows, T frames, C latent channels, H W pixels, h w latent size, K clips.

- `latent`: squared error of the x0 estimate from one denoising step at each of TIMESTEPS, in latents, by region.
- `denoised`: the same estimate at DENOISED_TIMESTEP decoded: squared error in pixels (values 0 to 255) by region, and
  what the pose reader sees in it, against the rig. The noisy truth shows where the hands are, so there is one answer.
- `generated`: windows sampled from noise, reference and sound. Gestures are one-to-many: an error here also counts
  another gesture than the true one, the same for every arm.

Regions come from the exact keypoints, not from PAR's areas: they are the same for every arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.config import PahaConfig
from paha.dataset.dataset import FeatureDataset, to_device
from paha.dataset.manifest import load_annotations, read_manifest
from paha.evaluation.metrics.keypoints import HANDS
from paha.evaluation.metrics.regions import REGIONS, region_boxes, region_masks
from paha.extractors.pose import PresenterPose
from paha.media.video_io import read_video
from paha.motion.keypoint_estimator import INPUT_SIZE
from paha.runtime.statistics import lip_r
from paha.sampling.schedule import Schedule
from paha.sampling.target import from_target, to_target
from paha.training.motion.frames import to_images, to_pixels
from paha.training.motion.keypoint_estimator_job import VISIBLE_SCORE
from paha.training.univdm.probe import generate, mouth_mask
from paha.types import ClipBatch, Keypoints
from paha.univdm.conditioning import Conditioning, predict

TIMESTEPS = (100, 300, 500, 700, 900)
DENOISED_TIMESTEP = 600
SAMPLE_STEPS = 10
NOISE_SEED = 11
AT_ONCE = 12
PARTS = (*REGIONS, "mouth")
Measures = dict[str, np.ndarray]
"""Name -> (K,), NaN where a clip shows no such thing."""


@dataclass(frozen=True)
class HeldOut:
    """Windows of the held-out clips, `per_clip` of each, and the truth about them.

    frames: (N, T, H, W, 3) uint8. keypoints: points (N, T, 133, 2) px and scores (N, T, 133). mouth_open: (N, T).
    masks: region -> (N, T, H, W) in [0, 1]. clip_ids: of the K clips.
    """

    batch: ClipBatch
    frames: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    mouth_open: np.ndarray
    masks: dict[str, Tensor]
    clip_ids: tuple[str, ...]
    per_clip: int
    channel_scale: float

    def by_clip(self, values: np.ndarray) -> np.ndarray:
        """(N, ...) to (K, per_clip, ...)."""
        return values.reshape(len(self.clip_ids), self.per_clip, *values.shape[1:])


def load_held_out(data: Path, features: Path, config: PahaConfig, *, per_clip: int) -> HeldOut:
    """`per_clip` windows at even distances of every clip; the reference is the clip's first frame."""
    dataset = FeatureDataset(features, config=config)
    records = {record.clip_id: record for record in read_manifest(data)}
    clips, starts, truths = [], [], []
    for number, clip in enumerate(dataset.clips):
        at = np.linspace(0, clip.num_frames - config.num_frames, per_clip).round().astype(int)
        video = read_video(data / records[clip.clip_id].video)
        annotations = load_annotations(data / records[clip.clip_id].annotations)
        for start in at.tolist():
            cut = slice(start, start + config.num_frames)
            points, scores = annotations.keypoints.points[cut], annotations.keypoints.scores[cut]
            truths.append((video[cut], points, scores, annotations.rig["mouth_open"][cut], annotations.face_box[cut]))
            clips.append(number)
            starts.append(start)
    frames, points, scores, mouth, boxes = (np.stack(values) for values in zip(*truths, strict=True))
    return HeldOut(
        batch=dataset.windows(clips, starts, [0] * len(clips)),
        frames=frames,
        points=points,
        scores=scores,
        mouth_open=mouth,
        masks=truth_masks(points, scores, boxes, height=config.height, width=config.width),
        clip_ids=tuple(clip.clip_id for clip in dataset.clips),
        per_clip=per_clip,
        channel_scale=dataset.channel_scale,
    )


def truth_masks(
    points: np.ndarray, scores: np.ndarray, face_box: np.ndarray, *, height: int, width: int
) -> dict[str, Tensor]:
    """Masks (N, T, H, W) float32 of PARTS from exact keypoints in pixels; the mouth's lies within the face's."""
    shape, masks = points.shape[:2], []
    flat = Keypoints(points.reshape(-1, *points.shape[2:]), scores.reshape(-1, scores.shape[2]))
    boxes = region_boxes(flat, face_box.reshape(-1, 4), height=height)
    for index in range(len(flat.points)):
        found = region_masks(boxes, index, height=height, width=width)
        masks.append(np.stack([found[name] for name in REGIONS]))
    stacked = torch.from_numpy(np.stack(masks)).float().unflatten(0, shape)
    unit = torch.from_numpy(points / np.array([width, height], np.float32))
    mouth = mouth_mask(unit, height=height, width=width)[:, :, 0]
    return {name: stacked[:, :, i] for i, name in enumerate(REGIONS)} | {"mouth": mouth}


@torch.no_grad()
def measure_model(
    model: nn.Module,
    held: HeldOut,
    *,
    config: PahaConfig,
    codec: Any,
    pose: PresenterPose,
    device: torch.device | str = "cpu",
) -> tuple[Measures, np.ndarray, dict[str, np.ndarray]]:
    """All measures of a model by clip, the features (N T, D) of its generated frames, and frames of both kinds.

    device: where model, codec and pose reader are.
    """
    schedule, latent, kinds = Schedule(config.diffusion), [], {"denoised": [], "generated": []}
    for batch in batches(held.batch, device):
        common = {"config": config, "schedule": schedule, "channel_scale": held.channel_scale}
        estimates = [x0_estimate(model, batch, t, **common) for t in (*TIMESTEPS, DENOISED_TIMESTEP)]
        latent.append(torch.stack([(z - batch.latents).square().mean(2) for z in estimates[:-1]]).mean(0).cpu())
        kinds["denoised"].append(decode(codec, estimates[-1]))
        kinds["generated"].append(decode(codec, generate(model, batch, steps=SAMPLE_STEPS, **common)))
    frames = {kind: np.concatenate(chunks) for kind, chunks in kinds.items()}
    measures = {f"latent error, {k}": v for k, v in region_means(torch.cat(latent), held).items()}
    for kind, made in frames.items():
        measures |= {f"{kind} {name}": value for name, value in frame_measures(made, held, pose).items()}
    return measures, reader_features(frames["generated"], pose), frames


def x0_estimate(
    model: nn.Module, batch: ClipBatch, t: int, *, config: PahaConfig, schedule: Schedule, channel_scale: float
) -> Tensor:
    """The clean latents (N, T, C, h, w) that the model sees in those noised to timestep t; the noise is fixed."""
    generator = torch.Generator().manual_seed(NOISE_SEED + t)
    eps = torch.randn(batch.latents.shape, generator=generator).to(batch.latents)
    t_BT = torch.full(batch.latents.shape[:2], t, device=eps.device)
    z_t = schedule.add_noise(to_target(batch.latents, batch.ref_latent, config.diffusion), eps, t_BT)
    conditioning = Conditioning.of_batch(batch, channel_scale=channel_scale)
    prediction = predict(model, z_t, t_BT, conditioning=conditioning, schedule=schedule)
    z_0, _ = schedule.to_z0_eps(z_t, prediction, t_BT, config.diffusion.prediction_type)
    return from_target(z_0, batch.ref_latent, config.diffusion)


def batches(batch: ClipBatch, device: torch.device | str = "cpu") -> list[ClipBatch]:
    """A batch in parts of AT_ONCE windows on the CPU, of all windows on an accelerator, there."""
    number = len(batch.latents)
    starts = range(0, number, AT_ONCE if torch.device(device).type == "cpu" else number)
    step = starts.step
    return [to_device(ClipBatch(**{k: v[i : i + step] for k, v in vars(batch).items()}), device) for i in starts]


def decode(codec: Any, latents: Tensor) -> np.ndarray:
    """(N, T, C, h, w) to frames (N, T, H, W, 3) uint8."""
    images = to_images(codec.decode(latents.flatten(0, 1)))
    return images.reshape(*latents.shape[:2], *images.shape[1:])


def region_means(error: Tensor, held: HeldOut) -> Measures:
    """Mean of an error (N, T, h, w) over each region of each clip, and over the whole frame."""
    found = {}
    for name in PARTS:
        share = F.interpolate(held.masks[name], size=error.shape[-2:], mode="area")
        total, weight = (held.by_clip(x.sum((1, 2, 3)).double().numpy()).sum(1) for x in (error * share, share))
        found[name] = np.where(weight > 0, total / np.maximum(weight, 1e-9), np.nan)
    return found | {"frame": held.by_clip(error.mean((1, 2, 3)).double().numpy()).mean(1)}


def frame_measures(frames: np.ndarray, held: HeldOut, pose: PresenterPose) -> Measures:
    """Of frames (N, T, H, W, 3): pixel error by region, the hands' and the lips' error as the pose reader sees them,
    and how much the hands' region moves against the truth."""
    error = torch.from_numpy(np.square(frames.astype(np.float32) - held.frames.astype(np.float32)).mean(-1))
    measures = {f"pixel error, {name}": value for name, value in region_means(error, held).items()}
    return measures | read_measures(frames, held, pose) | {"hand motion": hand_motion(frames, held)}


def read_measures(frames: np.ndarray, held: HeldOut, pose: PresenterPose) -> Measures:
    """hand px: mean distance of the read hand points to the exact ones that are visible, in pixels of the frame.

    hand score: the reader's confidence in those points. lip error: mean absolute error of the mouth opening (0 to 1).
    lip r: its correlation with the rig's over the clip's windows.
    """
    track = pose.detect(frames.reshape(-1, *frames.shape[2:]))
    assert track.mouth_open is not None
    shape = held.scores.shape
    points, scores = track.keypoints.points.reshape(*shape, 2), track.keypoints.scores.reshape(shape)
    visible = held.scores[..., HANDS] > VISIBLE_SCORE
    distance = np.linalg.norm(points[..., HANDS, :] - held.points[..., HANDS, :], axis=-1)
    mouth = held.by_clip(track.mouth_open.reshape(held.mouth_open.shape)).reshape(len(held.clip_ids), -1)
    truth = held.by_clip(held.mouth_open).reshape(len(held.clip_ids), -1)
    return {
        "hand px": masked_mean(distance, visible, held),
        "hand score": masked_mean(scores[..., HANDS], visible, held),
        "lip error": np.abs(mouth - truth).mean(1),
        "lip r": np.array([lip_r(read, true) for read, true in zip(mouth, truth, strict=True)]),
    }


def masked_mean(values: np.ndarray, keep: np.ndarray, held: HeldOut) -> np.ndarray:
    """(K,): mean of values (N, T, n) where keep; NaN for clips without any."""
    axes = (1, 2, 3)
    count = held.by_clip(keep).sum(axes)
    return np.where(count > 0, held.by_clip(values * keep).sum(axes) / np.maximum(count, 1), np.nan)


def hand_motion(frames: np.ndarray, held: HeldOut) -> np.ndarray:
    """(K,): change from frame to frame within the true hands' region, to that of the truth; 1 is as lively."""
    mask = held.masks["hands"].numpy()[:, 1:] > 0

    def motion(x: np.ndarray) -> np.ndarray:
        change = np.abs(np.diff(x.astype(np.float32), axis=1)).mean(-1)
        return held.by_clip((change * mask).sum((1, 2, 3))).sum(1)

    true = motion(held.frames)
    return np.where(true > 0, motion(frames) / np.maximum(true, 1e-6), np.nan)


@torch.no_grad()
def reader_features(frames: np.ndarray, pose: PresenterPose) -> np.ndarray:
    """(N T, D) float32: the pose reader's trunk, averaged over the picture, of each frame: what the Frechet distance is
    over."""
    images, features, reader = frames.reshape(-1, *frames.shape[2:]), [], pose.reader
    for i in range(0, len(images), 64):
        x = to_pixels(images[i : i + 64], device=reader.device)
        x = F.interpolate(x, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True)
        features.append(reader.trunk(x.to(reader.dtype)).mean((2, 3)).float().cpu())
    return torch.cat(features).numpy()


@torch.no_grad()
def bounds(held: HeldOut, codec: Any, pose: PresenterPose) -> dict[str, tuple[Measures, np.ndarray]]:
    """The same measures of what bounds a model: true frames (the reader's own error), the codec's round trips (the
    best that its latents can show), and the reference frame held still (what copying gives)."""
    parts = batches(held.batch, codec.device)
    coded = np.concatenate([decode(codec, batch.latents) for batch in parts])
    still = np.concatenate([decode(codec, batch.ref_latent[:, None]) for batch in parts])
    kinds = {"truth": held.frames, "codec": coded, "still": np.repeat(still, held.frames.shape[1], axis=1)}
    return {kind: (frame_measures(x, held, pose), reader_features(x, pose)) for kind, x in kinds.items()}
