"""What a video is made from: one reference image and one recording, checked and turned into what UniVDM sees."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from paha.config import PahaConfig
from paha.errors import PahaError
from paha.media.audio_io import MIN_AUDIO_SECONDS, is_silent, num_video_frames, read_audio, to_mono_16k
from paha.media.image_io import MIN_IMAGE_PX, fit_image, read_image
from paha.sampling.long_video import Segment, plan_segments, segment_audio
from paha.types import Conditioning

MAX_SIDE_PX = 4096
"""Largest side of a video: beyond it the operating system ends the process for want of memory."""
ImageInput: TypeAlias = Any
"""uint8 (H, W, 3) array, PIL image, or path."""
AudioInput: TypeAlias = "tuple[np.ndarray, int] | Path | str"
"""(samples (N,) or (N, channels), rate in Hz), or the path of a recording or a video with sound."""


class PahaWarning(UserWarning):
    """Something in the input that the video will suffer from."""


@dataclass(frozen=True)
class Scene:
    """Everything that does not change from segment to segment.

    width, height: of the video, pixels. ref_latent, ref_channels: (1, C, h, w) float32. image_tokens: (1, S, D).
    audio_features: (T, L, D), the whole video.
    """

    width: int
    height: int
    ref_latent: Tensor
    ref_channels: Tensor
    image_tokens: Tensor
    audio_features: Tensor
    segments: list[Segment]

    @property
    def num_frames(self) -> int:
        """T of the whole video."""
        return len(self.audio_features)

    def conditioning(self, segment: Segment, *, audio_margin: int) -> Conditioning:
        """What UniVDM is told in that segment, B = 1."""
        audio = segment_audio(self.audio_features, segment, margin=audio_margin)[None]
        return Conditioning(
            ref_latent=self.ref_latent,
            ref_channels=self.ref_channels,
            image_tokens=self.image_tokens,
            audio=audio.to(self.ref_latent.device),
        )


def as_image(image: ImageInput) -> np.ndarray:
    """(H, W, 3) uint8 RGB. Raises PahaError that says what is wrong with it."""
    if isinstance(image, str | Path):
        return read_image(image)
    if hasattr(image, "convert"):  # a PIL image
        image = np.asarray(image.convert("RGB"))
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise PahaError(f"the image is {image.dtype} {image.shape}; give uint8 of shape (height, width, 3)")
    if min(image.shape[:2]) < MIN_IMAGE_PX:
        raise PahaError(f"the image is {image.shape[1]} x {image.shape[0]}; give at least {MIN_IMAGE_PX} pixels a side")
    return image


def as_audio(audio: AudioInput) -> tuple[np.ndarray, int]:
    """Samples (N, channels) float32 and their rate. Raises PahaError for sound that is too short or not finite."""
    samples, rate_hz = read_audio(audio) if isinstance(audio, str | Path) else audio
    samples = np.asarray(samples)
    if np.issubdtype(samples.dtype, np.integer):
        samples = samples / float(np.iinfo(samples.dtype).max + 1)
    samples = samples.astype(np.float32, copy=False).reshape(len(samples), -1)
    where = audio if isinstance(audio, str | Path) else "the audio"
    if len(samples) < MIN_AUDIO_SECONDS * rate_hz:
        raise PahaError(f"{where} is {len(samples) / rate_hz:.2f} s long; give {MIN_AUDIO_SECONDS} s of speech or more")
    if not np.isfinite(samples).all():
        raise PahaError(f"{where} holds samples that are not numbers; record or convert it again")
    return samples, rate_hz


def speech_for_model(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """16 kHz mono (M,); exact silence, with a warning, where the recording is silent."""
    mono = to_mono_16k(samples, rate_hz)
    if not is_silent(mono):
        return mono
    warnings.warn(
        "the audio is silent: the lips will stay closed; give a recording of speech", PahaWarning, stacklevel=3
    )
    return np.zeros_like(mono)


def image_to_pixels(image: np.ndarray, *, width: int, height: int) -> Tensor:
    """(H, W, 3) uint8 of any size to (1, 3, height, width) float32 in [-1, 1]."""
    fitted = fit_image(image, width=width, height=height)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None].float() / 127.5 - 1


def pixels_to_frames(pixels: Tensor) -> np.ndarray:
    """(T, 3, H, W) in [-1, 1] to (T, H, W, 3) uint8 on the CPU."""
    scaled = ((pixels.float() + 1) * 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def psnr_db(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of pixels in [-1, 1], in decibels."""
    error = (a.float() - b.float()).square().mean().clamp(min=1e-12)
    return float(10 * torch.log10(4 / error))


def frame_size(config: PahaConfig, width: int | None, height: int | None) -> tuple[int, int]:
    """(width, height), those of the configuration where None. Raises PahaError where the model cannot make them."""
    width = config.width if width is None else width
    height = config.height if height is None else height
    factor = config.codec.downsample * 2 ** (len(config.model.block_out_channels) - 1)
    if width < factor or height < factor or width % factor or height % factor:
        raise PahaError(f"{width} x {height} does not fit this model; both must be multiples of {factor}")
    if max(width, height) > MAX_SIDE_PX:
        raise PahaError(f"{width} x {height} is too large; give at most {MAX_SIDE_PX} pixels a side")
    return width, height


def plan(audio: tuple[np.ndarray, int], num_frames: int | None, segment_frames: int) -> list[Segment]:
    """The segments of a video as long as the sound, or of `num_frames` frames. Raises PahaError below 1."""
    num_frames = num_video_frames(len(audio[0]), audio[1]) if num_frames is None else num_frames
    if num_frames < 1:
        raise PahaError(f"num_frames is {num_frames}; give at least 1")
    return plan_segments(num_frames, segment_frames)
