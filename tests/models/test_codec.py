import pytest
import torch

from paha import presets
from paha.errors import PahaError
from paha.models.codec import PresenterCodec


@pytest.fixture
def codec():
    torch.manual_seed(0)
    return PresenterCodec(latent_channels=4, widths=(8, 16, 16)).eval()


def pixels(count=2, height=32, width=32, seed=0):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("name", ["debug", "presenter"])
def test_presets_give_the_latent_shape_of_their_configuration(name):
    config = presets.preset(name)
    codec = PresenterCodec.from_codec_config(config.codec).eval()
    x = pixels(1, config.height, config.width)
    side = config.height // config.codec.downsample
    with torch.no_grad():
        z = codec.encode(x)
        assert z.shape == (1, config.codec.latent_channels, side, side)
        assert codec.decode(z).shape == x.shape
    assert sum(p.numel() for p in codec.parameters()) <= 3_000_000


def test_frames_need_not_be_square_but_must_fit_the_downsampling(codec):
    with torch.no_grad():
        assert codec.encode(pixels(1, 16, 40)).shape == (1, 4, 2, 5)
    with pytest.raises(ValueError, match="multiple of 8"):
        codec.encode(pixels(1, 32, 36))


def test_widths_must_fit_the_downsampling():
    config = presets.DEBUG.codec.model_copy(update={"downsample": 16})
    with pytest.raises(PahaError, match="downsample"):
        PresenterCodec.from_codec_config(config)


def test_encode_is_deterministic_and_does_not_depend_on_the_batch(codec):
    x = pixels(3)
    with torch.no_grad():
        together, alone = codec.encode(x), codec.encode(x[1:2])
        torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-5)
        assert torch.equal(codec.encode_unscaled(x), together)


def test_a_change_in_one_corner_leaves_far_latents_alone():
    torch.manual_seed(0)
    codec = PresenterCodec(latent_channels=4, widths=(8, 16, 16)).eval()
    for parameter in codec.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x = pixels(1, 128, 128)
    changed = x.clone()
    changed[..., :8, :8] *= -1
    with torch.no_grad():
        difference = (codec.encode(changed) - codec.encode(x)).abs()
    assert difference[..., 0, 0].max() > 1e-4
    assert difference[..., 8:, 8:].max() == 0


def test_measured_latents_have_zero_mean_and_unit_variance_per_channel(codec):
    x = pixels(16, seed=3) * torch.linspace(0.2, 1, 16)[:, None, None, None]
    codec.measure_latents(x.split(5))
    with torch.no_grad():
        z = codec.encode(x)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(4), atol=1e-4, rtol=0)
    before = codec.latent_mean.clone()
    codec.measure_latents([x])
    torch.testing.assert_close(codec.latent_mean, before)


def test_training_standardises_by_the_batch_and_the_stored_statistics_follow(codec):
    codec.train()
    x = pixels(8)
    for _ in range(300):
        _, z = codec(x)
    torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(4), atol=1e-4, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(codec.encode(x), z, atol=1e-2, rtol=1e-2)


def test_noise_reaches_the_decoder_but_not_the_returned_latents(codec):
    for parameter in codec.decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x = pixels()
    with torch.no_grad():
        clean, z = codec(x)
        noisy, z_again = codec(x, torch.ones_like(z))
        torch.testing.assert_close(codec.decode(z + 1), noisy.clamp(-1, 1), atol=1e-5, rtol=1e-5)
    assert torch.equal(z, z_again)
    assert (clean - noisy).abs().max() > 1e-3


def test_saved_in_half_precision_it_loads_strictly_and_agrees(codec, tmp_path):
    x = pixels()
    codec.measure_latents([x])
    with torch.no_grad():
        expected = codec.encode(x)
    codec.half().save_pretrained(tmp_path)
    assert (tmp_path / "diffusion_pytorch_model.safetensors").exists()
    loaded = PresenterCodec.from_pretrained(tmp_path, torch_dtype=torch.float32)
    assert loaded.latent_std.dtype == loaded.dtype == torch.float32
    assert loaded.config["scaling_factor"] == 1
    with torch.no_grad():
        torch.testing.assert_close(loaded.encode(x), expected, atol=2e-2, rtol=2e-2)


def test_training_lowers_the_error_of_one_picture():
    torch.manual_seed(0)
    codec = PresenterCodec(latent_channels=4, widths=(8, 16, 16))
    optimizer = torch.optim.Adam(codec.parameters(), lr=1e-2)
    x = torch.nn.functional.interpolate(pixels(4, 4, 4), (32, 32))
    errors = []
    for _ in range(80):
        loss = (codec(x)[0] - x).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.5 * errors[0]
