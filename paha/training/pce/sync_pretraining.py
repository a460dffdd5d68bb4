"""Pretraining of a PCE classifier: which sound belongs to which picture, from many sounds a picture.

Eq. 7 gives one bit a clip, and from random weights the loss stays at log 2 (chance) for long (docs/log.md). Here the
encoder runs once a video, without its audio, and the small transformer scores it with several of the batch's sounds; a
contrastive loss also matches each frame's video token with its audio token. Then the training proper.
Letters: P pairs, T frames, D width.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from paha.errors import PahaError
from paha.pce.classifier import PCEClassifier
from paha.training.report import CONSOLE, say

TEMPERATURE = 0.1
NEAR_FRAMES = 2
"""Frames of one clip so near to each other sound alike and do not count as negatives."""
OTHER_SOUNDS = 8
"""Sounds of other clips that a video is scored with beside its own; all of the batch's would cost P^2 sequences."""
TELL_EVERY_S = 5.0


def frame_loss(video: Tensor, audio: Tensor) -> Tensor:
    """Cross-entropy of finding each frame's audio token among those of all frames, and the other way round.

    video, audio: (P, T, D). Frames of the same clip nearer than NEAR_FRAMES are left out.
    """
    P, T, _ = video.shape
    similarity = F.normalize(video.float().flatten(0, 1), dim=-1) @ F.normalize(audio.float().flatten(0, 1), dim=-1).T
    frame = torch.arange(P * T, device=video.device)
    apart = (frame[:, None] - frame).abs()
    same_clip = frame[:, None] // T == frame // T
    near = same_clip & (apart > 0) & (apart <= NEAR_FRAMES)
    logits = (similarity / TEMPERATURE).masked_fill(near, float("-inf"))
    return (F.cross_entropy(logits, frame) + F.cross_entropy(logits.T, frame)) / 2


def clip_loss(
    model: PCEClassifier, video: Tensor, audio: Tensor, other: Tensor, *, others: int = OTHER_SOUNDS
) -> Tensor:
    """Eq. 7 of every video with its own sound (half the weight) and with `others` that do not fit it.

    video, audio, other: tokens (P, T, D); other is each clip's own sound out of step, or another's, and the first that
    does not fit; the rest are the own sounds of the clips that follow in the batch, as far as there are any.
    """
    P = len(video)
    following = [audio.roll(-k, dims=0) for k in range(1, min(others, P))]
    sounds = torch.cat([audio, other, *following])
    logits = model.logits(video.repeat(len(sounds) // P, 1, 1), sounds).float()
    return (F.softplus(-logits[:P]).mean() + F.softplus(logits[P:]).mean()) / 2


@dataclass(frozen=True)
class PretrainingBatch:
    """Of P real windows: shown (P, T, C, H, W), noised, masked and cropped as in training; time (P, T); audio and
    other (P, T, 2m+1, L, D), each clip's own sound and one that does not fit."""

    shown: Tensor
    time: Tensor
    audio: Tensor
    other: Tensor


@dataclass(frozen=True)
class PretrainingResult:
    """steps: taken. frame_loss, clip_loss: means over the last tenth of them; a classifier at chance has log 2
    of the latter; both NaN where no step was taken."""

    steps: int
    frame_loss: float
    clip_loss: float


def pretrain_sync(
    model: PCEClassifier,
    draw: Callable[[int], PretrainingBatch],
    *,
    steps: int,
    learning_rate: float,
    bf16: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> PretrainingResult:
    """Train the model in place for `steps` steps on the batches draw(0), draw(1) ..., or until `stopped()` is true.

    Raises PahaError where a loss is not finite.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01, fused=device.type == "cuda")
    ramp = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=max(1, steps // 10))
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=learning_rate / 10)
    losses: list[Tensor] = []
    for step in _told_steps(steps, losses):
        if stopped():
            break
        batch = draw(step)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            video = model.encode_video(batch.shown, batch.time, batch.audio, audio_free=True)
            audio, other = model.encode_audio(torch.cat([batch.audio, batch.other])).chunk(2)
            parts = torch.stack([frame_loss(video, audio), clip_loss(model, video, audio, other)])
        optimizer.zero_grad()
        parts.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        (ramp if step < steps // 10 else cosine).step()
        losses.append(parts.detach())
    frame, clip = _recent(losses)
    if losses and not math.isfinite(frame + clip):
        raise PahaError("the classifier's warm-up is not finite; lower train.learning_rate")
    return PretrainingResult(len(losses), frame, clip)


def _recent(losses: list[Tensor]) -> tuple[float, float]:
    """Mean frame and clip loss of the last tenth of the steps."""
    if not losses:
        return math.nan, math.nan
    frame, clip = torch.stack(losses[-max(1, len(losses) // 10) :]).mean(0).tolist()
    return frame, clip


def _told_steps(steps: int, losses: list[Tensor]) -> Iterator[int]:
    """0 .. steps - 1: a bar on a terminal, else a line every few seconds (a loss that is read holds up a GPU)."""
    from paha.runtime.progress import tracked

    if CONSOLE.is_terminal and not CONSOLE.is_dumb_terminal:
        yield from tracked(range(steps), "sync pretraining", total=steps)
        return
    begin = told = time.monotonic()
    for step in range(steps):
        if step and time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            frame, clip = _recent(losses)
            say(f"sync pretraining: step {step} of {steps}, frames {frame:.2f}, clips {clip:.3f}, {told - begin:.0f} s")
        yield step
