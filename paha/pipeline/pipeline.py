"""PahaPipeline: reference image and recording in, a video of that person speaking out (diffusers conventions)."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from paha import config as configuration
from paha.config import PahaConfig
from paha.errors import PahaError
from paha.extractors.audio import AudioEncoder
from paha.extractors.image import ImageEncoder
from paha.media.audio_io import AudioInput, as_audio
from paha.media.image_io import ImageInput, as_image
from paha.motion.sampled import band_limited, initial_noise
from paha.pce.classifier import PCEClassifier
from paha.pce.regions import Region
from paha.pipeline.callbacks import RunInterruptedError, StepEnd, step_callback
from paha.pipeline.generated import PahaPipelineOutput, SegmentOutput, as_pil
from paha.pipeline.inputs import EncodedInputs, hear_lips, plan_video, speech_for_model
from paha.pipeline.model_folder import (
    CODEC_FOLDER,
    CONFIG_FILE,
    INDEX_FILE,
    UNIVDM_FOLDER,
    VAE_FOLDER,
    find_model,
    load_model_codec,
    load_univdm,
    read_config,
)
from paha.pipeline.options import GuidanceFactory, SampleOptions, choose_seed
from paha.pipeline.parts import ModelParts
from paha.pipeline.prediction import make_predictor
from paha.pipeline.reference import ReferenceOptions, make_reference
from paha.runtime.progress import progress_bar
from paha.runtime.threads import torch_threads
from paha.sampling.long_video import Segment, chain_segments, segment_noise
from paha.sampling.sampler import Predict, StepCallback, sample
from paha.sampling.schedule import Schedule
from paha.sampling.target import from_target
from paha.univdm.conditioning import Conditioning
from paha.univdm.univdm import UniVDM


class PahaPipeline:
    """Audio-driven human animation with UniVDM, used as a pipeline of diffusers is, though it derives from none: the
    import of theirs takes as long as all of ours.

    univdm: the network. codec: its codec. preset: the configuration both were made with. audio_encoder, image_encoder:
    by default those of the preset, loaded on first use from the model folder, a directory or the hub.
    """

    def __init__(
        self,
        univdm: UniVDM,
        codec: Any,
        preset: PahaConfig,
        audio_encoder: AudioEncoder | None = None,
        image_encoder: ImageEncoder | None = None,
        folder: Path | None = None,
    ) -> None:
        self.univdm, self.codec = univdm, codec
        self.preset = preset
        self.schedule = Schedule(preset.diffusion)
        self._parts = ModelParts(preset, folder, audio_encoder, image_encoder)
        self._compute_device: torch.device | None = None
        self._interrupt = False
        """Set by a callback, diffusers' way, to end the run."""
        self._shows_progress = True

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        dtype: torch.dtype = torch.float32,
        torch_dtype: torch.dtype | None = None,
    ) -> Self:
        """Load a model folder or hub name. torch_dtype: diffusers' older name of dtype.

        Raises PahaError that names a missing, truncated or foreign file, or the key whose shape is wrong.
        """
        folder = find_model(pretrained_model_name_or_path)
        config = read_config(folder)
        univdm, codec = load_univdm(folder, config), load_model_codec(folder, config)
        pipeline = cls(univdm, codec, config, folder=folder)
        dtype = torch_dtype or dtype
        return pipeline if dtype == torch.float32 else pipeline.to(dtype=dtype)

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Write the model folder: paha.yaml, model_index.json and safetensors, with all that the folder it was loaded
        from carries along, its acoustic model, and the classifiers given to `add_classifier`. Public encoders are kept
        by name."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.univdm.save_pretrained(folder / UNIVDM_FOLDER)
        is_svd = self.preset.codec.kind == "svd"
        part, name = (self.codec.vae, VAE_FOLDER) if is_svd else (self.codec, CODEC_FOLDER)
        part.save_pretrained(folder / name)
        for path in (folder / name).glob("*.safetensors"):  # diffusers writes them for their owner alone
            path.chmod((folder / name / "config.json").stat().st_mode)
        preset = self._parts.save(folder)
        kinds = {name: [type(part).__module__, type(part).__name__] for name, part in self.components.items()}
        index = {"_class_name": type(self).__name__} | kinds
        (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        configuration.dump(preset, folder / CONFIG_FILE)

    @torch.no_grad()
    def encode_inputs(
        self,
        image: ImageInput,
        audio: AudioInput,
        options: ReferenceOptions = ReferenceOptions(),
        *,
        num_frames: int | None = None,
    ) -> EncodedInputs:
        """Check the inputs and encode them. num_frames: by default as long as the sound, to the frame.

        Warns (PahaWarning) of silence and of what a photograph will suffer from. Raises PahaError for anything else
        that is wrong with them.
        """
        image, audio = as_image(image), as_audio(audio)
        segments = plan_video(audio, num_frames, self.preset.num_frames)
        options = options.begun(image, self.preset)
        total = segments[-1].start + segments[-1].emitted.stop
        speech = speech_for_model(*audio)
        audio_features = self.audio_encoder.encode(speech, total)
        reference = make_reference(self.codec, image, self.preset, options)
        return EncodedInputs(
            reference=reference,
            image_tokens=self.image_encoder.encode(reference.pooled, getattr(reference, "pixels", None)),
            audio_features=audio_features,
            segments=segments,
            heard_lips=hear_lips(self.audio_encoder, audio_features, self.preset),
        )

    def generate(
        self,
        inputs: EncodedInputs,
        options: SampleOptions = SampleOptions(),
        *,
        callback_on_step_end: StepEnd | None = None,
        start_segment: int = 0,
        first_latent: Tensor | None = None,
    ) -> Generator[SegmentOutput]:
        """Sample the video segment by segment, each one yielded as it is done; memory does not grow with the length.

        callback_on_step_end: diffusers' callback; steps count through all segments. start_segment, first_latent: go on
        after a finished segment, whose `last_latent` is given; the video is the same to the bit.
        """
        if (start_segment > 0) != (first_latent is not None):
            raise ValueError("start_segment and first_latent go together")
        options = options.of_preset(self.preset.sample)
        lids = self._drawn_blinks(inputs, options.seed)

        def sample_segment(segment: Segment, first: Tensor | None) -> Tensor:
            callback = step_callback(self, callback_on_step_end, segment.index * (options.steps or 0))
            with self._threads():
                z_0 = self._sample(inputs, segment, first, options, callback)
            return z_0 if lids is None else inputs.blink(z_0, segment, lids)

        for segment, latents in chain_segments(
            sample_segment, inputs.segments[start_segment:], first_latent=first_latent
        ):
            yield SegmentOutput(segment, latents, partial(self.iter_frames, inputs, segment, latents))

    def stream(
        self,
        image: ImageInput,
        audio: AudioInput,
        options: SampleOptions = SampleOptions(),
        reference: ReferenceOptions = ReferenceOptions(),
        *,
        num_frames: int | None = None,
        callback_on_step_end: StepEnd | None = None,
    ) -> Generator[SegmentOutput]:
        """`encode_inputs` and `generate` in one. The inputs are checked at once, not when the first segment is asked
        for."""
        inputs = self.encode_inputs(image, audio, reference, num_frames=num_frames)
        return self.generate(inputs, options, callback_on_step_end=callback_on_step_end)

    def __call__(
        self,
        image: ImageInput,
        audio: AudioInput,
        *,
        num_frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
        face_box: tuple[float, float, float, float] | None = None,
        landmarks: Literal["mediapipe", "own", "auto"] = "auto",
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

        image: uint8 (H, W, 3) array, PIL image or path. audio: (samples, rate in Hz) or path. num_frames: as long as
        the sound by default. width, height, face_box, landmarks: see `ReferenceOptions`. generator, seed: where the
        noise comes from, the seed first; a random seed without both. num_inference_steps, cfg_scale, guidance,
        guidance_rate: see `SampleOptions`. callback_on_step_end: diffusers' callback; steps count through all segments;
        where it sets `_interrupt` of the pipeline the run ends with the segments that are finished.
        """
        if output_type not in ("np", "pil", "latent"):
            raise PahaError(f"unknown output_type '{output_type}'; known: np, pil, latent")
        reference = ReferenceOptions(width, height, face_box, landmarks)
        inputs = self.encode_inputs(image, audio, reference, num_frames=num_frames)
        options = SampleOptions(
            steps=num_inference_steps,
            seed=choose_seed(seed, generator),
            cfg_scale=cfg_scale,
            guidance=guidance,
            guidance_rate=guidance_rate,
        )
        collected: list[Any] = []
        self._interrupt = False
        with progress_bar(enabled=self._shows_progress) as bar, suppress(RunInterruptedError):
            segments = bar.add_task("segments", total=len(inputs.segments))
            for output in self.generate(inputs, options, callback_on_step_end=callback_on_step_end):
                collected.append(self._collect(inputs, output, output_type))
                bar.advance(segments)
        if not collected:
            raise PahaError("interrupted before the first segment was finished")
        if output_type == "latent":
            return PahaPipelineOutput(frames=torch.cat(collected))
        frames = np.concatenate(collected)
        return PahaPipelineOutput(frames=as_pil(frames) if output_type == "pil" else frames)

    def decode(self, inputs: EncodedInputs, segment: Segment, latents: Tensor) -> np.ndarray:
        """The new frames of a segment, uint8 (T', H, W, 3), from its `SegmentOutput.latents`."""
        return np.stack(list(self.iter_frames(inputs, segment, latents)))

    def iter_frames(self, inputs: EncodedInputs, segment: Segment, latents: Tensor) -> Iterator[np.ndarray]:
        """The same, one frame (H, W, 3) at a time, as soon as the codec has it."""
        z = self.codec_latents(inputs, latents[: segment.emitted.stop])
        return islice(inputs.reference.iter_frames(z), segment.emitted.start, None)

    def codec_latents(self, inputs: EncodedInputs, latents: Tensor) -> Tensor:
        """Diffused latents (T, C, h, w) to the codec's: f_ref + residual_std x where the target is the residual."""
        z_0 = latents.to(inputs.ref_latent.device)[None]
        return from_target(z_0, inputs.ref_latent, self.preset.diffusion)[0]

    @property
    def components(self) -> dict[str, nn.Module]:
        """The networks that a model folder always holds, by name."""
        return {"univdm": self.univdm, "codec": self.codec}

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move the networks to a device, or give their weights another floating-point type; returns the pipeline."""
        for part in self.components.values():
            part.to(device=device, dtype=dtype)
        return self

    def set_progress_bar_config(self, *, disable: bool) -> None:
        """Whether a call keeps its bar to itself."""
        self._shows_progress = not disable

    @property
    def device(self) -> torch.device:
        """Where it computes; parts that take turns there (`paha.pipeline.low_vram`) lie elsewhere in between."""
        return self._compute_device or next(self.univdm.parameters()).device

    def compute_on(self, device: torch.device) -> None:
        """Fix `device`, for parts that are brought there when they are called."""
        # Encoders are brought there once more, and left where they are from now on.
        _ = self.audio_encoder, self.image_encoder
        self._compute_device = device

    @property
    def audio_encoder(self) -> AudioEncoder:
        """The preset's audio encoder, loaded on first use."""
        encoder = self._parts.audio_encoder
        return encoder if self._compute_device else encoder.to(self.device)

    @property
    def image_encoder(self) -> ImageEncoder:
        """The preset's image encoder, loaded on first use."""
        encoder = self._parts.image_encoder
        return encoder if self._compute_device else encoder.to(self.device)

    def classifier(self, region: Region) -> PCEClassifier:
        """The PCE classifier of a region, loaded from the model folder on first use; float32 on the pipeline's device.

        Raises PahaError where there is none.
        """
        return self._parts.classifier(region).to(self.device)

    def add_classifier(self, classifier: PCEClassifier) -> None:
        """Use this PCEClassifier for its region, and write it with `save_pretrained`."""
        self._parts.classifiers[classifier.region] = classifier.eval().requires_grad_(False)

    @torch.no_grad()
    def _sample(
        self,
        inputs: EncodedInputs,
        segment: Segment,
        first: Tensor | None,
        options: SampleOptions,
        callback: StepCallback | None,
    ) -> Tensor:
        """One segment: (T, C, h, w) float32 on the CPU. options: whole, of the preset."""
        assert options.steps is not None
        assert options.cfg_scale is not None
        conditioning = inputs.conditioning(segment, audio_margin=self.preset.model.audio_margin)
        noise = segment_noise((1, segment.length, *inputs.ref_latent.shape[1:]), seed=options.seed, index=segment.index)
        z_0 = sample(
            self.predictor(conditioning, options.cfg_scale),
            initial_noise(noise, self.preset).to(self.device),
            steps=options.steps,
            schedule=self.schedule,
            prediction_type=self.preset.diffusion.prediction_type,
            first_frame=None if first is None else first[None].to(self.device),
            first_frame_timestep=self.preset.diffusion.first_frame_timestep,
            guidance=None if options.guidance is None else options.guidance(conditioning),
            guidance_rate=options.guidance_rate,
            callback=callback,
        )
        z_0 = z_0.float().cpu()
        if not torch.isfinite(z_0).all():
            raise PahaError("what was sampled is not finite: lower the guidance scales, or take float32")
        given = first is not None
        z_0 = band_limited(z_0, self.preset, given_first=given)
        # What is heard has no noise in time to be limited, and lips lose by a blur.
        share = self.preset.sample.heard_lips
        return inputs.follow_heard_lips(z_0, segment, share=share, given_first=given)[0]

    def _drawn_blinks(self, inputs: EncodedInputs, seed: int) -> np.ndarray | None:
        """(T,) of the whole video, where the preset wants blinks; none at its ends and where segments meet."""
        if self.preset.codec.kind != "motion" or not self.preset.sample.blinks:
            return None
        from paha.motion.blinks import drawn_blinks

        last = inputs.num_frames - 1
        return drawn_blinks(last + 1, seed=seed, open_at=[*(segment.start for segment in inputs.segments), last])

    def _threads(self) -> AbstractContextManager[None]:
        """Two threads that share motion's small layers wait for each other longer than they save (docs/results.md)."""
        alone = self.preset.codec.kind == "motion" and self.device.type == "cpu"
        return torch_threads(1) if alone else nullcontext()

    def predictor(self, conditioning: Conditioning, cfg_scale: float = 1.0) -> Predict:
        """UniVDM as the sampler calls it: float32 latents in and out, whatever type the network has."""
        conditioning = conditioning.to(self.device, self.univdm.dtype)
        skip_first = self.preset.sample.cfg_skip_first
        return make_predictor(self.univdm, self.schedule, conditioning, cfg_scale, skip_first=skip_first)

    def _collect(self, inputs: EncodedInputs, output: SegmentOutput, output_type: str) -> Any:
        if output_type != "latent":
            return output.frames
        return self.codec_latents(inputs, output.latents[output.segment.emitted])
