"""The benchmarks of memory and speed, at toy size: that they run, and that their tables hold what they say."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import memory
from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import parts, twin
from benchmarks.gpu.device import Bench, Reading, Table
from paha.cli.options import configuration
from paha.presets import preset
from paha.univdm.svd_weights import new_keys
from paha.univdm.univdm import UniVDM

CPU = torch.device("cpu")


def test_the_twin_has_the_weights_that_are_not_new():
    config = configuration(
        "debug",
        ["model.output_gate=false", "model.num_time_ids=3", "model.time_ids=[24, 127, 0]", "model.norm_groups=32"],
    )
    ours = UniVDM.from_model_config(config.model)
    theirs = twin.diffusers_twin(config.model)
    shapes = {key: value.shape for key, value in ours.state_dict().items() if key not in new_keys(ours)}
    assert shapes == {key: value.shape for key, value in theirs.state_dict().items()}


def test_univdm_makes_no_more_tensors_than_diffusers():
    ours, theirs = twin.count(preset("paper"))
    assert 1000 < ours <= theirs


def test_the_gpu_table_at_toy_size(tmp_path, capsys):
    table, rows, kernels = (tmp_path / name for name in ("table.md", "rows.json", "kernels.txt"))
    gpu.main(toy=True, steps=2, device="cpu", out=table, json=rows, profile=kernels)
    text = capsys.readouterr().out
    assert table.read_text() in text
    told = json.loads(rows.read_text())
    assert min(told["matrix_tflops"], told["copy_gb_per_s"]) > 0
    for case in told["cases"].values():
        assert not any("note" in case[row] for row in case if "(" in row)
        for row in ("UniVDM forward", "diffusers training step", "sampling, 2 steps", "with DG", "decoding a segment"):
            assert case[row]["seconds"] > 0
            assert f"| {row} |" in text
    assert all(head in kernels.read_text() for head in ("debug 32 px, 4 f, training step", "paper, toy, forward"))
    assert not any(word in text for word in ("no time left", "failed"))


def test_a_rehearsal_in_half_precision_has_every_row(capsys):
    gpu.main(toy=True, steps=2, device="cpu", dtype="bfloat16")
    assert "failed" not in capsys.readouterr().out


@torch.no_grad()
def test_what_is_trained_lies_on_the_device_as_a_whole():
    bench = Bench(CPU, seconds=60)
    bench.device = torch.device("meta")  # the one other device that every machine has
    for make in (parts.univdm_trainee, parts.twin_trainee):
        trainee = make(gpu.toy_paper(), bench)
        assert trainee.compute(trainee.model).device == bench.device


def test_what_has_no_time_left_or_fails_says_so(tmp_path):
    bench = Bench(CPU, seconds=60)
    table = Table({"device": "toy"}, json_path=tmp_path / "rows.json")

    def broken():
        yield "good", Reading(seconds=0.5, ratio=2.0)
        raise RuntimeError("no kernel for this\nlong story")

    table.run("a", "part", broken, bench)
    bench.deadline = 0
    table.run("b", "part", broken, bench)
    assert {name: r.text for name, r in table.columns["a"].items()} == {
        "good": "500.0 ms, 2.00 x",
        "(part)": "failed: no kernel for this",
    }
    assert table.markdown().splitlines()[2:] == [
        "| good | 500.0 ms, 2.00 x |  |",
        "| (part) | failed: no kernel for this | no time left |",
    ]
    assert json.loads((tmp_path / "rows.json").read_text())["cases"]["a"]["good"] == {"seconds": 0.5, "ratio": 2.0}


@pytest.mark.slow
def test_a_training_step_takes_what_is_planned():
    found = memory.step_case("debug", ["train.batch_size=64", "train.gradient_checkpointing=false"])
    assert found["planned"] == pytest.approx(found["measured"], rel=0.2)
