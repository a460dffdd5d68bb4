"""Speech to one feature a video frame: log-mel bands, an acoustic model on them, or wav2vec 2.0 (design row 6).

T video frames, L layers of a frame's feature, D its width. Frame f's feature is centred on [f / 25, (f + 1) / 25) s.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from paha.config import AudioConfig
from paha.extractors.acoustic_model import AcousticModel
from paha.extractors.mel import (
    FFT_SIZE,
    HOP,
    MELS_PER_FRAME,
    SAMPLES_PER_FRAME,
    fit_length,
    log_mel,
    mel_filters,
    normalise_level,
    power_spectra,
)
from paha.extractors.pretrained import load_pretrained
from paha.univdm.pretrained import load_part

AUDIO_ENCODER_FOLDER = "audio_encoder"
"""Where a model folder may carry the weights of its audio encoder."""
QUIET_SHARE = 0.05
"""Of a recording's mel frames: in each band as many are quieter than its quiet."""
LIP_READER_FOLDER = "lip_reader_{}"
"""Below it, from 1: further acoustic models, for the lips alone."""
SHIPPED_ACOUSTIC_MODEL = Path(str(files("paha"))) / "assets" / "presenter" / AUDIO_ENCODER_FOLDER
"""What an acoustic encoder without a name is."""


class AudioEncoder(Protocol):
    """Samples to features."""

    def encode(self, mono_16k: np.ndarray, num_frames: int) -> Tensor:
        """(M,) float32 samples at 16 kHz to (T, L, D) float32 features of T = num_frames video frames, on the CPU.

        Sound longer than the frames is cut, shorter is followed by silence. Loudness is levelled over the whole
        recording; silence gives finite, constant features.
        """
        ...

    def to(self, device: torch.device | str) -> AudioEncoder:
        """Itself, its weights moved."""
        ...


class LogMelEncoder:
    """Log-mel bands: L = 4 mel frames (10 ms apart) a video frame, D bands, in about [-1, 1]; silence is -1."""

    CHUNK_FRAMES = 250
    """Video frames transformed at a time, so that spectra of long recordings never lie in memory together."""

    def __init__(self, *, mel_bands: int = 80) -> None:
        self.filters = mel_filters(mel_bands)

    def encode(self, mono_16k: np.ndarray, num_frames: int) -> Tensor:
        """(M,) samples to (num_frames, 4, mel_bands); see `AudioEncoder.encode`."""
        samples = fit_length(normalise_level(mono_16k), num_frames * SAMPLES_PER_FRAME)
        # Mel frame k of the recording is centred on the hop [160 k, 160 (k + 1)): its window starts before it.
        lead = FFT_SIZE // 2 - HOP // 2
        padded = torch.from_numpy(np.pad(samples, (lead, FFT_SIZE - HOP - lead)))
        chunks = []
        for start in range(0, num_frames, self.CHUNK_FRAMES):
            stop = min(start + self.CHUNK_FRAMES, num_frames)
            piece = padded[start * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME + FFT_SIZE - HOP]
            chunks.append(log_mel(power_spectra(piece), self.filters))
        return torch.cat(chunks).unflatten(0, (num_frames, MELS_PER_FRAME))

    def to(self, device: torch.device | str) -> LogMelEncoder:
        """Itself: it has no weights."""
        return self


class AcousticEncoder:
    """Log-mel bands, and below them what an `AcousticModel` hears: L = 4 rows of bands, then D / bands rows of it.

    lip_readers: further acoustic models, whose lips are averaged with its own (`lips`), as their errors are not the
    same; they may be exchanged without training UniVDM again, which knows the features of the first.
    """

    CHUNK_FRAMES: int = 500
    CONTEXT_FRAMES = 24
    """More than the networks see to one side."""

    def __init__(self, model: AcousticModel, lip_readers: Sequence[AcousticModel] = ()) -> None:
        self.model = model.float().eval().requires_grad_(False)
        self.lip_readers = [reader.float().eval().requires_grad_(False) for reader in lip_readers]
        self.mel = LogMelEncoder(mel_bands=model.config["mel_bands"])

    @classmethod
    def load(cls, folder: Path | str) -> AcousticEncoder:
        """From a folder of `paha train acoustic-model`. Raises PahaError that names it where it is none."""
        remedy = "train one with `paha train acoustic-model` and give its model folder as audio.name"
        readers = sorted(Path(folder).glob(LIP_READER_FOLDER.format("*")))
        return cls(
            load_part(AcousticModel, Path(folder), remedy=remedy), [load_part(AcousticModel, r) for r in readers]
        )

    def save(self, folder: Path) -> None:
        """Write the model as fp16 safetensors, the lip readers in 8 bits."""
        copy.deepcopy(self.model).half().save_pretrained(folder)
        for number, reader in enumerate(self.lip_readers, 1):
            copy.deepcopy(reader).half().save_pretrained(folder / LIP_READER_FOLDER.format(number), eight_bits=True)

    @torch.no_grad()
    def encode(self, mono_16k: np.ndarray, num_frames: int) -> Tensor:
        """(M,) samples to (num_frames, L, mel_bands); see `AudioEncoder.encode`."""
        mel = self.mel.encode(mono_16k, num_frames)
        return torch.cat([mel, self._features(self.model, mel).unflatten(1, (-1, mel.shape[2]))], dim=1)

    @torch.no_grad()
    def lips(self, encoded: Tensor) -> Tensor:
        """Lips (T, 3) as they are heard (`AcousticModel.lips`), on the CPU, of what `encode` gave.

        Before and after it the recording's own quiet goes on: at a bare end nobody knows whether a breath, with open
        lips, and another phrase follow.
        """
        mel, margin = encoded[:, :MELS_PER_FRAME], self.CONTEXT_FRAMES
        frames = mel.flatten(0, 1)
        quiet = frames.kthvalue(1 + int(QUIET_SHARE * len(frames)), dim=0).values.expand(margin, MELS_PER_FRAME, -1)
        mel = torch.cat([quiet, mel, quiet])
        models = (self.model, *self.lip_readers)
        heard = [model.lips(self._features(model, mel)[margin:-margin].to(model.device)).cpu() for model in models]
        return torch.stack(heard).mean(0)

    def _features(self, model: AcousticModel, mel: Tensor) -> Tensor:
        """(T, D) on the CPU, of bands (T, 4, M), in pieces with context, so that memory does not grow with T."""
        features, num_frames = [], len(mel)
        for start in range(0, num_frames, self.CHUNK_FRAMES):
            stop = min(start + self.CHUNK_FRAMES, num_frames)
            first, last = max(0, start - self.CONTEXT_FRAMES), min(num_frames, stop + self.CONTEXT_FRAMES)
            around = mel[first:last].flatten(0, 1)[None].to(model.device)
            features.append(model(around).features[0, start - first : stop - first].cpu())
        return torch.cat(features)

    def to(self, device: torch.device | str) -> AcousticEncoder:
        """Itself, its weights moved."""
        for model in (self.model, *self.lip_readers):
            model.to(device)  # pyright: ignore[reportArgumentType]
        return self


