"""What a video is made from: one reference image and one recording, checked and turned into what UniVDM sees."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from torch import Tensor

from paha.config import PahaConfig
from paha.errors import PahaError
from paha.extractors.audio import AcousticEncoder, AudioEncoder
from paha.media.audio_io import is_silent, num_video_frames, to_mono_16k
from paha.sampling.long_video import Segment, plan_segments
from paha.univdm.audio_window import audio_windows
from paha.univdm.conditioning import Conditioning

if TYPE_CHECKING:
    from paha.motion.motion_reference import MotionReference
    from paha.pipeline.reference import Reference

MAX_SIDE_PX = 4096
"""Largest side of a video: beyond it the operating system ends the process for want of memory."""


class PahaWarning(UserWarning):
    """Something in the input that the video will suffer from."""


@dataclass(frozen=True)
class EncodedInputs:
    """Everything that does not change from segment to segment.

    image_tokens: (1, S, D). audio_features: (T, L, D), the whole video. heard_lips: (T, 3) as `with_heard_lips` takes
    them, where the preset wants them.
    """

    reference: Reference
    image_tokens: Tensor
    audio_features: Tensor
    segments: list[Segment]
    heard_lips: Tensor | None = None

    @property
    def width(self) -> int:
        """Of the video, pixels."""
        return self.reference.width

    @property
    def height(self) -> int:
        """Of the video, pixels."""
        return self.reference.height

    @property
    def ref_latent(self) -> Tensor:
        """(1, C, h, w) float32."""
        return self.reference.latent

    @property
    def ref_channels(self) -> Tensor:
        """(1, C, h, w) float32."""
        return self.reference.channels

    @property
    def num_frames(self) -> int:
        """T of the whole video."""
        return len(self.audio_features)

    def follow_heard_lips(self, z_BTCHW: Tensor, segment: Segment, *, share: float, given_first: bool) -> Tensor:
        """Sampled latents of that segment, B = 1, whose lips are `share` as heard, where the preset wants it."""
        if self.heard_lips is None:
            return z_BTCHW
        from paha.motion.heard_lips import with_heard_lips

        # The last segment may end after the sound.
        heard = self.heard_lips[segment.frames.clamp(max=self.num_frames - 1)]
        grid = cast("MotionReference", self.reference).grid
        return with_heard_lips(z_BTCHW[0], heard, grid, share=share, given_first=given_first)[None]

    def blink(self, z_TCHW: Tensor, segment: Segment, lids_T: np.ndarray) -> Tensor:
        """Latents of that segment with a video's drawn blinks (`paha.motion.blinks.drawn_blinks`)."""
        from paha.motion.blinks import with_blinks

        grid = cast("MotionReference", self.reference).grid
        return with_blinks(z_TCHW, lids_T[segment.frames.clamp(max=self.num_frames - 1).numpy()], grid)

    def conditioning(self, segment: Segment, *, audio_margin: int) -> Conditioning:
        """What UniVDM is told in that segment, B = 1."""
        audio = audio_windows(self.audio_features, audio_margin, segment.frames)[None]
        return Conditioning.build(self.ref_latent, self.image_tokens, audio, ref_channels=self.ref_channels)


def hear_lips(encoder: AudioEncoder, audio_features: Tensor, config: PahaConfig) -> Tensor | None:
    """Lips (T, 3) as the encoder hears them, where the preset mixes them in (`sample.heard_lips`).

    Raises PahaError where it does and the encoder is no acoustic model.
    """
    if config.codec.kind != "motion" or config.sample.heard_lips == 0:
        return None
    if not isinstance(encoder, AcousticEncoder):
        raise PahaError(
            f"audio '{config.audio.kind}' reads no lips; set sample.heard_lips to 0, or audio.kind to acoustic"
        )
    return encoder.lips(audio_features)


def speech_for_model(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """16 kHz mono (M,); exact silence, with a warning, where the recording is silent."""
    mono = to_mono_16k(samples, rate_hz)
    if not is_silent(mono):
        return mono
    warnings.warn(
        "the audio is silent: the lips will stay closed; give a recording of speech", PahaWarning, stacklevel=3
    )
    return np.zeros_like(mono)


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


def plan_video(audio: tuple[np.ndarray, int], num_frames: int | None, segment_frames: int) -> list[Segment]:
    """The segments of a video as long as the sound, or of `num_frames` frames. Raises PahaError below 1."""
    num_frames = num_video_frames(len(audio[0]), audio[1]) if num_frames is None else num_frames
    if num_frames < 1:
        raise PahaError(f"num_frames is {num_frames}; give at least 1")
    return plan_segments(num_frames, segment_frames)
