"""Typed, validated configuration: every option of a preset or a run, with its paper default and its unit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from paha.errors import PahaError

_WIDEST = 65_536
"""Beyond it a number of channels, tokens or clips is a slip of the pen that would end in want of memory."""
MAX_CFG_SCALE = 100.0
MAX_STEPS = 100_000_000
"""Of a training: years of it; more is a slip of the pen."""
Width = Annotated[int, Field(ge=1, le=_WIDEST)]


class Section(BaseModel):
    """A section of the configuration: unknown names are errors, values are checked, numbers are finite, nothing changes
    afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(Section):
    """UniVDM (section 4.1.1). The defaults are Stable Video Diffusion's U-Net (design rows 1 and 4)."""

    latent_channels: int = Field(default=4, ge=1, le=_WIDEST)
    block_out_channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (320, 640, 1280, 1280)
    attention_levels: tuple[bool, ...] = (True, True, True, False)
    num_attention_heads: tuple[int, ...] = (5, 10, 20, 20)
    layers_per_block: int = Field(default=2, ge=1, le=16)
    cross_attention_dim: int = Field(default=1024, ge=1, le=_WIDEST)
    """Width of the image tokens."""
    norm_groups: int = Field(default=32, ge=1, le=_WIDEST)
    """Groups of every GroupNorm. With one channel a group, a norm removes whatever the time embedding added."""
    audio_in_time: bool = False
    """Adds each frame's audio tokens to its time embedding as well, a shorter way for small models."""
    output_gate: bool = False
    """Adds the best linear guess from the noisy latent, its prior variance predicted a cell (`UniVDM._gate`)."""
    input_blurs: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Deviations in frames of blurs over time: the noisy latents so blurred are inputs as well (`blur_over_time`)."""
    audio_layers: int = Field(default=12, ge=1, le=_WIDEST)
    """L of one frame's audio feature: wav2vec 2.0 layers, or mel frames a video frame."""
    audio_dim: int = Field(default=768, ge=1, le=_WIDEST)
    """D of one frame's audio feature."""
    audio_margin: int = Field(default=2, ge=0, le=100)
    """m of A(f): frames added on each side."""
    num_audio_tokens: int = Field(default=32, ge=1, le=_WIDEST)
    audio_token_dim: int = Field(default=768, ge=1, le=_WIDEST)
    audio_hidden_dim: int = Field(default=512, ge=1, le=_WIDEST)
    num_time_ids: int = Field(default=3, ge=0, le=100)
    """SVD's added ids (fps - 1, motion bucket, noise augmentation); 0 for none."""
    time_ids: tuple[float, ...] = (24.0, 127.0, 0.0)

    @model_validator(mode="after")
    def _levels_fit_together(self) -> Self:
        levels = len(self.block_out_channels)
        for name in ("attention_levels", "num_attention_heads"):
            if len(getattr(self, name)) != levels:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries, block_out_channels {levels}")
        for width in self.block_out_channels:
            if width % self.norm_groups:
                raise ValueError(f"block_out_channels {width} is no multiple of norm_groups, {self.norm_groups}")
        return self


class DiffusionConfig(Section):
    """The forward process and what the network predicts (design rows 2, 3, 5)."""

    num_train_timesteps: int = Field(default=1000, ge=1, le=_WIDEST)
    beta_start: float = Field(default=0.00085, gt=0, lt=1)
    beta_end: float = Field(default=0.012, gt=0, lt=1)
    prediction_type: Literal["v_prediction", "epsilon"] = "v_prediction"
    loss_space: Literal["prediction", "epsilon"] = "prediction"
    """`epsilon` gives Eq. 1 to the letter: alpha_t^2 times the v error."""
    target: Literal["absolute", "residual"] = "absolute"
    """`residual` diffuses (z_0 - f_ref) / residual_std instead of z_0."""
    residual_std: float = Field(default=1.0, gt=0)
    first_frame_prob: float = Field(default=0.5, ge=0, le=1)
    first_frame_max_timestep: int = Field(default=100, ge=0)
    """The given first frame is noised in training to a uniform t' of 0 to this."""
    first_frame_timestep: int = Field(default=0, ge=0)
    """t' of the given first frame while sampling."""

    @model_validator(mode="after")
    def _first_frame_is_on_the_schedule(self) -> Self:
        for name in ("first_frame_max_timestep", "first_frame_timestep"):
            if getattr(self, name) >= self.num_train_timesteps:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; give less than num_train_timesteps, {self.num_train_timesteps}"
                )
        return self