class Wav2Vec2Encoder:
    """Hidden states of all transformer layers of wav2vec 2.0 (12 x 768 for the base model), at video frame rate.

    Long recordings run in chunks with context on both sides, so memory does not grow with their length.
    """

    CHUNK_FRAMES = 250
    CONTEXT_FRAMES = 25
    STRIDE = 320
    RECEPTIVE_FIELD = 400

    def __init__(self, name: str | Path) -> None:
        """Load from a local directory or a hub name. Raises PahaError that names it if that does not work."""
        self.model = load_pretrained("Wav2Vec2Model", name, remedy="set audio.name to a directory with wav2vec 2.0")

    def encode(self, mono_16k: np.ndarray, num_frames: int) -> Tensor:
        """(M,) samples to (num_frames, layers, width); see `AudioEncoder.encode`."""
        samples = fit_length(_standardise(mono_16k), num_frames * SAMPLES_PER_FRAME)
        pieces = []
        for start in range(0, num_frames, self.CHUNK_FRAMES):
            stop = min(start + self.CHUNK_FRAMES, num_frames)
            first, last = max(0, start - self.CONTEXT_FRAMES), min(num_frames, stop + self.CONTEXT_FRAMES)
            hidden = self._hidden_states(samples[first * SAMPLES_PER_FRAME : last * SAMPLES_PER_FRAME])
            pieces.append(self._at_frames(hidden, torch.arange(start - first, stop - first)))
        return torch.cat(pieces)

    def to(self, device: torch.device | str) -> Wav2Vec2Encoder:
        """Itself, its weights moved."""
        self.model.to(device)
        return self

    @torch.no_grad()
    def _hidden_states(self, samples: np.ndarray) -> Tensor:
        """(n, L, D) at 50 Hz."""
        values = torch.from_numpy(samples)[None].to(self.model.device, self.model.dtype)
        # The first hidden state is the transformer's input, no layer's output.
        layers = self.model(values, output_hidden_states=True).hidden_states[1:]
        return torch.stack([layer[0] for layer in layers], dim=1).float().cpu()

    def _at_frames(self, hidden: Tensor, frames: Tensor) -> Tensor:
        """Linear interpolation at the video frames' centres; hidden state j is centred on sample 320 j + 200."""
        centres = (frames + 0.5) * SAMPLES_PER_FRAME
        position = ((centres - self.RECEPTIVE_FIELD / 2) / self.STRIDE).clamp(0, len(hidden) - 1)
        low = position.floor().long()
        high = (low + 1).clamp(max=len(hidden) - 1)
        return torch.lerp(hidden[low], hidden[high], (position - low)[:, None, None])


def load_audio_encoder(config: AudioConfig, model_dir: Path | str | None = None) -> AudioEncoder:
    """The encoder of a configuration; its weights from `model_dir`/audio_encoder if there, else from `config.name`."""
    if config.kind == "logmel":
        return LogMelEncoder(mel_bands=config.mel_bands)
    inside = None if model_dir is None else Path(model_dir) / AUDIO_ENCODER_FOLDER
    name = inside if inside is not None and inside.is_dir() else config.name
    return AcousticEncoder.load(name or SHIPPED_ACOUSTIC_MODEL) if config.kind == "acoustic" else Wav2Vec2Encoder(name)


def _standardise(mono: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance over the recording: what wav2vec 2.0 base was trained on."""
    levelled = normalise_level(mono - np.mean(mono, dtype=np.float32))
    # Speech at its level has a variance near 0.01; the small number keeps silence small instead of blowing it up.
    return levelled / np.sqrt(levelled.var() + np.float32(1e-5))
