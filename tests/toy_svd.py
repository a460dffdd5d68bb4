"""A directory in Stable Video Diffusion's layout, of toy widths and random weights, written by diffusers itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Wav2Vec2Config, Wav2Vec2Model

SETTINGS = (
    "height=32",
    "width=32",
    "num_frames=4",
    "codec.downsample=4",
    "model.block_out_channels=[32, 64]",
    "model.attention_levels=[true, false]",
    "model.num_attention_heads=[2, 4]",
    "model.layers_per_block=1",
    "model.cross_attention_dim=24",
    "model.audio_layers=3",
    "model.audio_dim=16",
    "model.num_audio_tokens=4",
    "model.audio_token_dim=32",
    "model.audio_hidden_dim=32",
    "train.mixed_precision=no",
    "train.batch_size=1",
    "train.num_micro_batches=2",
    "sample.steps=2",
)
"""`paha train univdm --preset paper --set ...` for its sizes."""


def write_svd(folder: Path) -> Path:
    """unet/, vae/, image_encoder/ and audio_encoder/; returns the folder."""
    torch.manual_seed(0)
    toy_unet().save_pretrained(folder / "unet")
    blocks: dict[str, Any] = {"block_out_channels": (32, 32, 32), "down_block_types": ("DownEncoderBlock2D",) * 3}
    AutoencoderKLTemporalDecoder(layers_per_block=1, **blocks).save_pretrained(folder / "vae")
    sizes: dict[str, Any] = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    vision: dict[str, Any] = {"num_hidden_layers": 1, "image_size": 28, "patch_size": 14, "projection_dim": 24}
    CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, **vision)).save_pretrained(folder / "image_encoder")
    conv: dict[str, Any] = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    Wav2Vec2Model(Wav2Vec2Config(num_hidden_layers=3, **sizes, **conv)).save_pretrained(folder / "audio_encoder")
    return folder


def toy_unet() -> UNetSpatioTemporalConditionModel:
    return UNetSpatioTemporalConditionModel(
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=24,
        num_attention_heads=(2, 4),
    )
