"""What is shipped: the last run's weights in float16, the logs of all runs."""

import json

import pytest
import torch
from toy import toy_pipeline
from toy_corpus import make_toy_corpus

from paha.errors import PahaError
from paha.pipeline.loading import SHIPPED_MODEL
from paha.pipeline.pipeline import PahaPipeline
from paha.training.motion.ship import joined_stats, ship


@pytest.fixture
def runs(tmp_path):
    made = []
    for name, bias in (("first", 1.0), ("second", 2.0)):
        pipeline = toy_pipeline()
        torch.nn.init.constant_(pipeline.univdm.conv_out.bias, bias)
        pipeline.save_pretrained(tmp_path / name / "model")
        (tmp_path / name / "stats.jsonl").write_text(f'{{"step": 1, "loss": {bias}}}\n')
        made.append(tmp_path / name)
    return made


def test_the_last_run_is_shipped_with_the_logs_of_all(tmp_path, runs):
    reader, data = tmp_path / "reader", make_toy_corpus(tmp_path / "data", clips=4)
    reader.mkdir()
    (reader / "model").symlink_to(SHIPPED_MODEL / "pose_reader")
    (reader / "stats.jsonl").write_text('{"step": 5}\n')
    out = tmp_path / "shipped"
    ship(univdm=runs, pose_reader=reader, data=data, out=out)
    shipped = PahaPipeline.from_pretrained(out)
    assert torch.all(shipped.univdm.conv_out.bias == 2.0)
    lines = [json.loads(line) for line in (out / "univdm" / "stats.jsonl").read_text().splitlines()]
    assert lines == [{"run": "first", "step": 1, "loss": 1.0}, {"run": "second", "step": 1, "loss": 2.0}]
    assert (out / "pose_reader" / "likeness.safetensors").is_file()
    assert (out / "pose_reader" / "stats.jsonl").read_text() == '{"step": 5}\n'


def test_a_run_without_its_model_is_named(tmp_path, runs):
    with pytest.raises(PahaError, match="nothing"):
        ship(univdm=[*runs, tmp_path / "nothing"], pose_reader=tmp_path, data=tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_joined_lines_are_in_the_order_of_the_runs(runs):
    steps = [json.loads(line)["run"] for line in joined_stats(runs[::-1]).splitlines()]
    assert steps == ["second", "first"]
