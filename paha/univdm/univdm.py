"""UniVDM (section 4.1.1): Stable Video Diffusion's U-Net with audio attention, a reference slot and a time per frame.

Parameter names equal SVD's; the new ones are `audio_projection.*` and, in each spatial transformer block,
`audio_norm.*` and `audio_attn.*` (`paha.univdm.svd_weights.new_keys`). Letters: B batch, T frames, C channels, H W
latent size, S image tokens, A audio tokens of a frame, L layers of an audio feature, D width, W = 2m+1 frames of a
window.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paha.config import ModelConfig
from paha.errors import PahaError
from paha.runtime.network import Network, register_to_config
from paha.univdm.attention import ConditioningCache, cached_or_new
from paha.univdm.blocks import Checkpointed, Context, per_frame
from paha.univdm.conditioning import Conditioning
from paha.univdm.embeddings import SMALLEST_TIME, TIME_ID_DIM, AudioProjection, TimestepEmbedding, sinusoids
from paha.univdm.levels import DownLevel, MiddleLevel, UpLevel


class UniVDM(Network):
    """The unified video diffusion model G. Build it with `from_model_config`; the options are those of `ModelConfig`.

    encoder_only leaves the way up and the output out: the trunk of the PCE classifiers.
    Positions in time: video frames are 0 .. T-1, as SVD was trained; the reference slot, which the temporal
    convolutions see before frame 0, is -1, whatever the clip's length.
    """

    @register_to_config
    def __init__(
        self,
        *,
        latent_channels: int,
        block_out_channels: tuple[int, ...],
        attention_levels: tuple[bool, ...],
        num_attention_heads: tuple[int, ...],
        layers_per_block: int,
        cross_attention_dim: int,
        norm_groups: int,
        audio_in_time: bool,
        output_gate: bool,
        input_blurs: tuple[float, ...],
        audio_layers: int,
        audio_dim: int,
        audio_margin: int,
        num_audio_tokens: int,
        audio_token_dim: int,
        audio_hidden_dim: int,
        num_time_ids: int,
        time_ids: tuple[float, ...],
        encoder_only: bool = False,
    ) -> None:
        super().__init__()
        _check_widths(block_out_channels, attention_levels, num_attention_heads, norm_groups)
        if len(time_ids) != num_time_ids:
            raise PahaError(f"model: num_time_ids is {num_time_ids}, but time_ids has {len(time_ids)}")
        width = block_out_channels[0]
        time_dim = 4 * width
        self.conv_in = nn.Conv2d((2 + len(input_blurs)) * latent_channels, width, 3, padding=1)
        self.time_embedding = TimestepEmbedding(width, time_dim)
        self.add_embedding = TimestepEmbedding(num_time_ids * TIME_ID_DIM, time_dim) if num_time_ids else None
        self.audio_projection = AudioProjection(
            (2 * audio_margin + 1) * audio_layers * audio_dim,
            hidden_dim=audio_hidden_dim,
            num_tokens=num_audio_tokens,
            token_dim=audio_token_dim,
        )
        audio_dim_all = num_audio_tokens * audio_token_dim
        self.audio_time_proj = nn.Linear(audio_dim_all, time_dim, bias=False) if audio_in_time else None
        self.init_audio_time()
        shared = {
            "time_dim": time_dim,
            "image_dim": cross_attention_dim,
            "audio_dim": audio_token_dim,
            "groups": norm_groups,
        }
        heads = [h if attends else 0 for h, attends in zip(num_attention_heads, attention_levels, strict=True)]
        self.down_blocks = _down_levels(block_out_channels, heads, layers_per_block, shared)
        self.mid_block = MiddleLevel(
            [(block_out_channels[-1], block_out_channels[-1])] * 2,
            eps=1e-5,
            num_heads=num_attention_heads[-1],
            num_attentions=1,
            **shared,
        )
        if encoder_only:
            return
        self.up_blocks = _up_levels(block_out_channels, heads, layers_per_block, shared)
        self.conv_norm_out = nn.GroupNorm(norm_groups, width, eps=1e-5)
        self.conv_out = nn.Conv2d(width, latent_channels, 3, padding=1)
        self.conv_gate = nn.Conv2d(width, latent_channels, 1) if output_gate else None
        if output_gate:
            self.init_gate()

    @classmethod
    def from_model_config(cls, config: ModelConfig, *, encoder_only: bool = False) -> Self:
        """The model of a preset's `model` section, with random weights and zero-initialised audio output."""
        return cls(**config.model_dump(), encoder_only=encoder_only)

    def enable_gradient_checkpointing(self, function: Callable | None = None) -> None:
        """Recompute inner activations in the backward pass. function: as `torch.utils.checkpoint.checkpoint`, which it
        is by default."""
        from torch.utils.checkpoint import checkpoint

        for module in self.modules():
            if isinstance(module, Checkpointed):
                module.checkpoint = function or partial(checkpoint, use_reentrant=False)

    def disable_gradient_checkpointing(self) -> None:
        """Keep all activations again."""
        for module in self.modules():
            if isinstance(module, Checkpointed):
                module.checkpoint = None

    def encoder_copy(self) -> Self:
        """A trainable copy of everything but the way up: the trunk of a PCE classifier, on the same device."""
        config = ModelConfig(**{name: self.config[name] for name in ModelConfig.model_fields})
        encoder = self.from_model_config(config, encoder_only=True)
        encoder.to(device=self.device, dtype=self.dtype)
        own = self.state_dict()
        encoder.load_state_dict({key: own[key] for key in encoder.state_dict()})
        return encoder

    def forward(
        self,
        z_BTCHW: Tensor,
        time_BT: Tensor,
        conditioning: Conditioning,
        *,
        ref_time: float = SMALLEST_TIME,
        cache: ConditioningCache | None = None,
        deep_clips: int | None = None,
        audio_free: bool = False,
    ) -> Tensor:
        """The prediction (v or eps) of each frame: (B, T, C, H, W).

        z_BTCHW: noisy latents, any T, H and W divisible by 2^(levels - 1). time_BT: ln(sigma/alpha)/4 of each frame.
        ref_time: the same quantity of the reference slot (the smallest timestep's). cache: in sampling, one object for
        all steps with this very conditioning and deep_clips, so that what depends on it alone is computed once.
        deep_clips: where the batch is that many clips and nearly equal copies of them, whatever lies below the highest
        resolution is computed for the first ones alone and taken for their copies too (approximate; None for exact).
        audio_free: as with an audio mask of zeros, without computing the audio's attention.
        Raises PahaError on sizes that do not fit.
        """
        x, skips, context = self._top(z_BTCHW, time_BT, conditioning, ref_time, cache, audio_free=audio_free)
        x = self._deep(x, skips, context, deep_clips)
        x = self.up_blocks[-1](x, skips, context)
        x = F.silu(per_frame(self.conv_norm_out, x[:, -z_BTCHW.shape[1] :]))
        prediction = per_frame(self.conv_out, x).permute(0, 1, 4, 2, 3).contiguous()
        return prediction if self.conv_gate is None else prediction + self._gate(x, time_BT) * z_BTCHW

    def init_audio_time(self) -> None:
        """(Re)initialise the audio's way into the time embedding: it is zero at first."""
        if self.audio_time_proj is not None:
            nn.init.zeros_(self.audio_time_proj.weight)

    def init_gate(self) -> None:
        """(Re)initialise the output gate: it is zero at first."""
        assert self.conv_gate is not None
        nn.init.zeros_(self.conv_gate.weight)
        nn.init.zeros_(self.conv_gate.bias)  # pyright: ignore[reportArgumentType]

    def _gate(self, x_BTHWC: Tensor, time_BT: Tensor) -> Tensor:
        """(B, T, C, H, W): the factor g of the best linear guess g z of v where z_0 has mean 0 and variance s^2.

        g = alpha sigma (1 - s^2) / (alpha^2 s^2 + sigma^2). The network predicts s^2 = exp(4 conv_gate(x)), 1 at first,
        which makes g zero. Where a residual target is zero, as in a still background, s^2 goes to 0 and all noise is
        recognised as noise, however few channels the network has to carry it.
        """
        assert self.conv_gate is not None
        variance = torch.exp(4 * per_frame(self.conv_gate, x_BTHWC).clamp(-3, 1)).permute(0, 1, 4, 2, 3)
        ratio = torch.exp(4 * time_BT)[:, :, None, None, None].to(variance)  # sigma / alpha
        return ratio * (1 - variance) / (variance + ratio**2)

    def encode(
        self,
        z_BTCHW: Tensor,
        time_BT: Tensor,
        conditioning: Conditioning,
        *,
        ref_time: float = SMALLEST_TIME,
        audio_free: bool = False,
    ) -> Tensor:
        """The way down and the middle: features (B, T, C', H', W') of the video frames. Arguments as in `forward`.

        audio_free: as with an audio mask of zeros, without computing the audio's attention (its weights get no
        gradients).
        """
        x, skips, context = self._top(z_BTCHW, time_BT, conditioning, ref_time, audio_free=audio_free)
        x = self._bottom(x, skips, context)
        return x[:, -z_BTCHW.shape[1] :].permute(0, 1, 4, 2, 3).contiguous()

    def audio_tokens(self, audio_BTWLD: Tensor) -> Tensor:
        """Windows A(f) of raw audio features (B, T, 2m+1, L, D) to audio tokens (B, T, A, audio_token_dim)."""
        return self.audio_projection(audio_BTWLD)

    def _top(
        self,
        z_BTCHW: Tensor,
        time_BT: Tensor,
        conditioning: Conditioning,
        ref_time: float,
        cache: ConditioningCache | None = None,
        *,
        audio_free: bool = False,
    ) -> tuple[Tensor, list[Tensor], Context]:
        """The way down at the highest resolution: features, what the way up is given of them, and the context."""
        self._check_sizes(z_BTCHW, time_BT, conditioning)
        context = self._context(time_BT, conditioning, ref_time, cache, audio_free=audio_free)
        x_in = per_frame(self.conv_in, _merge(z_BTCHW, conditioning, self.config["input_blurs"]))
        x, features = self.down_blocks[0](x_in, context)
        return x, [x_in, *features], context

    def _bottom(self, x_BTHWC: Tensor, skips: list[Tensor], context: Context) -> Tensor:
        """The rest of the way down, whose features are added to `skips`, and the middle."""
        for block in self.down_blocks[1:]:
            x_BTHWC, features = block(x_BTHWC, context)
            skips += features
        return self.mid_block(x_BTHWC, context)

    def _deep(self, x_BTHWC: Tensor, skips: list[Tensor], context: Context, clips: int | None = None) -> Tensor:
        """All below the highest resolution, of `clips` clips for all their copies; leaves in `skips` what its way up is
        given."""
        if clips is not None:
            copies, left_over = divmod(len(x_BTHWC), clips)
            if left_over:
                raise PahaError(f"{len(x_BTHWC)} clips are no copies of {clips}")
            own = [skip[:clips] for skip in skips]
            deep = self._deep(x_BTHWC[:clips], own, context.first(clips))
            del skips[len(own) :]
            return deep.repeat(copies, 1, 1, 1, 1)
        x_BTHWC = self._bottom(x_BTHWC, skips, context)
        for block in self.up_blocks[:-1]:
            x_BTHWC = block(x_BTHWC, skips, context)
        return x_BTHWC

    def _context(
        self,
        time_BT: Tensor,
        conditioning: Conditioning,
        ref_time: float,
        cache: ConditioningCache | None,
        *,
        audio_free: bool = False,
    ) -> Context:
        audio = audio_time_BTD = None
        if not audio_free:
            audio, audio_time_BTD = cached_or_new(cache, "audio", lambda: self._audio(conditioning))
        positions_T = torch.arange(time_BT.shape[1], device=time_BT.device)
        if conditioning.ref_latent is not None:
            time_BT = F.pad(time_BT, (1, 0), value=ref_time)
            positions_T = F.pad(positions_T, (1, 0), value=-1)
        time_BTD = self._embed_time(time_BT)
        if audio_time_BTD is not None:
            time_BTD = time_BTD + audio_time_BTD
        return Context(F.silu(time_BTD), conditioning.image_tokens, audio, positions_T, cache)

    def _audio(self, conditioning: Conditioning) -> tuple[Tensor, Tensor | None]:
        """Audio tokens (B, T or T+1, A, D), and what they add to the time embedding."""
        audio = self.audio_tokens(conditioning.audio)
        if conditioning.audio_mask is not None:
            audio = audio * conditioning.audio_mask.to(audio.dtype)[:, None, None, None]
        if conditioning.ref_latent is not None:
            audio = F.pad(audio, (0, 0, 0, 0, 1, 0))  # the slot's tokens are zero
        return audio, None if self.audio_time_proj is None else self.audio_time_proj(audio.flatten(2))

    def _embed_time(self, time_BT: Tensor) -> Tensor:
        embedded = self.time_embedding(sinusoids(time_BT.flatten(), self.config["block_out_channels"][0]))
        time_BTD = embedded.unflatten(0, time_BT.shape)
        if self.add_embedding is None:
            return time_BTD
        # Filled in on the device: a tensor made of a list would make the host wait for it.
        fill = {"dtype": torch.float32, "device": time_BT.device}
        time_ids_N = torch.cat([torch.full((1,), value, **fill) for value in self.config["time_ids"]])
        return time_BTD + self.add_embedding(sinusoids(time_ids_N, TIME_ID_DIM).flatten()[None])[:, None]

    def _check_sizes(self, z_BTCHW: Tensor, time_BT: Tensor, conditioning: Conditioning) -> None:
        factor = 2 ** (len(self.down_blocks) - 1)
        if z_BTCHW.shape[3] % factor or z_BTCHW.shape[4] % factor:
            raise PahaError(f"latents of {z_BTCHW.shape[4]} x {z_BTCHW.shape[3]}: both must be divisible by {factor}")
        if time_BT.shape != z_BTCHW.shape[:2] or conditioning.audio.shape[:2] != z_BTCHW.shape[:2]:
            raise PahaError(
                f"latents of {tuple(z_BTCHW.shape[:2])} (clips, frames) with times of {tuple(time_BT.shape)} and audio "
                f"of {tuple(conditioning.audio.shape[:2])}: they must agree"
            )


