"""The reference image to tokens."""

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from paha.config import ImageConfig
from paha.errors import PahaError
from paha.extractors.image import CLIP_MEAN, CLIP_STD, clip_pixels, load_image_encoder


def test_pooled_tokens_are_the_cells_averages_row_by_row():
    latent = torch.randn(2, 5, 8, 4)
    tokens = load_image_encoder(ImageConfig(kind="pooled", pool=2)).encode(latent)
    assert tokens.shape == (2, 4, 5)
    torch.testing.assert_close(tokens[:, 1], latent[:, :, :4, 2:].mean(dim=(2, 3)))
    torch.testing.assert_close(tokens[:, 2], latent[:, :, 4:, :2].mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def svd_dir(tmp_path_factory):
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        projection_dim=24,
    )
    folder = tmp_path_factory.mktemp("svd")
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    return folder


def test_clip_gives_one_projected_token(svd_dir):
    encoder = load_image_encoder(ImageConfig(kind="clip", name=str(svd_dir)))
    image = torch.rand(2, 3, 40, 60) * 2 - 1
    tokens = encoder.encode(torch.zeros(2, 4, 5, 7), image)
    assert tokens.shape == (2, 1, 24)
    expected = CLIPVisionModelWithProjection.from_pretrained(svd_dir / "image_encoder").eval()(
        clip_pixels(image, size=28)
    )
    torch.testing.assert_close(tokens[:, 0], expected.image_embeds)


def test_clip_is_found_in_the_model_folder(svd_dir, tmp_path):
    (tmp_path / "image_encoder").symlink_to(svd_dir / "image_encoder")
    encoder = load_image_encoder(ImageConfig(kind="clip", name=str(tmp_path / "nowhere")), tmp_path)
    assert encoder.encode(torch.zeros(1, 4, 5, 7), torch.zeros(1, 3, 8, 8)).shape == (1, 1, 24)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_clip_pixels_of_a_flat_image_are_clips_normalised_values(value):
    pixels = clip_pixels(torch.full((1, 3, 30, 50), value), size=28)
    expected = torch.tensor([((value + 1) / 2 - m) / s for m, s in zip(CLIP_MEAN, CLIP_STD, strict=True)])
    torch.testing.assert_close(pixels, expected[None, :, None, None].expand(1, 3, 28, 28), atol=1e-5, rtol=1e-5)


def test_missing_weights_are_named_with_the_remedy(tmp_path):
    with pytest.raises(PahaError, match=r"no-such-svd/image_encoder.*image\.name"):
        load_image_encoder(ImageConfig(kind="clip", name=str(tmp_path / "no-such-svd")))


def test_clip_without_an_image_says_what_to_do(svd_dir):
    with pytest.raises(PahaError, match="reference image"):
        load_image_encoder(ImageConfig(kind="clip", name=str(svd_dir))).encode(torch.zeros(1, 4, 5, 7))
