"""The small autoencoder of pixels."""

import pytest
import torch

from paha import presets
from paha.errors import PahaError
from paha.extractors.pixel_codec import PixelCodec


@pytest.fixture
def codec():
    torch.manual_seed(0)
    return PixelCodec(latent_channels=4, downsample=8, widths=(8, 16), num_blocks=1).eval()


def pixels(count=2, height=32, width=32, seed=0):
    """Blurred noise: neighbouring pixels are alike, as in pictures."""
    coarse = torch.rand(count, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")


def fitted(codec, x):
    codec.fit_basis(x, torch.ones_like(x[:, :1]))
    return codec


def test_the_preset_gives_the_latent_shape_of_its_configuration():
    config = presets.DEBUG
    codec = PixelCodec.from_codec_config(config.codec).eval()
    x = pixels(1, config.height, config.width)
    side = config.height // config.codec.downsample
    with torch.no_grad():
        z = codec.encode(x)
        assert z.shape == (1, config.codec.latent_channels, side, side)
        assert codec.decode(z).shape == x.shape
    assert sum(p.numel() for p in codec.parameters()) <= 1_000_000


def test_frames_need_not_be_square_but_must_fit_the_downsampling(codec):
    with torch.no_grad():
        assert codec.encode(pixels(1, 16, 40)).shape == (1, 4, 2, 5)
    with pytest.raises(ValueError, match="multiple of 8"):
        codec.encode(torch.zeros(1, 3, 32, 36))


@pytest.mark.parametrize("change", [{"downsample": 6}, {"widths": (8, 8, 8)}])
def test_options_that_do_not_fit_are_named(change):
    with pytest.raises(PahaError, match="downsample"):
        PixelCodec.from_codec_config(presets.DEBUG.codec.model_copy(update=change))


def test_latents_of_the_fitted_data_have_zero_mean_and_unit_variance(codec):
    x = pixels(64, seed=3)
    z = fitted(codec, x).encode(x)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)


def test_the_basis_is_the_best_linear_one(codec):
    """Against numpy's singular values: the squared error is that of the components left out."""
    x = pixels(32, seed=1)
    with torch.no_grad():
        error = (fitted(codec, x)(codec.encode(x)) - x).square().sum()
    patches = torch.nn.functional.unfold(x, 8, stride=8).transpose(1, 2).reshape(-1, 192).double()
    left_out = torch.linalg.svdvals(patches - patches.mean(0))[4:].square().sum()
    assert error.item() == pytest.approx(left_out.item(), rel=1e-2)


def test_a_heavier_region_is_reproduced_better(codec):
    x = torch.cat([pixels(16, seed=1), torch.rand(16, 3, 32, 32) * 2 - 1])
    errors = []
    for weight in (1.0, 100.0):
        share = torch.ones(32, 1, 32, 32)
        share[16:] = weight
        codec.fit_basis(x, share)
        with torch.no_grad():
            errors.append((codec(codec.encode(x[16:])) - x[16:]).square().mean().item())
    assert errors[1] < errors[0]


def test_too_few_patches_are_refused(codec):
    with pytest.raises(ValueError, match="1 patches cannot give 4"):
        fitted(codec, pixels(1, 8, 8))


def test_a_latent_sees_its_own_patch_only(codec):
    x = pixels()
    changed = x.clone()
    changed[..., :8, :8] *= -1
    difference = (codec.encode(changed) - codec.encode(x)).abs()
    assert difference[..., 0, 0].max() > 1e-4
    difference[..., 0, 0] = 0
    assert difference.max() == 0


def test_training_the_refiner_beats_the_basis_alone_and_leaves_latents_alone(codec):
    x = pixels(16, 64, 64, seed=2).sign() * 0.5
    z = fitted(codec, x).encode(x)
    before = (codec(z) - x).square().mean().item()
    optimizer = torch.optim.Adam([p for p in codec.parameters() if p.requires_grad], lr=3e-3)
    loss = torch.tensor(torch.inf)
    for _ in range(60):
        loss = (codec(z) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.9 * before
    assert torch.equal(codec.encode(x), z)


def test_saved_in_half_precision_it_loads_strictly_and_agrees(codec, tmp_path):
    x = pixels(16)
    expected = fitted(codec, x).encode(x)
    codec.half().save_pretrained(tmp_path)
    loaded = PixelCodec.from_pretrained(tmp_path)
    assert loaded.config["scaling_factor"] == 1
    with torch.no_grad():
        torch.testing.assert_close(loaded.encode(x), expected, atol=2e-2, rtol=2e-2)
