"""The pipeline with the paper preset's kinds of parts (SVD's autoencoder, wav2vec 2.0, CLIP), all random and tiny."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLTemporalDecoder
from toy import toy_audio, toy_image, toy_univdm
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Wav2Vec2Config, Wav2Vec2Model

from paha.config import PahaConfig, override
from paha.extractors.codec import SVDCodec
from paha.pipeline.pipeline import PahaPipeline
from paha.presets import preset


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    conv: dict[str, Any] = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    Wav2Vec2Model(Wav2Vec2Config(num_hidden_layers=3, **sizes, **conv)).save_pretrained(folder / "audio_encoder")
    vision: dict[str, Any] = {"num_hidden_layers": 1, "image_size": 28, "patch_size": 14, "projection_dim": 24}
    CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, **vision)).save_pretrained(folder / "image_encoder")
    return folder


@pytest.fixture(scope="module")
def config(encoders) -> PahaConfig:
    return override(
        preset("debug"),
        {
            "codec.kind": "svd",
            "codec.downsample": 4,
            "audio.kind": "wav2vec2",
            "audio.name": str(encoders / "audio_encoder"),
            "image.kind": "clip",
            "image.name": str(encoders),
            "model.audio_layers": 3,
            "model.audio_dim": 16,
            "model.cross_attention_dim": 24,
            "model.num_time_ids": 3,
            "model.time_ids": [24.0, 127.0, 0.0],
            "diffusion.target": "absolute",
        },
    )


@pytest.fixture(scope="module")
def pipeline(config):
    torch.manual_seed(0)
    blocks = {"block_out_channels": (32, 32, 32), "down_block_types": ("DownEncoderBlock2D",) * 3}
    vae = AutoencoderKLTemporalDecoder(layers_per_block=1, **blocks)
    pipeline = PahaPipeline(toy_univdm(config), SVDCodec(vae), config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_image_and_speech_to_video(pipeline):
    frames = pipeline(toy_image(), toy_audio(0.4), seed=0).frames
    assert frames.shape == (10, 32, 32, 3)
    assert not np.array_equal(frames, pipeline(toy_image(), toy_audio(0.4, seed=9), seed=0).frames)


def test_the_channel_half_is_unscaled(pipeline):
    # Design row 1: the slot holds the latent times the scaling factor, the channel half the posterior's mode.
    scene = pipeline.encode_inputs(toy_image(), toy_audio(0.4))
    torch.testing.assert_close(scene.ref_latent, scene.ref_channels * 0.18215)
    assert scene.image_tokens.shape == (1, 1, 24)
    assert scene.audio_features.shape == (10, 3, 16)


def test_a_saved_model_gives_the_same_video(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    loaded = PahaPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    expected = pipeline(toy_image(), toy_audio(0.2), seed=0).frames
    assert np.array_equal(loaded(toy_image(), toy_audio(0.2), seed=0).frames, expected)
    assert (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").is_file()


def test_other_types(pipeline, config):
    wide = PahaPipeline(toy_univdm(config), pipeline.codec, config).to(dtype=torch.float64)
    wide.set_progress_bar_config(disable=True)
    assert wide(toy_image(), toy_audio(0.2), seed=0).frames.shape == (5, 32, 32, 3)
    pipeline.codec.float()
