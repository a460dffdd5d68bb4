"""The benchmarks of memory and speed, at toy size: that they run, and that their tables hold what they say."""

from __future__ import annotations

import pytest
import torch

from benchmarks import forward, gpu, memory
from paha.models.univdm import UniVDM
from paha.models.weights import new_keys
from paha.presets import preset
from paha.verbs import configuration

CPU = torch.device("cpu")


def test_the_twin_has_the_weights_that_are_not_new():
    config = configuration(
        "debug",
        ["model.output_gate=false", "model.num_time_ids=3", "model.time_ids=[24, 127, 0]", "model.norm_groups=32"],
    )
    ours = UniVDM.from_model_config(config.model)
    theirs = forward.diffusers_twin(config.model)
    shapes = {key: value.shape for key, value in ours.state_dict().items() if key not in new_keys(ours)}
    assert shapes == {key: value.shape for key, value in theirs.state_dict().items()}


def test_forward_is_compared():
    found = forward.compare(preset("debug"), device=CPU, dtype=torch.float32, repeats=3)
    assert found["ratio"] == pytest.approx(found["ours"] / found["theirs"])
    assert found["low"] <= found["high"]


def test_the_gpu_table_at_toy_size(tmp_path, capsys):
    gpu.main(toy=True, steps=2, minutes=8, device="cpu", out=tmp_path / "table.md")
    text = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text() == text
    for row in ("UniVDM forward", "diffusers training step", "with DG", "decoding a segment", "s per s of video"):
        assert row in text
    assert "no time left" not in text


def test_what_has_no_time_left_says_so():
    bench = gpu.Bench(CPU, seconds=-1)
    rows = gpu.case_rows(preset("debug"), bench, steps=2)
    assert set(rows.values()) == {"no time left"}
    assert gpu.table({"a": {"x": "1"}, "b": {"y": "2"}}).splitlines()[2:] == ["| x | 1 |  |", "| y |  | 2 |"]


@pytest.mark.slow
def test_a_training_step_takes_what_is_planned():
    found = memory.step_case("debug", ["train.batch_size=64", "train.gradient_checkpointing=false"])
    assert found["planned"] == pytest.approx(found["measured"], rel=0.2)