def _merge(z_BTCHW: Tensor, conditioning: Conditioning, blurs: tuple[float, ...] = ()) -> Tensor:
    """f_merge with the channel half: (B, T or T+1, H, W, 2C), the reference latent being frame 0; with blurs, C more
    channels of each, zero for the reference."""
    channels = conditioning.ref_channels
    channels_BTCHW = channels[:, None] if channels.ndim == 4 else channels
    channels_BTCHW = channels_BTCHW.expand_as(z_BTCHW)
    blurred_BTCHW = [blur_over_time(z_BTCHW, blur) for blur in blurs]
    if conditioning.ref_latent is not None:
        z_BTCHW = torch.cat([conditioning.ref_latent[:, None], z_BTCHW], dim=1)
        channels_BTCHW = torch.cat([channels_BTCHW[:, :1], channels_BTCHW], dim=1)
        blurred_BTCHW = [F.pad(blurred, (0, 0) * 3 + (1, 0)) for blurred in blurred_BTCHW]
    merged = torch.cat([z_BTCHW, channels_BTCHW, *blurred_BTCHW], dim=2)
    return merged.permute(0, 1, 3, 4, 2).contiguous()


def blur_over_time(z_BTCHW: Tensor, deviation: float) -> Tensor:
    """A Gaussian of that many frames over time, scaled so that white noise keeps its deviation: what is slow stands out
    of the noise. A network would have to learn to average over time first, and a short training does not."""
    frames_T = torch.arange(z_BTCHW.shape[1], device=z_BTCHW.device)
    kernel_TT = torch.exp(-0.5 * ((frames_T[:, None] - frames_T[None]) / deviation) ** 2)
    kernel_TT = (kernel_TT / kernel_TT.norm(dim=1, keepdim=True)).to(z_BTCHW.dtype)
    return torch.einsum("st,btchw->bschw", kernel_TT, z_BTCHW)


