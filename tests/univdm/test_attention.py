"""Attention as a GPU is given it, on a CPU: against what the CPU does."""

from __future__ import annotations

import torch

from paha.univdm import attention


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
