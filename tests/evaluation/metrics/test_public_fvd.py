"""Our presets against the arithmetic of StyleGAN-V and cd-fvd, written out here anew from their descriptions."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from paha.evaluation.metrics.frechet import FrechetSide, frechet_interval
from paha.evaluation.metrics.fvd import Torchscript, fvd_features, load_i3d, prepare
from paha.evaluation.metrics.fvd_protocol import PROTOCOLS
from paha.evaluation.metrics.i3d import I3D


def public_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """|m - n|^2 + tr(S + T - 2 sqrtm(S T)), moments as sums of squares over N."""
    moments = []
    for x in (fake, real):
        mean = x.sum(0) / len(x)
        moments.append((mean, x.T @ x / len(x) - np.outer(mean, mean)))
    (m, s), (n, t) = moments
    return float(np.square(m - n).sum() + np.trace(s + t - 2 * sqrtm(s @ t)).real)


def our_distance(real: np.ndarray, fake: np.ndarray, *, biased: bool) -> float:
    sides = FrechetSide(real.shape[1], biased=biased, replicates=2), FrechetSide(real.shape[1], biased=biased)
    for side, x in zip(sides, (real, fake), strict=True):
        side.add(x, "a")
    return frechet_interval(*sides).mean  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize("name", ["stylegan-v", "cd-fvd"])
def test_the_distance_of_equal_arrays_is_theirs(name):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 1, (600, 400)) @ rng.normal(0, 0.1, (400, 400)), rng.normal(0.1, 1.2, (600, 400))
    theirs = public_distance(real, fake)
    assert our_distance(real, fake, biased=PROTOCOLS[name].covariance == "n") == pytest.approx(theirs, rel=1e-6)
    assert our_distance(real, fake, biased=False) / theirs - 1 > 1e-4  # N - 1 is another number


def test_frames_are_stretched_as_theirs_are():
    frames = np.random.default_rng(0).integers(0, 256, (16, 60, 90, 3), np.uint8)
    x = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    theirs = 2 * nn.functional.interpolate(x, (224, 224), mode="bilinear", align_corners=False) / 255 - 1
    ours = prepare(frames, PROTOCOLS["cd-fvd"])
    assert torch.allclose(ours[0].transpose(0, 1), theirs, atol=1e-6)
    assert not torch.allclose(prepare(frames, PROTOCOLS["paha"])[0], ours[0], atol=0.1)


class Inside(nn.Module):
    """Of the form of StyleGAN-V's torchscript: resizes and rescales where it is asked to."""

    def forward(
        self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
    ) -> torch.Tensor:
        if resize:
            x = nn.functional.interpolate(x, [x.shape[2], 8, 8], mode="trilinear", align_corners=False)
        if rescale:
            x = 2 * x / 255 - 1
        return x[:, :, :1].flatten(1)[:, :100].repeat(1, 4)


def test_stylegan_v_gets_raw_frames_and_resizes_them_itself(tmp_path):
    torch.jit.script(Inside()).save(str(tmp_path / "i3d.pt"))
    frames = np.random.default_rng(0).integers(0, 256, (16, 20, 30, 3), np.uint8)
    protocol = PROTOCOLS["stylegan-v"]
    network = load_i3d(tmp_path / "i3d.pt", protocol)
    assert isinstance(network, Torchscript)
    assert network.resizes
    x = torch.from_numpy(frames).permute(3, 0, 1, 2).float()[None]
    theirs = Inside()(x, rescale=True, resize=True, return_features=True)
    assert np.allclose(fvd_features(network, frames, protocol), theirs.numpy(), atol=1e-6)
    plain = load_i3d(tmp_path / "i3d.pt")
    assert isinstance(plain, Torchscript)
    assert not plain.resizes


def test_batch_norms_have_the_protocol_s_epsilon(tmp_path):
    torch.manual_seed(0)
    torch.save(I3D().state_dict(), tmp_path / "i3d_pretrained_400.pt")
    for name, eps in (("paha", 1e-3), ("stylegan-v", 1e-3), ("cd-fvd", 1e-5)):
        network = load_i3d(tmp_path / "i3d_pretrained_400.pt", PROTOCOLS[name])
        assert isinstance(network, nn.Module)
        assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm3d)} == {eps}
