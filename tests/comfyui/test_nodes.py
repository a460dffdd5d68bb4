"""The ComfyUI nodes without ComfyUI: as it finds them, and as it would call them."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path

import pytest
import torch
from toy import toy_audio, toy_image, toy_pipeline

from paha.media.video_io import read_video

FOLDER = Path(__file__).parents[2] / "comfyui"


@pytest.fixture(scope="module")
def nodes():
    """ComfyUI imports a folder of custom nodes under a name of its own."""
    name = "custom_nodes_paha"
    spec = importlib.util.spec_from_file_location(
        name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.NODE_CLASS_MAPPINGS


def test_three_nodes_that_say_what_they_take(nodes):
    assert set(nodes) == {"PahaLoad", "PahaAnimate", "PahaSave"}
    for node in nodes.values():
        asked = set(node.INPUT_TYPES()["required"])
        taken = set(inspect.signature(getattr(node, node.FUNCTION)).parameters) - {"self"}
        assert asked == taken
        assert isinstance(node.RETURN_TYPES, tuple)


def test_from_picture_and_sound_to_a_file(nodes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy_pipeline().save_pretrained(tmp_path / "model")
    (model,) = nodes["PahaLoad"]().load(str(tmp_path / "model"), "cpu")
    image = torch.from_numpy(toy_image()).float()[None] / 255
    samples, rate_hz = toy_audio(0.4)
    audio = {"waveform": torch.from_numpy(samples).T[None], "sample_rate": rate_hz}
    frames, same = nodes["PahaAnimate"]().animate(model, image, audio, 0, 32, 1.0, 1.0, 1.0)
    assert same is audio
    assert frames.shape == (10, 32, 32, 3)
    assert frames.dtype == torch.float32
    assert 0 <= float(frames.min()) < float(frames.max()) <= 1
    paths = [Path(nodes["PahaSave"]().save(frames, audio, "../a b", False)["ui"]["text"][0]) for _ in range(2)]
    assert [path.name for path in paths] == ["___a_b_00001.mp4", "___a_b_00002.mp4"]
    assert all(len(read_video(path)) == 10 for path in paths)
