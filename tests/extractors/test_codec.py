"""Stable Video Diffusion's autoencoder behind the codecs' interface."""

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLTemporalDecoder

from paha import presets
from paha.config import CodecConfig
from paha.errors import PahaError
from paha.extractors.codec import SVDCodec, load_codec, load_svd_codec
from paha.extractors.pixel_codec import PixelCodec

SVD = CodecConfig(kind="svd")


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    blocks: dict[str, Any] = {"block_out_channels": (32, 32), "down_block_types": ("DownEncoderBlock2D",) * 2}
    return AutoencoderKLTemporalDecoder(**blocks)


@pytest.fixture(scope="module")
def svd_folder(vae, tmp_path_factory):
    folder = tmp_path_factory.mktemp("svd")
    vae.save_pretrained(folder / "vae")
    return folder


@pytest.fixture
def presenter_folder(tmp_path):
    PixelCodec.from_codec_config(presets.DEBUG.codec).half().save_pretrained(tmp_path)
    return tmp_path


def pixels(count=2):
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_svd_has_two_scales_of_latents(svd_folder, vae):
    codec = load_codec(SVD, svd_folder)
    x = pixels()
    with torch.no_grad():
        mode = vae.encode(x).latent_dist.mode()
        torch.testing.assert_close(codec.encode_unscaled(x), mode)
        torch.testing.assert_close(codec.encode(x), mode * 0.18215)
    assert codec.downsample == 2
    assert mode.shape == (2, codec.latent_channels, 8, 8)


def test_svd_decodes_as_diffusers_does_chunk_by_chunk(svd_folder, vae):
    codec = load_svd_codec(svd_folder)
    codec.decode_chunk = 2
    with torch.no_grad():
        z = codec.encode(pixels(3))
        parts = [vae.decode(part / 0.18215, num_frames=len(part)).sample for part in (z[:2], z[2:])]
        torch.testing.assert_close(codec.decode(z), torch.cat(parts).clamp(-1, 1))


def test_svd_frames_of_a_chunk_see_each_other(vae):
    codec = SVDCodec(vae)
    with torch.no_grad():
        z = codec.encode(pixels(3))
        torch.nn.init.normal_(vae.decoder.time_conv_out.weight, std=0.1)
        changed = z.clone()
        changed[1] += 1
        assert (codec.decode(z)[0] != codec.decode(changed)[0]).any()


def test_svd_loads_from_the_folder_of_the_vae_itself(svd_folder):
    assert isinstance(load_codec(SVD, svd_folder / "vae"), SVDCodec)


def test_the_presenter_codec_loads_in_full_precision_without_gradients(presenter_folder):
    codec = load_codec(presets.DEBUG.codec, presenter_folder)
    assert isinstance(codec, PixelCodec)
    assert codec.dtype == torch.float32
    assert not codec.training
    assert not any(p.requires_grad for p in codec.parameters())
    assert codec.encode(pixels()).shape == (2, 4, 2, 2)


def test_missing_weights_are_named_with_the_remedy(tmp_path):
    with pytest.raises(PahaError, match=r"nowhere.*paha train codec"):
        load_codec(presets.DEBUG.codec, tmp_path / "nowhere")
    with pytest.raises(PahaError, match="paha train codec"):
        load_codec(presets.DEBUG.codec)
    with pytest.raises(PahaError, match=r"nowhere.*with its vae folder"):
        load_codec(SVD, tmp_path / "nowhere")


def test_truncated_weights_are_one_line(presenter_folder):
    weights = presenter_folder / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(PahaError, match=r"diffusion_pytorch_model\.safetensors is truncated") as caught:
        load_codec(presets.DEBUG.codec, presenter_folder)
    assert "\n" not in str(caught.value)


def test_missing_or_surplus_tensors_are_named(presenter_folder):
    from safetensors.torch import load_file, save_file

    weights = presenter_folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    del tensors["patch_mean"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(PahaError, match="patch_mean"):
        load_codec(presets.DEBUG.codec, presenter_folder)
    save_file(
        tensors | {"patch_mean": torch.zeros(3, 8, 8), "stranger": torch.ones(1)}, weights, metadata={"format": "pt"}
    )
    with pytest.raises(PahaError, match="stranger"):
        load_codec(presets.DEBUG.codec, presenter_folder)


def test_a_codec_of_another_shape_is_refused(presenter_folder):
    with pytest.raises(PahaError, match="wants 8 at 1/8"):
        load_codec(presets.DEBUG.codec.model_copy(update={"latent_channels": 8}), presenter_folder)
