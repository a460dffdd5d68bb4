"""Weights can be read by whom the umask lets, as any other new file."""

import os
import stat

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from paha.runtime.network import Network, register_to_config
from paha.runtime.tensors import from_eight_bits, save_tensors, to_eight_bits
from paha.univdm.pretrained import load_part

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")


class Doubled(Network):
    @register_to_config
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2 * width)


@pytest.fixture
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def rights(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077], indirect=True)
def test_a_model_s_files_have_the_rights_of_new_files(tmp_path, umask):
    Doubled(3).save_pretrained(tmp_path / "net")
    assert {rights(path) for path in (tmp_path / "net").iterdir()} == {0o666 & ~umask}


def test_a_file_keeps_the_rights_that_somebody_gave_it(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.touch()
    path.chmod(0o640)
    save_tensors({"a": torch.arange(6).reshape(2, 3).mT}, path, metadata={"source": "here"})
    assert rights(path) == 0o640
    assert load_file(path)["a"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_eight_bits_are_within_half_a_step_and_no_other_tensor_changes(tmp_path):
    torch.manual_seed(0)
    network = Doubled(16)
    with torch.no_grad():
        network.linear.weight[3] *= 100  # a row has a scale of its own
        network.linear.weight[5] = 0
    network.save_pretrained(tmp_path, eight_bits=True)
    kept = load_file(tmp_path / "diffusion_pytorch_model.safetensors")
    assert kept["linear.weight"].dtype == torch.int8
    for read in (Doubled.from_pretrained(tmp_path), load_part(Doubled, tmp_path)):
        error = (read.linear.weight - network.linear.weight).abs()
        assert (error <= 0.501 * kept["linear.weight.scale"][:, None]).all()
        assert error[3].max() > error[4].max()
        assert torch.equal(read.linear.weight[5], network.linear.weight[5])
        assert torch.equal(read.linear.bias, network.linear.bias)


def test_whole_numbers_that_were_never_floats_stay_whole():
    tensors = {"a": torch.ones(2, 2, dtype=torch.int8), "a.other": torch.ones(2), "b.scale": torch.ones(3)}
    read = from_eight_bits(to_eight_bits(tensors))
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], value) and read[name].dtype == value.dtype for name, value in tensors.items())