class CodecConfig(Section):
    """Which codec. `motion` is motion since a reference photograph (`paha.motion.motion_codec`), `svd` SVD's VAE
    (AutoencoderKLTemporalDecoder), `pixel` a small autoencoder of pixels for tests."""

    kind: Literal["motion", "svd", "pixel"] = "svd"
    latent_channels: int = Field(default=4, ge=1, le=_WIDEST)
    downsample: int = Field(default=8, ge=1, le=64)
    widths: tuple[Width, ...] = (32, 64)
    """Of the pixel codec's refiner, at half and quarter resolution."""


class AudioConfig(Section):
    """Which audio encoder. `logmel` needs no weights; `acoustic` takes the folder of an acoustic model, or "" for the
    shipped one; `wav2vec2` takes a directory or hub name."""

    kind: Literal["logmel", "acoustic", "wav2vec2"] = "wav2vec2"
    name: str = "facebook/wav2vec2-base-960h"
    mel_bands: int = Field(default=80, ge=1, le=_WIDEST)


class ImageConfig(Section):
    """Which image encoder. `pooled` averages the reference latent to pool x pool tokens; `clip` is CLIP ViT-H/14."""

    kind: Literal["pooled", "clip"] = "clip"
    pool: int = Field(default=4, ge=1, le=_WIDEST)
    name: str = "stabilityai/stable-video-diffusion-img2vid"


class ParConfig(Section):
    """Parts-Aware Re-weighting (Eq. 2, 3; design row 7). Lengths are pixels at 512 x 512 and scale with the frame."""

    enabled: bool = True
    hand_threshold: float = Field(default=0.8, ge=0, le=1)
    face_threshold: float = Field(default=0.8, ge=0, le=1)
    body_threshold: float = Field(default=0.8, ge=0, le=1)
    radius: float = Field(default=10.0, gt=0)
    hand_face_weight: float = Field(default=10.0, ge=0)
    """omega_1"""
    body_weight: float = Field(default=2.0, ge=0)
    """omega_2"""
    overlap: Literal["sum", "max"] = "sum"
    smoothing: bool = True
    extend_body_to_bottom: bool = True


