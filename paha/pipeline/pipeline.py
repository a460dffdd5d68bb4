"""PahaPipeline: reference image and recording in, a video of that person speaking out (diffusers conventions)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.outputs import BaseOutput
from torch import Tensor

from paha import config as configuration
from paha.config import PahaConfig
from paha.errors import PahaError
from paha.extractors.audio import AudioEncoder, load_audio_encoder
from paha.extractors.image import ImageEncoder, load_image_encoder
from paha.pce.regions import Region
from paha.pipeline import out_of_distribution as likeness
from paha.pipeline import scene as scenes
from paha.pipeline.model_folder import (
    CLASSIFIER_FOLDERS,
    CODEC_FOLDER,
    CONFIG_FILE,
    POSE_READER_FOLDER,
    UNIVDM_FOLDER,
    VAE_FOLDER,
    find_model,
    load_classifier,
    load_model_codec,
    load_univdm,
    read_config,
)
from paha.pipeline.scene import AudioInput, ImageInput, PahaWarning, Scene
from paha.sampling.long_video import Segment, chain_segments, segment_noise
from paha.sampling.sampler import Guidance, Predict, StepCallback, sample
from paha.sampling.schedule import Schedule
from paha.sampling.target import from_target
from paha.types import Conditioning
from paha.univdm.attention import Kept

MIN_REFERENCE_PSNR_DB = 24.0
"""Default of `reference_psnr_db`; calibrate it for a trained codec on held-out presenters against photographs."""

GuidanceFactory: TypeAlias = Callable[[Conditioning], Guidance]
"""A segment's conditioning -> the guidance that the sampler calls in that segment."""
StepEnd: TypeAlias = Callable[[Any, int, int, dict[str, Tensor]], dict[str, Tensor] | None]
"""diffusers' callback: (pipeline, step, timestep, {"latents": z}) -> None, or {"latents": z} to go on with."""


@dataclass
class PahaPipelineOutput(BaseOutput):
    """frames: uint8 (T, H, W, 3); a list of PIL images; or float32 codec latents (T, C, h, w), by output_type."""

    frames: Any


@dataclass(frozen=True)
class SegmentOutput:
    """A finished segment. frames: its new ones, uint8 (T', H, W, 3). latents: (T, C, h, w) float32 on the CPU, of the
    whole segment, as they were diffused; what `decode` takes and, its last one, what the next segment starts from."""

    segment: Segment
    frames: np.ndarray
    latents: Tensor

    @property
    def last_latent(self) -> Tensor:
        """(C, h, w): `first_latent` of the next segment."""
        return self.latents[-1]


