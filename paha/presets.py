"""The named full configurations: `debug` for tests, `presenter` shipped and trained, `paper` the real thing."""

from __future__ import annotations

from paha.config import (
    AudioConfig,
    CodecConfig,
    DiffusionConfig,
    ImageConfig,
    ModelConfig,
    PahaConfig,
    SampleConfig,
    TrainConfig,
)
from paha.errors import PahaError

PAPER = PahaConfig(
    name="paper",
    # Appendix B.1: 8 clips a step; one at a time, on 8 GPUs at once or one after the other.
    train=TrainConfig(
        batch_size=1, num_micro_batches=8, gradient_checkpointing=True, mixed_precision="bf16", snapshots=(60_000,)
    ),
)

# Motion latents: 8 x 8 cells of 12 channels about the person, whatever the picture's size (docs/design.md).
PRESENTER = PahaConfig(
    name="presenter",
    # Of the grid's square, where loss weights are drawn; a video is as large as its photograph.
    height=128,
    width=128,
    num_frames=32,
    model=ModelConfig(
        latent_channels=12,
        block_out_channels=(48, 64),
        attention_levels=(True, True),
        num_attention_heads=(4, 4),
        layers_per_block=1,
        cross_attention_dim=12,
        norm_groups=4,
        audio_in_time=True,
        output_gate=True,
        # In frames: heads and arms move slowly, and are told from noise by their mean over a second and more.
        input_blurs=(2.0, 6.0, 18.0),
        # Four frames of log-mel bands, and two rows that the acoustic model hears.
        audio_layers=6,
        audio_dim=80,
        num_audio_tokens=4,
        audio_token_dim=128,
        audio_hidden_dim=512,
        num_time_ids=0,
        time_ids=(),
    ),
    codec=CodecConfig(kind="motion", latent_channels=12, downsample=16, widths=()),
    audio=AudioConfig(kind="acoustic", name=""),
    image=ImageConfig(kind="pooled", pool=4),
    train=TrainConfig(
        batch_size=4,
        learning_rate=2e-3,
        steps=2000,
        audio_pretraining_steps=1000,
        warmup_steps=50,
        cosine_decay=True,
        ema_decay=0.998,
        checkpoint_every=250,
        sample_every=500,
        log_every=10,
    ),
    # Two steps, of one evaluation and of two: more steps follow the speech less (docs/results.md).
    sample=SampleConfig(
        steps=2,
        cfg_scale=1.4,
        cfg_skip_first=True,
        motion_smoothing=1.0,
        lip_noise=0.25,
        shift_noise=1.75,
        heard_lips=0.8,
        blinks=True,
        # Of the shipped classifiers; a push in the step from pure noise moves everything (docs/log.md).
        guidance_scales=(4.0, 1.0, 0.25),
        guidance_skip_first=True,
        guidance_reuse=4,
    ),
)

DEBUG = PahaConfig(
    name="debug",
    height=32,
    width=32,
    num_frames=4,
    model=PRESENTER.model.model_copy(
        update={
            "latent_channels": 4,
            "block_out_channels": (32, 32),
            "attention_levels": (True, True),
            "input_blurs": (),
            "num_attention_heads": (2, 2),
            "cross_attention_dim": 4,
            "audio_layers": 4,
            "num_audio_tokens": 2,
            "audio_token_dim": 32,
            "audio_hidden_dim": 32,
        }
    ),
    codec=CodecConfig(kind="pixel", latent_channels=4, downsample=8, widths=(32, 32)),
    audio=AudioConfig(kind="logmel"),
    image=ImageConfig(kind="pooled", pool=2),
    diffusion=DiffusionConfig(target="residual"),
    train=TrainConfig(batch_size=2, steps=20, learning_rate=1e-3, ema_decay=0.9, checkpoint_every=10, sample_every=0),
    sample=SampleConfig(steps=3),
)

PRESETS = {preset.name: preset for preset in (DEBUG, PRESENTER, PAPER)}


def preset(name: str) -> PahaConfig:
    """The preset of that name. Raises PahaError that lists the known ones."""
    if name not in PRESETS:
        raise PahaError(f"unknown preset '{name}'; known: {', '.join(PRESETS)}")
    return PRESETS[name]
