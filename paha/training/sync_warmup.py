"""A head start for a PCE classifier: which sound belongs to which picture, from many sounds a picture.

Eq. 7 gives one bit a clip, and a classifier that starts from nothing stays at log 2 for long before it hears at all
(docs/log.md). Here the encoder sees each video once, without its audio, and the light transformer judges it with every
sound of the batch; frames are told apart too, each one's video token against all audio tokens. A minute of this, then
the training proper. Letters: P pairs, T frames, D width; N = P T.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from paha.errors import PahaError
from paha.models.classifier import PCEClassifier

TEMPERATURE = 0.1
NEAR_FRAMES = 2
"""Frames of one clip so near to each other sound alike: neither right nor wrong."""


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


def clip_loss(model: PCEClassifier, video: Tensor, audio: Tensor, other: Tensor) -> Tensor:
    """Eq. 7 of every video with its own sound (half the weight) and with all other sounds of the batch.

    video, audio, other: tokens (P, T, D); other is each clip's own sound out of step, or another's.
    """
    P = len(video)
    sounds = torch.cat([audio, other])
    seen = video.repeat_interleave(2 * P, dim=0)
    logits = model.judge(seen, sounds.repeat(P, 1, 1)).float().reshape(P, 2 * P)
    own = torch.eye(P, 2 * P, dtype=torch.bool, device=logits.device)
    return (F.softplus(-logits[own]).mean() + F.softplus(logits[~own]).mean()) / 2


@dataclass(frozen=True)
class WarmupBatch:
    """Of P real windows: shown (P, T, C, H, W), noised, masked and cropped as in training; time (P, T); audio and
    other (P, T, 2m+1, L, D), each clip's own sound and one that does not fit."""

    shown: Tensor
    time: Tensor
    audio: Tensor
    other: Tensor


def warm_up_sync(
    model: PCEClassifier,
    draw: Callable[[int], WarmupBatch],
    *,
    steps: int,
    learning_rate: float,
    bf16: bool = False,
) -> tuple[float, float]:
    """Train the model in place for `steps` steps on the batches draw(0), draw(1) ...

    Returns the mean frame and clip loss of the last tenth of the steps; a deaf one has log 2 of the latter.
    Raises PahaError where a loss is not finite.
    """
    from rich.progress import track

    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    ramp = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=max(1, steps // 10))
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=learning_rate / 10)
    losses: list[Tensor] = []
    for step in track(range(steps), description="sync warm-up"):
        batch = draw(step)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            video = model.see(batch.shown, batch.time, batch.audio, deaf=True)
            audio, other = model.hear(batch.audio), model.hear(batch.other)
            parts = torch.stack([frame_loss(video, audio), clip_loss(model, video, audio, other)])
        optimizer.zero_grad()
        parts.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        (ramp if step < steps // 10 else cosine).step()
        losses.append(parts.detach())
    frame, clip = torch.stack(losses[-max(1, steps // 10) :]).mean(0).tolist()
    if not math.isfinite(frame + clip):
        raise PahaError("the classifier's warm-up is not finite; lower train.learning_rate")
    return frame, clip