class TrainConfig(Section):
    """One training run."""

    batch_size: int = Field(default=8, ge=1, le=_WIDEST)
    """Clips of one part of a step (see num_micro_batches)."""
    steps: int = Field(default=100_000, ge=1, le=MAX_STEPS)
    learning_rate: float = Field(default=5e-5, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    cosine_decay: bool = False
    """Cosine decay of the learning rate to a tenth over the steps; off is the paper's constant rate."""
    grad_clip: float = Field(default=1.0, gt=0)
    ema_decay: float = Field(default=0.9999, ge=0, lt=1)
    drop_reference_prob: float = Field(default=0.1, ge=0, le=1)
    drop_audio_prob: float = Field(default=0.1, ge=0, le=1)
    audio_pretraining_steps: int = Field(default=0, ge=0)
    """Steps of `paha.training.univdm.audio_pretraining` before a UniVDM from nothing; its audio projection is frozen
    then."""
    num_micro_batches: int = Field(default=1, ge=1, le=_WIDEST)
    """Parts of a step, `batch_size` clips each, that all processes share: the step's batch is batch_size times this,
    whatever the number of processes."""
    gradient_checkpointing: bool = False
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    """`adamw8bit` keeps AdamW's two moments in 8 bits (bitsandbytes): a quarter of their memory."""
    ema_on_cpu: bool = False
    """Keep the moving average off the device, for a copy of the weights there every step."""
    sharding: Literal["none", "full"] = "none"
    """Many processes: `none` replicates the model (DDP), `full` spreads weights, gradients, AdamW state and EMA
    (torch's fully_shard)."""
    mixed_precision: Annotated[Literal["no", "fp16", "bf16"], BeforeValidator(lambda v: "no" if v is False else v)] = (
        "no"
    )
    """(An unquoted `no` is YAML's False.)"""
    seed: int = 0
    checkpoint_every: int = Field(default=1000, ge=1)
    snapshots: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Steps whose model stays in OUT/model-STEP: the paper's negatives are made by G at 60,000 of 100,000 steps."""
    sample_every: int = Field(default=1000, ge=0)
    """Steps between sample grids; 0 for none."""
    log_every: int = Field(default=1, ge=1)
    """Steps between lines of the log; steps with a probe always have one."""


class SampleConfig(Section):
    """Sampling defaults of a preset."""

    steps: int = Field(default=30, ge=1, le=1000)
    cfg_scale: float = Field(default=1.0, ge=0, le=MAX_CFG_SCALE)
    """1 is off (the paper does not mention classifier-free guidance)."""
    cfg_skip_first: bool = False
    """Without it in the step from pure noise, which sees little of what is to come: a quarter less time of two steps
    (docs/results.md)."""
    guidance_scales: tuple[float, float, float] = (1.0, 0.1, 0.25)
    """lambda of the non-face and of the face classifier, and lambda_diff (5.1). A small model's gradients are not the
    paper's: its own scales are found by a sweep."""
    guidance_skip_first: bool = False
    """Leave the step from pure noise unguided, where a small model's classifier has nothing to see."""
    guidance_reuse: int = Field(default=1, ge=1)
    """Gradients and DG's difference are computed anew every so many guided steps; what it saves and costs is measured
    (docs/results.md)."""
    motion_smoothing: float = Field(default=0.0, ge=0)
    """Motion latents: strength of the band limit on sampled motion (`paha.motion.smoothing`), 1 as it was chosen."""
    lip_noise: float = Field(default=1.0, ge=0, le=1)
    """Motion latents: share of the initial noise that the lips' channels get. Lips follow the speech: what chance adds
    to them is error (docs/log.md)."""
    shift_noise: float = Field(default=1.0, ge=0, le=4)
    """Motion latents: times the initial noise of the channels of shifts, off the face's cells, which get `lip_noise`.
    Arms are still told from the noise at the last timestep, so that pure noise, which holds no motion, makes little
    (docs/log.md)."""
    heard_lips: float = Field(default=0.0, ge=0, le=1)
    """Motion latents: share of the lips that the acoustic model's own reading has, beside what was sampled
    (`paha.motion.heard_lips`; not in the paper)."""
    blinks: bool = False
    """Motion latents: eyes blink by chance, as the rig's (`paha.motion.blinks`; not in the paper)."""
    guidance_smoothing: float = Field(default=0.0, ge=0)
    """Sigma in frames of a blur over time of the non-face classifier's gradient, against trembling; 0 is off."""


class PahaConfig(Section):
    """A preset: everything that defines a model, its training and its sampling."""

    name: str
    height: int = Field(default=512, ge=1, le=8192)
    width: int = Field(default=512, ge=1, le=8192)
    num_frames: int = Field(default=32, ge=1, le=10_000)
    model: ModelConfig = ModelConfig()
    codec: CodecConfig = CodecConfig()
    audio: AudioConfig = AudioConfig()
    image: ImageConfig = ImageConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    par: ParConfig = ParConfig()
    train: TrainConfig = TrainConfig()
    sample: SampleConfig = SampleConfig()

    @model_validator(mode="after")
    def _frames_fit_the_network(self) -> Self:
        factor = self.codec.downsample * 2 ** (len(self.model.block_out_channels) - 1)
        for name in ("width", "height"):
            if getattr(self, name) % factor:
                raise ValueError(f"{name} is {getattr(self, name)}; give a multiple of {factor}")
        return self


def override(config: PahaConfig, changes: dict[str, object]) -> PahaConfig:
    """A copy with dotted names set, e.g. {"train.steps": 10}. Raises PahaError that names what is unknown or bad."""
    return parse(set_options(config.model_dump(), changes), "options")


def set_options(data: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """`data`, nested plain sections, with dotted names set in place. Raises PahaError that names an unknown one."""
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        section = data
        for part in path:
            if not isinstance(section.get(part), dict):
                raise PahaError(f"unknown option '{dotted}': '{part}' is no section of the configuration")
            section = section[part]
        if last not in section:
            raise PahaError(f"unknown option '{dotted}'; known here: {', '.join(sorted(section))}")
        section[last] = value
    return data


def parse(data: object, where: str) -> PahaConfig:
    """Validate plain data (from YAML or JSON). Raises PahaError with `where`, the key and the reason in one line."""
    try:
        return PahaConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        at = f"'{'.'.join(map(str, first['loc']))}': " if first["loc"] else ""
        raise PahaError(f"{where}: {at}{first['msg'].removeprefix('Value error, ')}") from error


def load(path: Path) -> PahaConfig:
    """Read a resolved configuration written by `dump`. Raises PahaError where it is not valid, or not whole: the first
    half of such a file may well be valid, and the defaults are not what was in the other half."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise PahaError(f"cannot read the configuration {path}: {' '.join(str(error).split())}") from error
    config = parse(values, str(path))
    missing = [name for name in PahaConfig.model_fields if name not in values]
    if missing:
        raise PahaError(f"the configuration {path} is not whole, '{missing[0]}' is missing; copy it again")
    return config


def dump(config: PahaConfig, path: Path) -> None:
    """Write the resolved configuration beside a run's weights."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
