"""The norms and the attention that a GPU is given, on a CPU: against torch's own, alone and in a whole UniVDM."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from paha.models import attention, blocks, norms
from paha.models.plan import example_inputs
from paha.presets import preset
from tests.toy import toy_univdm


def relative(found: torch.Tensor | None, wanted: torch.Tensor | None) -> float:
    assert found is not None
    assert wanted is not None
    found, wanted = found.detach().double(), wanted.detach().double()
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6), (torch.bfloat16, 0.004)]
)
def test_group_norm_and_its_gradients_are_torchs(dtype, tolerance):
    torch.manual_seed(0)
    exact = nn.GroupNorm(4, 32).double()
    nn.init.uniform_(exact.weight, 0.5, 2)
    nn.init.normal_(exact.bias)
    ours = copy.deepcopy(exact).to(torch.promote_types(dtype, torch.float32))
    x = (3 * torch.randn(3, 50, 32) + 2).to(dtype).requires_grad_()
    x_exact = x.detach().double().requires_grad_()
    weight = torch.randn(3, 50, 32).to(dtype)
    y = norms.group_norm(ours, x)
    y_exact = exact(x_exact.transpose(1, 2)).transpose(1, 2)
    (y * weight).sum().backward()
    (y_exact * weight).sum().backward()
    assert y.dtype == dtype
    assert y.is_contiguous()
    for found, wanted in (
        (y, y_exact),
        (x.grad, x_exact.grad),
        (ours.weight.grad, exact.weight.grad),
        (ours.bias.grad, exact.bias.grad),
    ):
        assert relative(found, wanted) < tolerance


def test_a_channel_far_from_zero_keeps_its_spread():
    x = 100 + torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(0))
    found = norms.group_norm(nn.GroupNorm(2, 8), x)
    wanted = nn.GroupNorm(2, 8).double()(x.double().transpose(1, 2)).transpose(1, 2)
    assert (found - wanted).abs().max() < 0.02


@pytest.mark.parametrize(("lower", "tolerance"), [(None, 2e-5), (torch.bfloat16, 0.1)])
def test_univdm_is_the_same_with_them(monkeypatch, lower, tolerance):
    config = preset("debug")
    model = toy_univdm(config).requires_grad_(True)
    z, times, conditioning = example_inputs(config, batch_size=2)

    def outcome(enabled: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        for module in (norms, blocks):
            monkeypatch.setattr(module, "in_own_layout", lambda x: enabled)
        model.zero_grad()
        with torch.autocast("cpu", dtype=lower, enabled=lower is not None):
            prediction = model(z, times, conditioning)
        prediction.float().square().mean().backward()
        return prediction.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}

    wanted, wanted_gradients = outcome(False)
    found, found_gradients = outcome(True)
    assert relative(found, wanted) < tolerance
    largest = max(float(gradient.norm()) for gradient in wanted_gradients.values())
    for name, gradient in found_gradients.items():
        assert float((gradient - wanted_gradients[name]).norm()) < tolerance * largest, name


@torch.no_grad()
def test_attention_over_frames_is_the_same_with_positions_as_heads(monkeypatch):
    torch.manual_seed(0)
    layer, x = attention.Attention(32, num_heads=4, over_frames=True), torch.randn(2, 5, 6, 32)
    wanted = layer(x)
    monkeypatch.setattr(attention, "positions_as_heads", lambda x: True)
    torch.testing.assert_close(layer(x), wanted)
    monkeypatch.setattr(attention, "by_products", lambda k: False)
    torch.testing.assert_close(layer(x), wanted)
    assert layer._split_heads(x).data_ptr() == x.data_ptr()
