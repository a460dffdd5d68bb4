"""Toy UniVDMs and SVD U-Nets of one size, with random weights."""

from __future__ import annotations

import torch
from diffusers import UNetSpatioTemporalConditionModel

from paha.config import ModelConfig
from paha.univdm.conditioning import Conditioning
from paha.univdm.univdm import UniVDM

TOY = ModelConfig(
    block_out_channels=(32, 64),
    attention_levels=(True, False),
    num_attention_heads=(2, 4),
    layers_per_block=1,
    cross_attention_dim=16,
    audio_layers=2,
    audio_dim=8,
    num_audio_tokens=3,
    audio_token_dim=16,
    audio_hidden_dim=16,
)


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    """Give every parameter, norms, biases, mix factors and zero-initialised ones too, a value of its own."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 25
        parameter.data += torch.randn(parameter.shape, generator=generator) / fan_in**0.5


def toy_univdm(config: ModelConfig = TOY, *, random_audio: bool = False) -> UniVDM:
    torch.manual_seed(0)
    model = UniVDM.from_model_config(config)
    if random_audio:
        randomise(model)
    return model.eval()


def toy_svd(config: ModelConfig = TOY) -> UNetSpatioTemporalConditionModel:
    def kinds(way: str) -> tuple[str, ...]:
        names = [f"{'CrossAttn' * attends}{way}BlockSpatioTemporal" for attends in config.attention_levels]
        return tuple(names if way == "Down" else names[::-1])

    svd = UNetSpatioTemporalConditionModel(
        in_channels=2 * config.latent_channels,
        out_channels=config.latent_channels,
        down_block_types=kinds("Down"),
        up_block_types=kinds("Up"),
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block,
        cross_attention_dim=config.cross_attention_dim,
        num_attention_heads=config.num_attention_heads,
    )
    randomise(svd)
    return svd.eval()


def toy_inputs(
    batch: int = 2, frames: int = 3, height: int = 8, width: int = 8, *, tokens: int = 1, config: ModelConfig = TOY
) -> tuple[torch.Tensor, torch.Tensor, Conditioning]:
    g = torch.Generator().manual_seed(1)
    size = (config.latent_channels, height, width)
    window = (2 * config.audio_margin + 1, config.audio_layers, config.audio_dim)
    conditioning = Conditioning(
        ref_latent=torch.randn(batch, *size, generator=g),
        ref_channels=torch.randn(batch, *size, generator=g),
        image_tokens=torch.randn(batch, tokens, config.cross_attention_dim, generator=g),
        audio=torch.randn(batch, frames, *window, generator=g),
    )
    return torch.randn(batch, frames, *size, generator=g), torch.randn(batch, frames, generator=g), conditioning
