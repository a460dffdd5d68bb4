"""`paha train pose-autoencoder`: the autoencoder of FGD and Diversity on a dataset's keypoints."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from paha.config import TrainConfig
from paha.dataset.manifest import load_annotations
from paha.dataset.splits import SplitName, split_records
from paha.errors import PahaError
from paha.evaluation.metrics.gestures import POSE_DIM, pose_windows
from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder
from paha.training.job import Job, StepContext
from paha.types import FPS

POSE_AUTOENCODER_TRAIN = TrainConfig(
    batch_size=64,
    steps=5000,
    learning_rate=5e-4,
    weight_decay=0.0,
    ema_decay=0.99,
    checkpoint_every=2000,
    sample_every=1000,
)
"""HA2G's batch size and rate (5e-4, Adam)."""
DIFFERENCE_WEIGHT = 1.0
COSINE_WEIGHT = 0.001
PROBE_WINDOWS = 1000


def load_windows(
    data: Path, *, fps: float, num_frames: int, stride: int, min_score: float, split: SplitName = "train"
) -> np.ndarray:
    """All windows (N, num_frames, 94) of the keypoints of a split of a dataset.

    Raises PahaError where no clip is long enough.
    """
    parts = [
        pose_windows(
            load_annotations(data / record.annotations).keypoints,
            fps=record.fps,
            window_fps=fps,
            num_frames=num_frames,
            stride=stride,
            min_score=min_score,
        )
        for record in split_records(data, split)
    ]
    windows = np.concatenate(parts) if parts else np.zeros((0, num_frames, POSE_DIM), np.float32)
    if not len(windows):
        raise PahaError(f"no clip of {data} lasts {num_frames / fps:.2f} s, one window; make longer ones")
    return windows


def pose_autoencoder_job(
    data: Path,
    *,
    batch_size: int,
    fps: float = 15.0,
    num_frames: int = 34,
    stride: int = 10,
    min_score: float = 0.3,
    linear_slope: float = 0.2,
    split: SplitName = "train",
) -> Job:
    """The job on a dataset folder: windows of `num_frames` frames at `fps`.

    Raises PahaError where no clip is long enough, or for a clock that no keypoints have.
    """
    if not 0 < fps <= FPS:
        raise PahaError(f"--fps {fps:g}: choose a rate of up to {FPS} frames a second")
    if num_frames < 12:
        raise PahaError(f"--frames {num_frames}: choose 12 or more")
    setting = {"fps": fps, "num_frames": num_frames, "stride": stride, "min_score": min_score}
    windows = load_windows(data, fps=fps, num_frames=num_frames, stride=stride, min_score=min_score, split=split)
    mean = windows.mean((0, 1), dtype=np.float64).astype(np.float32).tolist()
    model = PoseAutoencoder(pose_dim=POSE_DIM, mean_pose=mean, linear_slope=linear_slope, **setting)
    x = torch.from_numpy(windows)
    return Job(
        name="pose-autoencoder",
        model=model,
        loss=partial(autoencoder_loss, windows=x, batch_size=min(batch_size, len(x))),
        save=lambda trained, folder: cast(PoseAutoencoder, trained).save_pretrained(folder),
        probe=partial(probe_autoencoder, windows=x),
        fingerprint={**setting, "windows": len(x)} | ({} if linear_slope == 0.2 else {"linear_slope": linear_slope}),
    )


def autoencoder_loss(
    model: nn.Module, context: StepContext, *, windows: Tensor, batch_size: int
) -> tuple[Tensor, dict[str, float | Tensor]]:
    """Absolute error of poses and of their changes from frame to frame, and of the bones' angles, of a random batch."""
    index = torch.randint(len(windows), (batch_size,), generator=context.generator("batch"))
    x = windows[index].to(context.device)
    y = model(x)
    pose = (y - x).abs().mean()
    change = (y.diff(dim=1) - x.diff(dim=1)).abs().mean()
    bones, truth = y.unflatten(-1, (-1, 2)), x.unflatten(-1, (-1, 2))
    angle = (1 - torch.nn.functional.cosine_similarity(bones, truth, dim=-1)).mean()
    loss = pose + DIFFERENCE_WEIGHT * change + COSINE_WEIGHT * angle
    return loss, {"pose": pose.detach(), "change": change.detach(), "angle": angle.detach()}


@torch.no_grad()
def probe_autoencoder(model: nn.Module, step: int, *, windows: Tensor) -> dict[str, float | Tensor]:
    """Absolute error of reconstructed bone directions, and the same of the mean pose, on windows spread over all."""
    x = windows[:: max(1, len(windows) // PROBE_WINDOWS)].to(next(model.parameters()).device)
    return {"error": (model(x) - x).abs().mean(), "error_mean_pose": (x - x.mean((0, 1))).abs().mean()}
