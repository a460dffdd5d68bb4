"""Weights can be read by whom the umask lets, as any other new file."""

import os
import stat

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from paha.runtime.network import Network, register_to_config
from paha.runtime.tensors import save_tensors

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
