"""Stable Video Diffusion's weights in UniVDM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from univdm_toys import TOY, toy_inputs, toy_svd, toy_univdm

from paha.errors import PahaError
from paha.presets import preset
from paha.univdm.svd_weights import init_new_layers, load_state, load_strict, load_svd_unet, new_keys
from paha.univdm.univdm import UniVDM

BLOCKS = (
    "down_blocks.0.attentions.0.transformer_blocks.0",
    "mid_block.attentions.0.transformer_blocks.0",
    "up_blocks.1.attentions.0.transformer_blocks.0",
    "up_blocks.1.attentions.1.transformer_blocks.0",
)


@pytest.fixture(scope="module")
def svd():
    return toy_svd()


@pytest.fixture
def model() -> UniVDM:
    return toy_univdm()


def assert_is_svd(model: UniVDM, svd: torch.nn.Module) -> None:
    own = model.state_dict()
    for key, value in svd.state_dict().items():
        assert torch.equal(own[key], value.float()), key


def test_new_keys_are_spelled_out(model: UniVDM, svd) -> None:
    expected = {f"audio_projection.{n}.{p}" for n in ("linear_1", "linear_2", "norm") for p in ("weight", "bias")}
    for block in BLOCKS:
        expected |= {f"{block}.audio_norm.weight", f"{block}.audio_norm.bias"}
        expected |= {f"{block}.audio_attn.to_{p}.weight" for p in ("q", "k", "v", "out.0")}
        expected.add(f"{block}.audio_attn.to_out.0.bias")
    assert set(new_keys(model)) == expected
    assert set(model.state_dict()) - set(svd.state_dict()) == expected
    with torch.device("meta"):
        assert len(new_keys(UniVDM.from_model_config(preset("paper").model))) == 6 + 16 * 7


@pytest.mark.parametrize("shard_size", ["10GB", "300KB"])
@pytest.mark.parametrize("subfolder", ["", "unet"])
def test_svd_folder(tmp_path: Path, model: UniVDM, svd, shard_size: str, subfolder: str) -> None:
    svd.save_pretrained(tmp_path / subfolder, max_shard_size=shard_size)
    assert bool(list(tmp_path.rglob("*.index.json"))) == (shard_size == "300KB")
    load_svd_unet(model, tmp_path)
    assert_is_svd(model, svd)


@pytest.mark.parametrize("shard_size", ["10GB", "300KB"])
def test_half_precision_is_converted(tmp_path: Path, model: UniVDM, svd, shard_size: str) -> None:
    half = toy_svd().half()
    half.save_pretrained(tmp_path, variant="fp16", max_shard_size=shard_size)
    load_svd_unet(model, tmp_path)
    assert model.dtype == torch.float32
    assert_is_svd(model, half)


def test_values_too_large_for_half_are_refused(model: UniVDM, svd) -> None:
    state = svd.state_dict()
    state["conv_in.bias"] = torch.full_like(state["conv_in.bias"], 1e5)
    with pytest.raises(PahaError, match=r"not finite.*conv_in\.bias as torch\.float16"):
        load_strict(model.half(), state, allow_new=new_keys(model))


def test_errors_name_the_keys_and_leave_the_model(model: UniVDM, svd) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = svd.state_dict()
    new = new_keys(model)
    fewer = {k: v for k, v in state.items() if k != "conv_in.weight"}
    with pytest.raises(PahaError, match=r"missing: conv_in\.weight$"):
        load_strict(model, fewer, allow_new=new)
    with pytest.raises(PahaError, match=r"missing: audio_projection.* and 31 more"):
        load_strict(model, state)
    with pytest.raises(PahaError, match=r"unexpected keys.*other\.weight"):
        load_strict(model, {**state, "other.weight": torch.zeros(1)}, allow_new=new)
    with pytest.raises(PahaError, match=r"conv_in\.weight \(32, 9, 3, 3\) against \(32, 8, 3, 3\)"):
        load_strict(model, {**state, "conv_in.weight": torch.zeros(32, 9, 3, 3)}, allow_new=new)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_configuration_that_shapes_do_not_show(tmp_path: Path, svd) -> None:
    svd.save_pretrained(tmp_path)
    other = toy_univdm(TOY.model_copy(update={"num_attention_heads": (4, 4)}))
    with pytest.raises(PahaError, match=r"num_attention_heads is \[2, 4\], the model has \[4, 4\]"):
        load_svd_unet(other, tmp_path)


def test_new_layers_start_without_effect(model: UniVDM) -> None:
    inputs = toy_inputs()
    before = model(*inputs)
    for parameter in (model.get_parameter(key) for key in new_keys(model)):
        parameter.data.fill_(0.5)
    assert not torch.allclose(model(*inputs), before, atol=1e-3)
    init_new_layers(model)
    assert torch.equal(model(*inputs), before)
    assert model.audio_projection.linear_1.weight.std() > 0


def test_bad_files(tmp_path: Path, model: UniVDM) -> None:
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    with pytest.raises(PahaError, match="missing"):
        load_state(path)
    with pytest.raises(PahaError, match=f"no unet weights in {tmp_path}"):
        load_svd_unet(model, tmp_path)
    save_file({"a": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    for content in (whole[:-100], whole[:4], b"", b"<html>not found</html>", b"PK\x03\x04 a pickle"):
        path.write_bytes(content)
        with pytest.raises(PahaError, match="truncated or no safetensors"):
            load_svd_unet(model, tmp_path)


def test_bad_index(tmp_path: Path, model: UniVDM) -> None:
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text("{")
    with pytest.raises(PahaError, match="no index"):
        load_svd_unet(model, tmp_path)
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": "gone.safetensors"}}))
    with pytest.raises(PahaError, match=r"gone\.safetensors is missing"):
        load_svd_unet(model, tmp_path)


def test_unknown_name_without_network(model: UniVDM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PahaError, match="'nobody/nothing' is no local directory"):
        load_svd_unet(model, "nobody/nothing")
