"""A video of a photograph, made as `paha animate` makes it, with its latents; or latents alone, without rendering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from experiments.presenter.setup import Setup, pipeline_of
from paha.motion.motion_reference import MotionReference
from paha.motion.sampled import band_limited, initial_noise
from paha.pipeline.inputs import EncodedInputs
from paha.pipeline.pipeline import PahaPipeline
from paha.pipeline.reference import ReferenceOptions
from paha.sampling.long_video import Segment, chain_segments, segment_noise
from paha.sampling.sampler import sample
from paha.sampling.target import from_target
from paha.univdm.conditioning import Conditioning

Sound = tuple[np.ndarray, int]


@dataclass(frozen=True)
class Made:
    """frames: (T, H, W, 3) uint8. latents: (T, C, G, G). borders: first frames that a new segment made."""

    reference: MotionReference
    frames: np.ndarray
    latents: Tensor
    borders: list[int]


def encode(setup: Setup, image: np.ndarray, sound: Sound) -> EncodedInputs:
    """The inputs of a video. Raises PahaError as `paha animate` does."""
    options = ReferenceOptions(width=setup.size, height=setup.size, landmarks=setup.landmarks)
    return pipeline_of(setup.model).encode_inputs(image, sound, options)


def make(setup: Setup, image: np.ndarray, sound: Sound, *, seed: int) -> Made:
    """The whole video."""
    inputs, pipeline = encode(setup, image, sound), pipeline_of(setup.model)
    outputs = list(pipeline.generate(inputs, setup.options(seed)))
    z_0 = torch.cat([output.latents[output.segment.emitted] for output in outputs])
    frames = np.concatenate([output.frames for output in outputs])
    return Made(reference_of(inputs), frames, to_latents(pipeline, z_0[None])[0], borders_of(inputs.segments))


def to_latents(pipeline: PahaPipeline, z_0: Tensor) -> Tensor:
    """The codec's latents (B, T, C, G, G) of what is diffused; a reference's own latent is zero."""
    return from_target(z_0, torch.zeros_like(z_0[:, 0]), pipeline.preset.diffusion)


def reference_of(inputs: EncodedInputs) -> MotionReference:
    """The photograph of encoded inputs."""
    assert isinstance(inputs.reference, MotionReference)
    return inputs.reference


def borders_of(segments: Sequence[Segment]) -> list[int]:
    """First frames of the video that segments after the first one made."""
    return [segment.start + segment.emitted.start for segment in segments[1:]]


@torch.no_grad()
def sample_latents(
    pipeline: PahaPipeline,
    conditioning: Callable[[Segment], Conditioning],
    segments: Sequence[Segment],
    *,
    seeds: Sequence[int],
    steps: int,
    cfg_scale: float,
) -> Tensor:
    """Latents (B, T, C, G, G) of B videos sampled together, each with its own noise, as the pipeline's alone.

    conditioning: what UniVDM is told in a segment, of all B videos. steps, cfg_scale: as in `SampleOptions`.
    """

    def one(segment: Segment, first: Tensor | None) -> Tensor:
        told = conditioning(segment)
        shape = (1, segment.length, *told.ref_channels.shape[-3:])
        noise = torch.cat([segment_noise(shape, seed=seed, index=segment.index) for seed in seeds])
        z_0 = sample(
            pipeline.predictor(told, cfg_scale),
            initial_noise(noise, pipeline.preset),
            steps=steps,
            schedule=pipeline.schedule,
            prediction_type=pipeline.preset.diffusion.prediction_type,
            first_frame=first,
            first_frame_timestep=pipeline.preset.diffusion.first_frame_timestep,
        )
        limited = band_limited(z_0, pipeline.preset, given_first=first is not None)
        return limited.transpose(0, 1)  # frames first, as segments are chained by their last frame

    parts = [z[segment.emitted] for segment, z in chain_segments(one, segments)]
    return to_latents(pipeline, torch.cat(parts).transpose(0, 1))