class PahaPipeline(DiffusionPipeline):
    """Audio-driven human animation with UniVDM.

    univdm: the network. codec: its autoencoder. preset: the configuration both were made with. reference_psnr_db: a
    reference image that the presenter codec reproduces worse than this draws a warning. audio_encoder, image_encoder:
    by default those of the preset, loaded on first use from the model folder, a directory or the hub.
    """

    def __init__(
        self,
        univdm: Any,
        codec: Any,
        preset: PahaConfig | None = None,
        reference_psnr_db: float = MIN_REFERENCE_PSNR_DB,
        audio_encoder: AudioEncoder | None = None,
        image_encoder: ImageEncoder | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        # diffusers takes arguments without a default for networks, hence the None.
        if preset is None:
            raise ValueError("PahaPipeline needs the preset that its networks were made with")
        self.register_modules(univdm=univdm, codec=codec)
        self.register_to_config(reference_psnr_db=reference_psnr_db)
        self.preset = preset
        self.schedule = Schedule(preset.diffusion)
        self._folder = folder
        self._compute_device: torch.device | None = None
        self._audio_encoder, self._image_encoder = audio_encoder, image_encoder
        self._classifiers: dict[Region, Any] = {}

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, pretrained_model_name_or_path: str | Path, *, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Load a model folder or hub name. Raises PahaError that names a missing, truncated or foreign file, or the key
        whose shape is wrong."""
        folder = find_model(pretrained_model_name_or_path)
        config = read_config(folder)
        univdm, codec = load_univdm(folder, config), load_model_codec(folder, config)
        psnr = _stored_psnr(folder)
        pipeline = cls(univdm, codec, config, reference_psnr_db=psnr, folder=folder)
        return pipeline if dtype == torch.float32 else pipeline.to(dtype=dtype)

    def save_pretrained(self, save_directory: str | Path) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write the model folder: paha.yaml, model_index.json and safetensors. Public encoders are kept by name; the
        classifiers are written where `classifier` has loaded them or they were given to `add_classifier`."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.univdm.save_pretrained(folder / UNIVDM_FOLDER, safe_serialization=True)
        is_svd = self.preset.codec.kind == "svd"
        part, name = (self.codec.vae, VAE_FOLDER) if is_svd else (self.codec, CODEC_FOLDER)
        part.save_pretrained(folder / name, safe_serialization=True)
        for region, classifier in self._classifiers.items():
            classifier.save_pretrained(folder / CLASSIFIER_FOLDERS[region], safe_serialization=True)
        self.save_config(folder)
        configuration.dump(self.preset, folder / CONFIG_FILE)

    def prepare(
        self,
        image: ImageInput,
        audio: AudioInput,
        *,
        num_frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> Scene:
        """Check the inputs and encode them. num_frames: by default as long as the sound, to the frame.

        Warns (PahaWarning) of silence and of an image unlike those that the model was trained on. Raises PahaError for
        anything else that is wrong with them.
        """
        width, height = scenes.frame_size(self.preset, width, height)
        image, audio = scenes.as_image(image), scenes.as_audio(audio)
        segments = scenes.plan(audio, num_frames, self.preset.num_frames)
        total = segments[-1].start + segments[-1].emitted.stop
        speech = scenes.speech_for_model(*audio)
        pixels = scenes.image_to_pixels(image, width=width, height=height)
        ref_latent, ref_channels, image_tokens = self._encode_image(pixels, image)
        return Scene(
            width=width,
            height=height,
            ref_latent=ref_latent,
            ref_channels=ref_channels,
            image_tokens=image_tokens,
            audio_features=self.audio_encoder.encode(speech, total),
            segments=segments,
        )

    def generate(
        self,
        scene: Scene,
        *,
        num_inference_steps: int | None = None,
        seed: int = 0,
        cfg_scale: float | None = None,
        guidance: GuidanceFactory | None = None,
        guidance_rate: float = 0.5,
        callback_on_step_end: StepEnd | None = None,
        start_segment: int = 0,
        first_latent: Tensor | None = None,
    ) -> Iterator[SegmentOutput]:
        """Sample the scene segment by segment, each one yielded as it is done; memory does not grow with the length.

        start_segment, first_latent: go on after a finished segment, whose `last_latent` is given; the video is the same
        to the bit. Other arguments as in `__call__`.
        """
        if (start_segment > 0) != (first_latent is not None):
            raise ValueError("start_segment and first_latent go together")
        num_steps = self.preset.sample.steps if num_inference_steps is None else num_inference_steps
        cfg_scale = self.preset.sample.cfg_scale if cfg_scale is None else cfg_scale

        def sample_segment(segment: Segment, first: Tensor | None) -> Tensor:
            conditioning = scene.conditioning(segment, audio_margin=self.preset.model.audio_margin)
            return self._sample(
                conditioning,
                segment_noise((1, segment.length, *scene.ref_latent.shape[1:]), seed=seed, index=segment.index),
                first,
                num_steps=num_steps,
                cfg_scale=cfg_scale,
                guidance=None if guidance is None else guidance(conditioning),
                guidance_rate=guidance_rate,
                callback=_step_callback(self, callback_on_step_end, segment.index * num_steps),
            )

        for segment, latents in chain_segments(
            sample_segment, scene.segments[start_segment:], first_latent=first_latent
        ):
            yield SegmentOutput(segment, self.decode(scene, segment, latents), latents)

    def stream(
        self,
        image: ImageInput,
        audio: AudioInput,
        *,
        num_frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
        num_inference_steps: int | None = None,
        seed: int = 0,
        cfg_scale: float | None = None,
        guidance: GuidanceFactory | None = None,
        guidance_rate: float = 0.5,
        callback_on_step_end: StepEnd | None = None,
        start_segment: int = 0,
        first_latent: Tensor | None = None,
    ) -> Iterator[SegmentOutput]:
        """`prepare` and `generate` in one. The inputs are checked at once, not when the first segment is asked for."""
        return self.generate(
            self.prepare(image, audio, num_frames=num_frames, width=width, height=height),
            num_inference_steps=num_inference_steps,
            seed=seed,
            cfg_scale=cfg_scale,
            guidance=guidance,
            guidance_rate=guidance_rate,
            callback_on_step_end=callback_on_step_end,
            start_segment=start_segment,
            first_latent=first_latent,
        )

    def __call__(
        self,
        image: ImageInput,
        audio: AudioInput,
        *,
        num_frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
        num_inference_steps: int | None = None,
        generator: torch.Generator | None = None,
        seed: int | None = None,
        cfg_scale: float | None = None,
        guidance: GuidanceFactory | None = None,
        guidance_rate: float = 0.5,
        callback_on_step_end: StepEnd | None = None,
        output_type: Literal["np", "pil", "latent"] = "np",
    ) -> PahaPipelineOutput:
        """The whole video at once.

        image: uint8 (H, W, 3) array, PIL image or path; cropped to the preset's aspect. audio: (samples, rate in Hz) or
        path. num_frames: as long as the sound by default. width, height, num_inference_steps, cfg_scale: the preset's
        by default. generator, seed: where the noise comes from, the seed first; a random seed without both.
        cfg_scale: classifier-free guidance on the audio, prediction without it + scale * (with - without); 1 is off and
        costs nothing, else every step costs two evaluations. guidance: makes the classifier guidance of a segment,
        which acts on the first guidance_rate of the steps. callback_on_step_end: diffusers' callback; steps count
        through all segments.
        """
        scene = self.prepare(image, audio, num_frames=num_frames, width=width, height=height)
        outputs = self.generate(
            scene,
            num_inference_steps=num_inference_steps,
            seed=_choose_seed(seed, generator),
            cfg_scale=cfg_scale,
            guidance=guidance,
            guidance_rate=guidance_rate,
            callback_on_step_end=callback_on_step_end,
        )
        collected = []
        with self.progress_bar(total=len(scene.segments)) as bar:  # pyright: ignore[reportCallIssue]
            for output in outputs:
                collected.append(self._collect(scene, output, output_type))
                bar.update()
        frames: Any = torch.cat(collected) if output_type == "latent" else np.concatenate(collected)
        return PahaPipelineOutput(frames=_as_pil(frames) if output_type == "pil" else frames)

    @torch.no_grad()
    def decode(self, scene: Scene, segment: Segment, latents: Tensor) -> np.ndarray:
        """The new frames of a segment, uint8 (T', H, W, 3), from its `SegmentOutput.latents`."""
        z = self.codec_latents(scene, latents[: segment.emitted.stop])
        pixels = self.codec.decode(z.to(self.codec.dtype))
        return scenes.pixels_to_frames(pixels[segment.emitted.start :])

    def codec_latents(self, scene: Scene, latents: Tensor) -> Tensor:
        """Diffused latents (T, C, h, w) to the codec's: f_ref + residual_std x where the target is the residual."""
        z_0 = latents.to(scene.ref_latent.device)[None]
        return from_target(z_0, scene.ref_latent, self.preset.diffusion)[0]

    @property
    def device(self) -> torch.device:
        """Where it computes; parts that take turns there (`paha.pipeline.low_vram`) lie elsewhere in between."""
        return self._compute_device or super().device

    def compute_on(self, device: torch.device) -> None:
        """Fix `device`, for parts that are brought there when they are called."""
        # Loaded encoders are left where they are from now on.
        self._audio_encoder, self._image_encoder = self.audio_encoder, self.image_encoder
        self._compute_device = device

    @property
    def audio_encoder(self) -> AudioEncoder:
        """The preset's audio encoder, loaded on first use."""
        if self._audio_encoder is None:
            self._audio_encoder = load_audio_encoder(self.preset.audio, self._folder)
        return self._audio_encoder if self._compute_device else self._audio_encoder.to(self.device)

    @property
    def image_encoder(self) -> ImageEncoder:
        """The preset's image encoder, loaded on first use."""
        if self._image_encoder is None:
            self._image_encoder = load_image_encoder(self.preset.image, self._folder)
        return self._image_encoder if self._compute_device else self._image_encoder.to(self.device)

    def classifier(self, region: Region) -> Any:
        """The PCE classifier of a region, loaded from the model folder on first use; float32 on the pipeline's device.

        Raises PahaError where there is none.
        """
        if region not in self._classifiers:
            if self._folder is None:
                raise PahaError(f"this pipeline has no {region} classifier; give it by add_classifier")
            self._classifiers[region] = load_classifier(self._folder, region, self.preset)
        return self._classifiers[region].to(self.device)

    def add_classifier(self, classifier: Any) -> None:
        """Use this PCEClassifier for its region, and write it with `save_pretrained`."""
        self._classifiers[classifier.region] = classifier.eval().requires_grad_(False)

    @property
    def pose_reader_folder(self) -> Path | None:
        """Where the model folder carries a pose reader of presenters; None without one."""
        folder = None if self._folder is None else self._folder / POSE_READER_FOLDER
        return folder if folder is not None and folder.is_dir() else None

    @torch.no_grad()
    def _encode_image(self, pixels: Tensor, image: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        pixels = pixels.to(self.device, self.codec.dtype)
        ref_latent = self.codec.encode(pixels)
        self._check_likeness(image, pixels, ref_latent)
        ref_channels = self.codec.encode_unscaled(pixels)
        return ref_latent.float(), ref_channels.float(), self.image_encoder.encode(ref_latent, pixels)

    def _check_likeness(self, image: np.ndarray, pixels: Tensor, ref_latent: Tensor) -> None:
        """Warn of an image unlike the presenters that the model was trained on (`paha.pipeline.out_of_distribution`); where the model
        folder has no such measure, of one that the codec cannot reproduce."""
        if self.preset.codec.kind != "presenter":
            return
        distance = likeness.image_distance(image, self.pose_reader_folder)
        if distance is not None:
            unlike, measured = distance > 1, f"their distance is at most 1, its {distance:.1f}"
        else:
            psnr = scenes.psnr_db(self.codec.decode(ref_latent), pixels)
            unlike, measured = psnr < self.config["reference_psnr_db"], f"its codec reproduces it at {psnr:.1f} dB"
        if unlike:
            warnings.warn(
                f"the image is unlike those this model was trained on, drawn presenters ({measured}): the video will "
                f"look wrong. Give a presenter image (`paha synth` makes them), or a model trained on such people "
                f"(`paha train`)",
                PahaWarning,
                stacklevel=4,
            )

    @torch.no_grad()
    def _sample(
        self,
        conditioning: Conditioning,
        z_T: Tensor,
        first: Tensor | None,
        *,
        num_steps: int,
        cfg_scale: float,
        guidance: Guidance | None,
        guidance_rate: float,
        callback: StepCallback | None,
    ) -> Tensor:
        """One segment: (T, C, h, w) float32 on the CPU."""
        z_0 = sample(
            self._predictor(conditioning, cfg_scale),
            z_T.to(self.device),
            num_steps=num_steps,
            schedule=self.schedule,
            prediction_type=self.preset.diffusion.prediction_type,
            first_frame=None if first is None else first[None].to(self.device),
            first_frame_timestep=self.preset.diffusion.first_frame_timestep,
            guidance=guidance,
            guidance_rate=guidance_rate,
            callback=callback,
        )
        return z_0[0].float().cpu()

    def _predictor(self, conditioning: Conditioning, cfg_scale: float) -> Predict:
        """UniVDM as the sampler calls it: float32 latents in and out, whatever type the network has."""
        conditioning = conditioning.to(self.device, self.univdm.dtype)
        ref_time = float(self.schedule.time_input(0))

        @cache
        def told(copies: int, with_audio: bool, share_deep: bool) -> dict[str, Any]:
            """Differential Guidance asks about three latents at once; what the steps have in common is kept."""
            asked = conditioning if copies == 1 else conditioning.repeat(copies)
            if not with_audio:
                asked = replace(asked, audio_mask=torch.zeros(len(asked.audio), device=self.device))
            own = {"deep_clips": len(conditioning.audio)} if share_deep else {}
            return {"conditioning": asked, "ref_time": ref_time, "kept": Kept()} | own

        def predict(z: Tensor, t: Tensor, /, *, share_deep: bool = False) -> Tensor:
            inputs = z.to(self.univdm.dtype), self.schedule.time_input(t)
            copies = len(z) // len(conditioning.audio)
            prediction = self.univdm(*inputs, **told(copies, True, share_deep)).float()
            if cfg_scale == 1:
                return prediction
            without = self.univdm(*inputs, **told(copies, False, share_deep)).float()
            return without + cfg_scale * (prediction - without)

        return predict

    def _collect(self, scene: Scene, output: SegmentOutput, output_type: str) -> Any:
        if output_type != "latent":
            return output.frames
        return self.codec_latents(scene, output.latents[output.segment.emitted])


def _step_callback(pipeline: PahaPipeline, callback: StepEnd | None, first_step: int) -> StepCallback | None:
    if callback is None:
        return None

    def on_step(step: int, t: int, z: Tensor) -> Tensor | None:
        changed = callback(pipeline, first_step + step, t, {"latents": z})
        return None if not changed else changed.get("latents")

    return on_step


def _choose_seed(seed: int | None, generator: torch.Generator | None) -> int:
    if seed is not None:
        return seed
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))


def _stored_psnr(folder: Path) -> float:
    """`reference_psnr_db` of model_index.json; the default where a folder was put together without that file."""
    path = folder / "model_index.json"
    if not path.is_file():
        return MIN_REFERENCE_PSNR_DB
    try:
        return float(PahaPipeline.load_config(str(folder))["reference_psnr_db"])  # pyright: ignore
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PahaError(f"{path} is not the index of a PAHA model; copy the model folder again") from error


def _as_pil(frames: np.ndarray) -> list[Any]:
    from PIL import Image

    return [Image.fromarray(frame) for frame in frames]
