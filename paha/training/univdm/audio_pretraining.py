"""Pretraining of a small model's audio: its projection learns to read lips off speech before UniVDM is trained.

A large model gets its speech features ready made (wav2vec 2.0, section 4.1.1). The presenter's log-mel projection
starts from nothing, and diffusion alone teaches it slowly (docs/log.md). Here it is trained for minutes by regression
on the stream's own lips, without any diffusion; afterwards it stays as it is.
Letters: N frames, W = 2m+1 frames of a window A(f), L layers, D bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.dataset.synth.motion_clips import MotionClips
from paha.errors import PahaError
from paha.extractors.mel import MELS_PER_FRAME
from paha.univdm.univdm import UniVDM

SPEECHES = 600
BATCH_SIZE = 512
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.1
DROPOUT = 0.2
"""Of the input: held-out lips are read a little better with it."""
COARSE_BANDS = 8
"""The projection must also keep the window's spectrum in so many bands a frame: gestures follow loudness and pitch."""
LIP_SHARE = 4.0
"""Weight of the lips' errors beside the spectrum's."""
LIPS = ("mouth_open", "mouth_wide", "lip_press")


@dataclass(frozen=True)
class SpeechFrames:
    """Frames of whole speeches, end to end. audio: (M, L, D) features with m neighbours at both ends of each speech.
    centres: (N,) the row of each frame. lips: (N, 3) of unit variance. margin: m."""

    audio: Tensor
    centres: Tensor
    lips: Tensor
    margin: int

    @classmethod
    def of(cls, clips: MotionClips, count: int | None = None) -> Self:
        """All frames of the stream's first speeches (SPEECHES by default), as heard and as acted from rest."""
        margin, first, audio, centres, lips = clips.stream.audio_margin, 0, [], [], []
        for number in range(SPEECHES if count is None else count):
            acted = clips.acted(number)
            audio.append(acted.audio)
            centres.append(first + margin + torch.arange(len(acted.motion)))
            lips.append(torch.stack([torch.from_numpy(getattr(acted.motion, name)) for name in LIPS], 1))
            first += len(acted.audio)
        values = torch.cat(lips)
        return cls(torch.cat(audio), torch.cat(centres), (values - values.mean(0)) / values.std(0), margin)

    def windows(self, chosen: Tensor) -> Tensor:
        """A(f) of frames (N,): (N, W, L, D) float32."""
        around = torch.arange(-self.margin, self.margin + 1)
        return self.audio[self.centres[chosen, None] + around].float()


def coarse_spectrum(windows: Tensor) -> Tensor:
    """(N, W * bands): the mean spectrum of each frame of a window, in COARSE_BANDS bands. windows: (N, W, L, D), whose
    first rows are log-mel bands."""
    return F.adaptive_avg_pool1d(windows[:, :, :MELS_PER_FRAME].mean(2), COARSE_BANDS).flatten(1)


def pretrain_audio(model: UniVDM, frames: SpeechFrames, *, steps: int, seed: int) -> float:
    """Train the model's audio projection, and its audio's way into the time embedding, until a linear layer reads lips
    and coarse spectra from what they give; then freeze the projection.

    Deterministic by seed on one machine and thread count. Returns the share of the lips' variance that is explained
    over the last tenth of the steps. Raises PahaError where the loss is not finite.
    """
    from paha.runtime.progress import tracked

    generator = torch.Generator().manual_seed(seed)
    some = torch.arange(0, len(frames.centres), max(1, len(frames.centres) // 4096))
    spectra = coarse_spectrum(frames.windows(some))
    mean, scale = spectra.mean(0), spectra.std(0).clamp_min(1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heard = heard_by(model).requires_grad_(True)
        head = nn.Linear(heard(frames.windows(some[:1])[:, None]).shape[-1], len(LIPS) + len(mean))
        parameters = [*heard.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        explained = []
        for _ in tracked(range(steps), "audio pretraining", total=steps):
            chosen = torch.randint(len(frames.centres), (BATCH_SIZE,), generator=generator)
            windows = frames.windows(chosen)
            read = head(heard(F.dropout(windows, DROPOUT)[:, None])[:, 0])
            errors = (read[:, : len(LIPS)] - frames.lips[chosen]).square().mean()
            kept = (read[:, len(LIPS) :] - (coarse_spectrum(windows) - mean) / scale).square().mean()
            loss = LIP_SHARE * errors + kept
            if not loss.isfinite():
                raise PahaError("the audio pretraining's loss is not finite; is the speech whole?")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            explained.append(1 - float(errors.detach()))
    model.audio_projection.requires_grad_(False)
    last = explained[-max(1, steps // 10) :]
    return sum(last) / len(last)


def heard_by(model: UniVDM) -> nn.Sequential:
    """(B, T, W, L, D) to what the resnets hear of it, (B, T, time_dim); without that way, all tokens of a frame."""
    layers: list[nn.Module] = [model.audio_projection, nn.Flatten(2)]
    if model.audio_time_proj is not None:
        # Zero at first otherwise: a network that has heard nothing for a while is slow to listen.
        model.audio_time_proj.reset_parameters()
        layers.append(model.audio_time_proj)
    return nn.Sequential(*layers)
