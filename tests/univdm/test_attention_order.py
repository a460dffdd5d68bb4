"""Within a frame: self-attention, then the reference's, then the audio's (section 4.1.1), then the feed-forward."""

from __future__ import annotations

import pytest
import torch
from univdm_toys import randomise

from paha.univdm.blocks import SpatialBlock


def block_and_inputs() -> tuple[SpatialBlock, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A block none of whose weights is zero, features (B, T, P, D), image tokens and audio tokens."""
    block = SpatialBlock(32, num_heads=2, image_dim=16, audio_dim=24)
    randomise(block)
    g = torch.Generator().manual_seed(2)
    sizes = ((2, 3, 5, 32), (2, 4, 16), (2, 3, 6, 24))
    x, image, audio = (torch.randn(size, generator=g) for size in sizes)
    return block.eval(), x, image, audio


@pytest.mark.parametrize("heard", [True, False])
def test_audio_attention_comes_after_reference_attention(heard: bool) -> None:
    block, x, image, audio = block_and_inputs()
    after_self = x + block.attn1(block.norm1(x))
    after_image = after_self + block.attn2(block.norm2(after_self), image)
    # Tokens of zero where nothing is heard: values of zero, so that the output's bias alone is added.
    tokens = audio if heard else torch.zeros_like(audio)
    after_audio = after_image + block.audio_attn(block.audio_norm(after_image), tokens)
    expected = after_audio + block.ff(block.norm3(after_audio))
    torch.testing.assert_close(block(x, image, audio if heard else None), expected, atol=1e-5, rtol=1e-5)

    if heard:  # the other order is not the same to within rounding
        audio_first = after_self + block.audio_attn(block.audio_norm(after_self), audio)
        swapped = audio_first + block.attn2(block.norm2(audio_first), image)
        assert (swapped - after_audio).abs().max() > 1e-2


def test_the_parts_run_in_the_papers_order() -> None:
    block, x, image, audio = block_and_inputs()
    ran: list[str] = []
    for name in ("attn1", "attn2", "audio_attn", "ff"):
        getattr(block, name).register_forward_hook(lambda *_, name=name: ran.append(name))
    block(x, image, audio)
    assert ran == ["attn1", "attn2", "audio_attn", "ff"]
