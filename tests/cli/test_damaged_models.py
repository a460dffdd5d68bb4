"""A damaged or foreign model folder ends in one line that names the file, or the key of the weights."""

import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

WEIGHTS = "diffusion_pytorch_model.safetensors"
FILES = ["paha.yaml", "model_index.json", "univdm/config.json", "codec/config.json"]
FILES += [f"univdm/{WEIGHTS}", f"codec/{WEIGHTS}"]
FOREIGN = {
    "paha.yaml": "name: toy\nwheels: 4\n",
    "model_index.json": '{"_class_name": "StableDiffusionPipeline"}',
    "univdm/config.json": '{"_class_name": "UNet2DModel", "sample_size": 32}',
    "codec/config.json": '{"_class_name": "AutoencoderKL"}',
}


def damage(folder, name, how):
    path = folder / name
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif name in FOREIGN:
        path.write_text(FOREIGN[name])
    else:
        other = {"univdm": "codec", "codec": "univdm"}[path.parent.name]
        shutil.copy(folder / other / WEIGHTS, path)


@pytest.fixture
def copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / "copy")


# A folder put together without model_index.json works.
@pytest.mark.parametrize(
    ("name", "how"),
    [(n, how) for n in FILES for how in ("missing", "truncated", "foreign") if (n, how) != (FILES[1], "missing")],
)
def test_damaged_model_folders(animate, inputs, copy, name, how):
    damage(copy, name, how)
    # Foreign weights fit no key: the folder and the key are named.
    named = (copy / name).parent if name.endswith(WEIGHTS) else copy / name
    animate(*inputs, "--model", copy).error(named)


def test_the_configuration_of_another_model(animate, inputs, copy):
    text = (copy / "paha.yaml").read_text()
    (copy / "paha.yaml").write_text(text.replace("audio_hidden_dim: 32", "audio_hidden_dim: 48"))
    animate(*inputs, "--model", copy).error(copy / "paha.yaml")


def test_a_wrong_shape_names_the_key(animate, inputs, copy):
    path = copy / "univdm" / WEIGHTS
    state = load_file(path)
    key = sorted(key for key, value in state.items() if value.ndim == 2)[0]
    state[key] = state[key][:-1].contiguous()
    save_file(state, path)
    animate(*inputs, "--model", copy).error(key, path.parent, tuple(state[key].shape))


@pytest.mark.parametrize("name", ["nowhere", "a/b/c"])
def test_no_model_folder(animate, inputs, tmp_path, name):
    animate(*inputs, "--model", tmp_path / name).error(tmp_path / name)


def test_weights_that_are_no_numbers(animate, inputs, copy):
    path = copy / "univdm" / WEIGHTS
    state = load_file(path)
    key = sorted(state)[0]
    save_file({**state, key: np.nan * state[key]}, path, {"format": "pt"})
    animate(*inputs, "--model", copy).error(key, "not numbers")