def _down_levels(widths: tuple[int, ...], heads: list[int], layers: int, shared: dict) -> nn.ModuleList:
    inputs = (widths[0], *widths)
    levels = []
    for i, out in enumerate(widths):
        channels = [(inputs[i], out)] + [(out, out)] * (layers - 1)
        # SVD's levels with and without attention differ in this number.
        eps = 1e-6 if heads[i] else 1e-5
        levels.append(DownLevel(channels, downsample=i < len(widths) - 1, eps=eps, num_heads=heads[i], **shared))
    return nn.ModuleList(levels)


def _up_levels(widths: tuple[int, ...], heads: list[int], layers: int, shared: dict) -> nn.ModuleList:
    levels = []
    before = widths[-1]
    for i in reversed(range(len(widths))):
        skips = [widths[i]] * layers + [widths[max(i - 1, 0)]]
        inputs = [before] + [widths[i]] * layers
        channels = [(a + b, widths[i]) for a, b in zip(inputs, skips, strict=True)]
        levels.append(UpLevel(channels, upsample=i > 0, eps=1e-6, num_heads=heads[i], **shared))
        before = widths[i]
    return nn.ModuleList(levels)


def _check_widths(
    widths: tuple[int, ...],
    attends: tuple[bool, ...],
    heads: tuple[int, ...],
    groups: int,
) -> None:
    if not len(widths) == len(attends) == len(heads):
        raise PahaError("model: block_out_channels, attention_levels and num_attention_heads must be equally long")
    for width, head_count in zip(widths, heads, strict=True):
        if width % groups or width % head_count:
            raise PahaError(
                f"model: block_out_channels {width} must be divisible by norm_groups {groups} and by its "
                f"{head_count} heads"
            )
