"""Pretraining of a small model's audio: its projection learns to predict lips and loudness before UniVDM does.

A large model gets its speech features ready made (wav2vec 2.0, section 4.1.1). The presenter's log-mel projection
starts from nothing, and diffusion alone teaches it slowly: the lips are 1 % of a noisy picture (docs/log.md). Here it
is trained for a minute on the clips' own keypoints, without any picture; afterwards it stays as it is.
Letters: N frames, W = 2m+1 frames of a window A(f), L layers, D bands, K keypoints.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.dataset.dataset import FeatureDataset
from paha.errors import PahaError
from paha.types import FACE
from paha.univdm.audio_window import window_frames
from paha.univdm.univdm import UniVDM

LIPS = slice(FACE.start + 48, FACE.start + 68)
BATCH_SIZE = 512
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.1
DROPOUT = 0.2
"""Of the input: held-out lips are read a little better with it."""
COARSE_BANDS = 8
"""The projection must also keep the window's spectrum in so many bands a frame: gestures follow loudness and pitch."""


def lip_shapes(points: Tensor) -> Tensor:
    """(N, 40): the lips' 20 points about their centre, in face widths, less the clip's mean. points: (N, K, 2)."""
    lips, face = points[:, LIPS], points[:, FACE]
    width = (face[..., 0].amax(1) - face[..., 0].amin(1)).mean().clamp_min(1e-6)
    shapes = ((lips - lips.mean(1, keepdim=True)) / width).flatten(1)
    return shapes - shapes.mean(0)


def coarse_spectrum(windows: Tensor) -> Tensor:
    """(N, W * bands): the mean over layers of each frame of a window, in COARSE_BANDS bands. windows: (N, W, L, D)."""
    return F.adaptive_avg_pool1d(windows.mean(2), COARSE_BANDS).flatten(1)


def pretrain_audio(
    model: UniVDM, dataset: FeatureDataset, *, steps: int, seed: int, device: torch.device | str = "cpu"
) -> float:
    """Train the model's audio projection, and its audio's way into the time embedding, until a linear layer reads lips
    and coarse spectra from what they give.

    Deterministic by seed on one machine and thread count. Returns the share of the targets' variance that is explained
    over the last tenth of the steps, at most 1. Raises PahaError where the loss is not finite.
    """
    from rich.progress import track

    frames = _Frames(dataset, torch.device(device))
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heard = _heard_by(model).to(device).requires_grad_(True)
        width = heard(frames.draw(generator)[0][:1, None]).shape[-1]
        head = nn.Linear(width, frames.num_targets).to(device)
        parameters = [*heard.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        explained = []
        for _ in track(range(steps), description="audio pretraining"):
            windows, target = frames.draw(generator)
            read = head(heard(F.dropout(windows, DROPOUT)[:, None])[:, 0])
            loss = (read - target).square().mean()
            if not loss.isfinite():
                raise PahaError("the audio pretraining's loss is not finite; are the audio features whole?")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            explained.append(1 - float(loss.detach()))
    last = explained[-max(1, steps // 10) :]
    return sum(last) / len(last)


class _Frames:
    """All frames of a dataset, end to end: audio windows and what is to be read from them, of unit variance."""

    def __init__(self, dataset: FeatureDataset, device: torch.device) -> None:
        lengths = torch.tensor([clip.num_frames for clip in dataset.clips])
        ends = lengths.cumsum(0)
        self.first = (ends - lengths).repeat_interleave(lengths).to(device)
        self.last = (ends - 1).repeat_interleave(lengths).to(device)
        self.margin = dataset.audio_margin
        self.audio = torch.cat([clip.tensors["audio"][: clip.num_frames] for clip in dataset.clips]).to(device)
        shapes = torch.cat([lip_shapes(clip.tensors["points"].float()) for clip in dataset.clips]).to(device)
        self.shapes = shapes / _scale(shapes)
        some = torch.arange(0, len(shapes), max(1, len(shapes) // 4096), device=device)
        spectra = coarse_spectrum(self.windows(some))
        self.spectrum_mean, self.spectrum_scale = spectra.mean(0), _scale(spectra)
        self.num_targets = shapes.shape[1] + spectra.shape[1]

    def windows(self, chosen: Tensor) -> Tensor:
        """A(f) of frames (N,), clamped at their clips' ends: (N, W, L, D) float32."""
        ends = {"first": self.first[chosen, None], "last": self.last[chosen, None]}
        return self.audio[window_frames(chosen, self.margin, **ends)].float()

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Windows (BATCH_SIZE, W, L, D) and targets (BATCH_SIZE, num_targets) of random frames."""
        chosen = torch.randint(len(self.shapes), (BATCH_SIZE,), generator=generator).to(self.shapes.device)
        windows = self.windows(chosen)
        coarse = (coarse_spectrum(windows) - self.spectrum_mean) / self.spectrum_scale
        return windows, torch.cat([self.shapes[chosen], coarse], 1)


def _heard_by(model: UniVDM) -> nn.Sequential:
    """(B, T, W, L, D) to what is added to the time embedding, (B, T, time_dim); without that, all tokens of a frame."""
    layers: list[nn.Module] = [model.audio_projection, nn.Flatten(2)]
    if model.audio_time_proj is not None:
        # Zero at first otherwise: a network trained without audio for a while is slow to use it.
        model.audio_time_proj.reset_parameters()
        layers.append(model.audio_time_proj)
    return nn.Sequential(*layers)


def _scale(x_ND: Tensor) -> Tensor:
    """One standard deviation for all columns, so that those that hardly move do not count."""
    return (x_ND - x_ND.mean(0)).square().mean().sqrt().clamp_min(1e-6)
