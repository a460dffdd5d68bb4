"""UniVDM against diffusers' network, and what it adds."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from univdm_toys import TOY, randomise, toy_inputs, toy_svd, toy_univdm

from paha.errors import PahaError
from paha.presets import preset
from paha.univdm.attention import scaled_dot_product
from paha.univdm.blocks import SpatialBlock, SpatioTemporalResBlock, TemporalBlock, TimeMixer, over_time
from paha.univdm.embeddings import SMALLEST_TIME
from paha.univdm.svd_weights import load_strict, new_keys
from paha.univdm.univdm import UniVDM, _merge, blur_over_time

DEEP = {
    "block_out_channels": (32, 64, 64, 96),
    "attention_levels": (True, True, True, False),
    "num_attention_heads": (1, 2, 4, 3),
    "layers_per_block": 2,
}
FLAT = {"block_out_channels": (64, 32), "attention_levels": (True, True), "num_attention_heads": (4, 2)}


def only_spatial(model: UniVDM) -> UniVDM:
    """The model with the temporal branches blended out, exactly."""
    for module in model.modules():
        if isinstance(module, TimeMixer):
            nn.init.constant_(module.mix_factor, 100.0)
    return model


@pytest.mark.parametrize(
    ("changes", "batch", "frames", "height", "width", "tokens"),
    [({}, 2, 3, 8, 8, 1), ({}, 1, 1, 2, 4, 5), (DEEP, 1, 5, 16, 8, 3), (FLAT, 2, 36, 4, 6, 2)],
)
def test_equals_svd(changes: dict, batch: int, frames: int, height: int, width: int, tokens: int) -> None:
    config = TOY.model_copy(update=changes)
    svd, model = toy_svd(config), toy_univdm(config)
    load_strict(model, svd.state_dict(), allow_new=new_keys(model))
    z, _, conditioning = toy_inputs(batch, frames, height, width, tokens=tokens, config=config)
    conditioning = replace(conditioning, ref_latent=None)
    time = torch.tensor(-0.37)
    ids = torch.tensor([config.time_ids] * batch)
    merged = torch.cat([z, conditioning.ref_channels[:, None].expand_as(z)], dim=2)
    expected = svd(merged, time, conditioning.image_tokens, ids).sample
    got = model(z, time.expand(batch, frames), conditioning)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 0.05
    with torch.no_grad():  # takes the short way through attention to a single token
        torch.testing.assert_close(model(z, time.expand(batch, frames), conditioning), expected, atol=1e-5, rtol=1e-5)


def test_time_ids_of_the_configuration_reach_the_output() -> None:
    model, other = toy_univdm(), toy_univdm(TOY.model_copy(update={"time_ids": (6.0, 20.0, 0.1)}))
    other.load_state_dict(model.state_dict())
    inputs = toy_inputs()
    assert not torch.allclose(model(*inputs), other(*inputs), atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_any_length_and_size_with_the_reference_slot(frames: int) -> None:
    model = toy_univdm()
    z, time, conditioning = toy_inputs(1, frames, 6, 10)
    out = model(z, time, conditioning)
    assert out.shape == z.shape
    assert out.is_contiguous()
    other = replace(conditioning, ref_latent=conditioning.ref_latent + 1)
    assert not torch.allclose(out, model(z, time, other), atol=1e-4)
    assert not torch.allclose(out, model(z, time, conditioning, ref_time=1.0), atol=1e-5)


def test_the_slot_reaches_frames_through_time_alone() -> None:
    model = only_spatial(toy_univdm(random_audio=True))
    z, time, conditioning = toy_inputs()
    without = model(z, time, replace(conditioning, ref_latent=None))
    torch.testing.assert_close(model(z, time, conditioning), without, atol=1e-5, rtol=0)


def test_each_frame_has_its_own_time_and_audio() -> None:
    model = only_spatial(toy_univdm(random_audio=True))
    z, time, conditioning = toy_inputs()
    whole = model(z, time, conditioning)
    for f in range(3):
        one = replace(conditioning, audio=conditioning.audio[:, f : f + 1])
        alone = model(z[:, f : f + 1], time[:, f : f + 1], one)
        torch.testing.assert_close(whole[:, f : f + 1], alone, atol=1e-5, rtol=0)


def test_channels_may_differ_by_frame() -> None:
    model = toy_univdm()
    z, time, conditioning = toy_inputs()
    per_frame = conditioning.ref_channels[:, None].expand_as(z).clone()
    same = model(z, time, replace(conditioning, ref_channels=per_frame))
    assert torch.equal(same, model(z, time, conditioning))
    per_frame[:, 2] += 1
    assert not torch.allclose(same, model(z, time, replace(conditioning, ref_channels=per_frame)), atol=1e-4)


def test_new_audio_layers_change_nothing() -> None:
    model = toy_univdm()
    z, time, conditioning = toy_inputs()
    other = replace(conditioning, audio=torch.randn_like(conditioning.audio))
    assert torch.equal(model(z, time, conditioning), model(z, time, other))


def test_audio_of_one_frame_reaches_all_through_time() -> None:
    z, time, conditioning = toy_inputs()
    audio = conditioning.audio.clone()
    audio[:, 1] += 3
    other = replace(conditioning, audio=audio)
    for model, reached in ((toy_univdm(), [1, 1, 1]), (only_spatial(toy_univdm()), [0, 1, 0])):
        randomise_audio(model)
        change = (model(z, time, conditioning) - model(z, time, other)).abs().amax(dim=(0, 2, 3, 4))
        assert (change > 1e-4).int().tolist() == reached


def randomise_audio(model: UniVDM) -> None:
    for module in model.modules():
        if isinstance(module, SpatialBlock):
            randomise(module.audio_attn)


def test_audio_mask_zero_is_zero_tokens() -> None:
    model = toy_univdm(random_audio=True)
    z, time, conditioning = toy_inputs()
    kept = model(z, time, conditioning)
    mixed = model(z, time, replace(conditioning, audio_mask=torch.tensor([1.0, 0.0])))
    nn.init.zeros_(model.audio_projection.norm.weight)
    nn.init.zeros_(model.audio_projection.norm.bias)
    silent = model(z, time, conditioning)
    torch.testing.assert_close(mixed[0], kept[0])
    torch.testing.assert_close(mixed[1], silent[1])
    assert not torch.allclose(kept[1], silent[1], atol=1e-3)


def test_audio_tokens() -> None:
    model = toy_univdm()
    tokens = model.audio_tokens(toy_inputs()[2].audio)
    assert tokens.shape == (2, 3, 3, 16)
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(2, 3, 3), atol=1e-5, rtol=0)


def test_encoder_copy_computes_the_same_features() -> None:
    model = toy_univdm(random_audio=True)
    z, time, conditioning = toy_inputs()
    encoder = model.encoder_copy()
    features = model.encode(z, time, conditioning)
    assert features.shape == (2, 3, 64, 4, 4)
    assert torch.equal(features, encoder.encode(z, time, conditioning))
    assert set(encoder.state_dict()) == {
        k for k in model.state_dict() if not k.startswith(("up_", "conv_norm", "conv_out"))
    }
    encoder.conv_in.weight.data.zero_()
    assert torch.equal(features, model.encode(z, time, conditioning))
    assert not torch.allclose(features, model.encode(z, time, replace(conditioning, audio=conditioning.audio + 1)))


def test_gradient_reaches_the_latents() -> None:
    z, time, conditioning = toy_inputs()
    model = toy_univdm()
    (gradient,) = torch.autograd.grad(model(z.requires_grad_(), time, conditioning).sum(), z)
    assert (gradient.abs().amax(dim=(2, 3, 4)) > 0).all()


def test_checkpointing_gives_the_same_gradients() -> None:
    model = toy_univdm(random_audio=True)
    z, time, conditioning = toy_inputs()
    plain = gradients(model, z, time, conditioning)
    assert all(g is not None for g in plain.values())
    calls = []
    blocks = [m for m in model.modules() if isinstance(m, SpatialBlock | TemporalBlock | SpatioTemporalResBlock)]
    for block in blocks:
        block.register_forward_pre_hook(lambda module, _: calls.append(module))
    model.enable_gradient_checkpointing()
    again = gradients(model, z, time, conditioning)
    assert all(calls.count(block) == 2 for block in blocks)
    for key, value in plain.items():
        torch.testing.assert_close(again[key], value, atol=0, rtol=0, msg=key)
    model.disable_gradient_checkpointing()
    calls.clear()
    gradients(model, z, time, conditioning)
    assert all(calls.count(block) == 1 for block in blocks)


def gradients(model: UniVDM, *inputs: object) -> dict[str, torch.Tensor | None]:
    model.zero_grad()
    model(*inputs).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters()}


def test_save_and_load(tmp_path) -> None:
    model = toy_univdm(random_audio=True)
    model.save_pretrained(tmp_path)
    loaded = UniVDM.from_pretrained(tmp_path)
    assert all(loaded.config[name] == _as_json(model.config[name]) for name in (*TOY.model_fields_set, "encoder_only"))
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in loaded.state_dict().items())
    inputs = toy_inputs()
    torch.testing.assert_close(model(*inputs), loaded(*inputs), atol=1e-5, rtol=0)


def _as_json(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def test_bad_sizes_are_named() -> None:
    model = toy_univdm()
    z, time, conditioning = toy_inputs(height=7)
    with pytest.raises(PahaError, match="8 x 7"):
        model(z, time, conditioning)
    z, time, conditioning = toy_inputs()
    with pytest.raises(PahaError, match="must agree"):
        model(z, time, replace(conditioning, audio=conditioning.audio[:, :2]))
    with pytest.raises(PahaError, match="40 must be divisible by norm_groups 32"):
        toy_univdm(TOY.model_copy(update={"block_out_channels": (32, 40)}))
    with pytest.raises(PahaError, match="time_ids"):
        toy_univdm(TOY.model_copy(update={"time_ids": (1.0,)}))


def test_sizes_of_the_presets() -> None:
    with torch.device("meta"):
        counts = {
            n: UniVDM.from_model_config(preset(n).model).num_parameters() for n in ("debug", "presenter", "paper")
        }
    assert counts["debug"] < 1_000_000
    assert 3_000_000 < counts["presenter"] < 8_000_000
    audio_projection = 5 * 12 * 768 * 512 + 512 + 512 * 32 * 768 + 32 * 768 + 2 * 768
    widths = [320] * 5 + [640] * 5 + [1280] * 6
    audio_attention = sum(2 * w + 2 * w * w + 2 * 768 * w + w for w in widths)
    assert counts["paper"] == 1_524_623_082 + audio_projection + audio_attention


@pytest.mark.parametrize("keys", [1, 5, 33, 34, 64])
def test_attention_equals_the_formula(keys: int) -> None:
    q, k, v = torch.randn(3, 2, 7, 8), torch.randn(3, 2, keys, 8), torch.randn(3, 2, keys, 8)
    expected = (q @ k.transpose(-1, -2) / math.sqrt(8)).softmax(-1) @ v
    torch.testing.assert_close(scaled_dot_product(q, k, v), expected, atol=1e-6, rtol=1e-5)


def test_temporal_convolution_equals_conv3d() -> None:
    conv = nn.Conv3d(4, 6, (3, 1, 1), padding=(1, 0, 0))
    x = torch.randn(2, 5, 3, 2, 4)  # B T H W C
    expected = F.conv3d(x.permute(0, 4, 1, 2, 3), conv.weight, conv.bias, padding=(1, 0, 0)).permute(0, 2, 3, 4, 1)
    torch.testing.assert_close(over_time(conv, x), expected)


def test_smallest_time_is_that_of_timestep_zero() -> None:
    alpha, sigma = math.sqrt(1 - 0.00085), math.sqrt(0.00085)
    assert math.log(sigma / alpha) / 4 == pytest.approx(SMALLEST_TIME)


def test_the_output_gate_is_shut_at_first_and_is_the_best_linear_guess_of_v():
    """With clean values of deviation s, E[v z] / E[z z] by sampling."""
    gated = toy_univdm(TOY.model_copy(update={"output_gate": True}))
    x, time = torch.randn(1, 1, 4, 4, 32), torch.tensor([[0.1]])
    assert gated._gate(x, time).abs().max() == 0
    g = torch.Generator().manual_seed(0)
    for log_variance, t in ((-2.0, 0.1), (-6.0, -0.5), (0.5, 0.3)):
        bias = gated.conv_gate.bias
        assert bias is not None
        torch.nn.init.constant_(bias, log_variance / 4)
        ratio = torch.tensor(4 * t, dtype=torch.float64).exp()
        alpha = 1 / (1 + ratio**2).sqrt()
        sigma = ratio * alpha
        z_0, eps = torch.randn(2, 1_000_000, generator=g, dtype=torch.float64)
        z_0 = z_0 * torch.tensor(log_variance / 2, dtype=torch.float64).exp()
        z_t, v = alpha * z_0 + sigma * eps, alpha * eps - sigma * z_0
        expected = (v * z_t).mean() / (z_t * z_t).mean()
        assert gated._gate(x, torch.tensor([[t]])).mean().item() == pytest.approx(expected.item(), abs=0.01)


def test_a_blur_over_time_keeps_white_noise_and_lifts_what_is_slow_out_of_it():
    g = torch.Generator().manual_seed(0)
    noise = torch.randn(4, 64, 4, 16, 16, generator=g)
    for deviation in (2.0, 6.0):
        assert blur_over_time(noise, deviation).std().item() == pytest.approx(1, abs=0.01)
        still = blur_over_time(torch.ones(1, 64, 1, 1, 1), deviation)[0, 32].item()
        # The sum of a Gaussian over its norm.
        assert still == pytest.approx((2 * math.sqrt(math.pi) * deviation) ** 0.5, rel=1e-3)


def test_blurred_inputs_reach_the_network_and_the_reference_has_none():
    z, time, conditioning = toy_inputs()
    C = z.shape[2]
    model = toy_univdm(TOY.model_copy(update={"input_blurs": (1.0, 3.0)}))
    assert model.conv_in.in_channels == 4 * C
    with torch.no_grad():
        model.conv_in.weight[:, : 2 * C] = 0  # neither latents nor reference as they are
        model.conv_in.bias.zero_()
    merged = _merge(z, conditioning, (1.0, 3.0))
    assert merged[:, 0, ..., 2 * C :].abs().max() == 0
    torch.testing.assert_close(merged[:, 1:, ..., 3 * C :].permute(0, 1, 4, 2, 3), blur_over_time(z, 3.0))
    assert not torch.allclose(model(z, time, conditioning), model(z.flip(1), time, conditioning), atol=1e-4)


def test_audio_in_the_time_embedding_is_silent_at_first_and_then_heard() -> None:
    z, time, conditioning = toy_inputs()
    model = toy_univdm(TOY.model_copy(update={"norm_groups": 4, "audio_in_time": True}))
    other = replace(conditioning, audio=conditioning.audio.roll(1, dims=1))
    torch.testing.assert_close(model(z, time, conditioning), model(z, time, other), atol=0, rtol=0)
    torch.nn.init.normal_(model.audio_time_proj.weight)
    heard = model(z, time, conditioning)
    assert not torch.allclose(heard, model(z, time, other), atol=1e-3)
    silent = replace(conditioning, audio_mask=torch.zeros(len(z)))
    both = replace(other, audio_mask=torch.zeros(len(z)))
    torch.testing.assert_close(model(z, time, silent), model(z, time, both), atol=0, rtol=0)
