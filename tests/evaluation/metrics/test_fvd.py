"""FVD: windows, protocol, network."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import numpy as np
import pytest
import torch
from torch import nn

from paha.errors import PahaError
from paha.evaluation.metrics.frechet import FrechetSide, frechet_distance, frechet_interval
from paha.evaluation.metrics.fvd import fvd_features, load_i3d, prepare
from paha.evaluation.metrics.fvd_protocol import FvdProtocol, load_protocol
from paha.evaluation.metrics.i3d import I3D, SamePool, pad_same


class Brightness(nn.Module):
    """A network of I3D's form: 400 numbers out of a clip."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=[1, 3, 4]).repeat(1, 25)


class StyleGanV(nn.Module):
    """Takes the options of StyleGAN-V's torchscript."""

    def forward(
        self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
    ) -> torch.Tensor:
        assert return_features
        assert not rescale
        assert not resize
        return x.mean(dim=[1, 3, 4]).repeat(1, 25)


def video(seed, frames=40, level=100):
    return np.random.default_rng(seed).integers(level - 40, level + 40, (frames, 36, 48, 3), dtype=np.uint8)


def test_windows_are_cut_in_the_middle_and_scaled():
    frames = np.zeros((40, 36, 48, 3), np.uint8)
    frames[:, :, 6:42] = 255
    x = prepare(frames, FvdProtocol(size=36, windows_per_clip=0))
    assert x.shape == (2, 3, 16, 36, 36)
    assert x.min() == 1  # the black margins are cut off
    assert prepare(frames, FvdProtocol(size=36, stride=2)).shape == (1, 3, 16, 36, 36)
    assert prepare(frames[:10], FvdProtocol()).shape[0] == 0
    assert prepare(255 * np.ones((16, 20, 20, 3), np.uint8), FvdProtocol(low=0.0)).max() == 1


def test_a_stride_takes_every_other_frame():
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8)
    x = prepare(frames, FvdProtocol(size=16, stride=2, low=0.0, high=255.0))
    assert x[0, 0, :, 0, 0].tolist() == list(range(0, 32, 2))


def test_torchscript_and_its_options(tmp_path):
    for name, network in {"plain": Brightness(), "styleganv": StyleGanV()}.items():
        torch.jit.script(network).save(str(tmp_path / f"{name}.pt"))
        features = fvd_features(load_i3d(tmp_path / f"{name}.pt"), video(0), FvdProtocol(size=32))
        assert features.shape == (1, 400)


def test_foreign_files_are_one_line(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(b"nothing")
    with pytest.raises(PahaError, match="holds no weights of I3D"):
        load_i3d(tmp_path / "a.pt")
    with pytest.raises(PahaError, match=r"b.pt is neither I3D's state dict nor torchscript; take StyleGAN-V's"):
        load_i3d(tmp_path / "b.pt")


def test_i3d_gives_400_logits_of_clips_of_any_length_and_loads_the_public_names():
    model = I3D().to("meta").eval()
    for frames in (10, 16, 33):
        assert model(torch.zeros(2, 3, frames, 224, 224, device="meta")).shape == (2, 400)
    names = model.state_dict().keys()
    assert len(names) == 344
    assert {"Mixed_5c.b3b.conv3d.weight", "Conv3d_1a_7x7.bn.running_var", "logits.conv3d.bias"} <= names


def test_same_padding_is_tensorflow_s():
    x = torch.ones(1, 1, 5, 7, 8)
    assert pad_same(x, (3, 3, 3), (2, 2, 2)).shape == (1, 1, 7, 9, 9)
    assert SamePool((3, 3, 3), (2, 2, 2))(x).shape == (1, 1, 3, 4, 4)


def test_protocol_files(tmp_path):
    path = tmp_path / "fvd.yaml"
    path.write_text("frames: 10\nstride: 2\n")
    assert load_protocol(path) == FvdProtocol(frames=10, stride=2)
    assert load_protocol(None) == FvdProtocol()
    for text, match in (
        ("frame: 10", "unknown 'frame'"),
        ("frames: 0", "1 or more"),
        ("frames: many", "frames"),
        ("- 3", "cannot read|unknown"),
    ):
        path.write_text(text)
        with pytest.raises(PahaError, match=match):
            load_protocol(path)


def test_fvd_sees_darker_videos():
    network = Brightness()
    sides = []
    for level, seed in ((100, 0), (100, 50), (60, 100), (20 + 40, 200)):
        side = FrechetSide(400, replicates=5)
        for number in range(8):
            side.add(fvd_features(network, video(seed + number, level=level), FvdProtocol(size=32)), str(number))
        sides.append(side)
    same, dark = frechet_distance(sides[0].stats, sides[1].stats), frechet_distance(sides[0].stats, sides[2].stats)
    assert dark > 100 * same
    assert frechet_interval(sides[0], sides[2]).mean == pytest.approx(dark)
