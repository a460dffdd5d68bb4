import numpy as np
import pytest
import torch
from toy_corpus import make_toy_corpus

from paha.errors import PahaError
from paha.media.image_io import fit_image
from paha.motion.keypoint_estimator import PoseReader
from paha.pipeline import out_of_distribution as likeness
from paha.pipeline.out_of_distribution import Likeness
from paha.training.motion.fit_out_of_distribution import changed, fit_likeness


def cloud(count: int) -> torch.Tensor:
    """Descriptions whose numbers hang together: (count, 6)."""
    generator = torch.Generator().manual_seed(count)
    mixing = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    return 3 + torch.randn(count, 6, generator=generator) @ mixing


def test_the_limit_holds_for_those_never_seen_and_not_for_others():
    fitted = Likeness.fit(cloud(2000))
    share = (fitted.distance(cloud(1999)) > 1).float().mean()
    assert share == pytest.approx(1 - likeness.QUANTILE, abs=0.01)
    shuffled = torch.stack([column[torch.randperm(1999)] for column in cloud(1999).T], 1)
    assert (fitted.distance(shuffled) > 1).float().mean() > 5 * share  # each number by itself is as usual


def test_it_comes_back_from_its_file(tmp_path):
    fitted = Likeness.fit(cloud(300))
    fitted.save(tmp_path)
    seen = cloud(50)
    assert torch.allclose(Likeness.load(tmp_path).distance(seen), fitted.distance(seen), rtol=0.02)
    (tmp_path / likeness.FILE).write_bytes(b"cut")
    with pytest.raises(PahaError, match="copy the model folder again"):
        Likeness.load(tmp_path)


def test_a_description_does_not_depend_on_the_size_of_a_smooth_picture():
    reader = PoseReader(widths=(8, 8, 8), face_widths=(4, 4, 4), face_hidden=8)
    x = torch.linspace(-1, 1, 256).expand(1, 3, 256, 256)
    small = torch.nn.functional.avg_pool2d(x, 2)
    described = likeness.describe(reader, torch.cat([small, small.flip(3)]))
    assert described.shape == (2, 2 * 4 * 8)
    assert torch.allclose(likeness.describe(reader, x), described[:1], atol=0.02)
    assert not torch.allclose(described[0], described[1], atol=0.02)


def test_a_folder_without_a_cloud_gives_no_distance(tmp_path):
    image = torch.zeros(16, 16, 3, dtype=torch.uint8).numpy()
    assert likeness.image_distance(image, tmp_path) is None
    assert likeness.image_distance(image, None) is None


def test_changes_keep_a_picture_recognisable():
    rng = np.random.default_rng(0)
    across, down = np.meshgrid(np.linspace(0, 255, 128), np.linspace(0, 255, 128))
    image = np.stack([across, down, across], -1).astype(np.uint8)
    for picture in (changed(image, rng) for _ in range(12)):
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        small = fit_image(picture, width=16, height=16).astype(float)
        assert np.abs(small - fit_image(image, width=16, height=16)).mean() < 60


def test_it_is_fitted_to_a_corpus(tmp_path):
    make_toy_corpus(tmp_path, clips=8)
    reader = PoseReader(widths=(8, 8, 8), face_widths=(4, 4, 4), face_hidden=8)
    fitted = fit_likeness(reader, tmp_path)
    noise = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert fitted.distance(likeness.describe(reader, noise)).min() > 2
