"""Networks know their options, are folders in diffusers' layout, and start without diffusers."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from paha.runtime.network import Network, register_to_config


class Scaled(Network):
    """A linear layer, a scale that is kept and one that is not."""

    @register_to_config
    def __init__(self, width: int, *, scales: tuple[float, ...] = (1.0, 2.0)) -> None:
        super().__init__()
        self.linear = nn.Linear(width, len(scales))
        self.register_buffer("scales", torch.tensor(scales))
        self.register_buffer("count", torch.arange(len(scales)), persistent=False)


def test_arguments_and_defaults_are_the_config():
    assert Scaled(3).config == {"width": 3, "scales": (1.0, 2.0)}
    assert Scaled(width=3, scales=(4.0,)).config == {"width": 3, "scales": (4.0,)}


def test_a_saved_network_is_the_same_and_in_diffusers_layout(tmp_path):
    network = Scaled(3, scales=(0.5, 7.0)).half()
    network.save_pretrained(tmp_path / "new" / "net")
    assert {path.name for path in (tmp_path / "new" / "net").iterdir()} == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
    }
    assert json.loads((tmp_path / "new/net/config.json").read_text())["_class_name"] == "Scaled"
    again = Scaled.from_pretrained(tmp_path / "new" / "net")
    assert (again.dtype, again.training, again.config["scales"]) == (torch.float32, False, [0.5, 7.0])
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value.float()), name
    assert again.count.dtype == torch.int64
    half = Scaled.from_pretrained(tmp_path / "new" / "net", dtype=torch.float16)
    assert half.dtype == half.scales.dtype == torch.float16
    assert again.num_parameters() == 3 * 2 + 2


def test_options_of_another_network_are_refused(tmp_path):
    with pytest.raises(TypeError, match="depth"):
        Scaled.from_config({"_class_name": "Scaled", "width": 3, "depth": 2})
    with pytest.raises(TypeError, match="width"):
        Scaled.from_config({"scales": [1.0]})


def test_the_pipeline_starts_without_diffusers_and_transformers():
    """They take three seconds each; `paha animate` needs neither."""
    code = (
        "import sys, paha.pipeline.pipeline, paha.pipeline.animate, paha.motion.motion_reference; "
        "print(*sorted({'diffusers', 'transformers', 'torch._dynamo', 'scipy.stats'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
