"""`paha evaluate`, `paha tables 1`, `paha study` and `paha train pose-autoencoder` as a person types them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from toy_videos import make_dataset, make_method
from typer.testing import CliRunner

from paha.cli.main import app
from paha.errors import PahaError

FEW = ("--replicates", 10)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data") / "d", clips=3, num_frames=64)


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PAHA_WEIGHTS", raising=False)


def paha(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_evaluate_writes_and_prints_the_report(data, tmp_path, no_weights):
    text = paha(
        "evaluate", data, data, "-o", tmp_path / "out", "--pose", "exact", "--no-ceilings", "--name", "Mine", *FEW
    )
    assert re.search(r"Mine +real \(floor\)", text)
    assert re.search(r"BAS ↑ +0\.\d{3}.*, N 3 +0\.\d{3}.*, N 3", text)
    assert len(text.splitlines()) < 30
    assert "syncnet_v2.model" in (tmp_path / "out/report.md").read_text()
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["provenance"]["instruments"]["pose"]["extractor"] == "exact"
    assert (tmp_path / "out/report.md").is_file()


def test_nothing_of_torch_is_imported_where_no_network_of_ours_measures(data, tmp_path, no_weights):
    """It is half of an evaluation's start-up."""
    words = ["evaluate", str(data), str(data), "-o", str(tmp_path / "out"), "--pose", "none", "--limit", "1"]
    run = "import sys; from paha.cli.main import app\n"
    run += f"try: app({[*words, *map(str, FEW)]!r})\n"
    run += "except SystemExit as end: sys.exit(end.code or 3 * ('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", run], stdout=subprocess.DEVNULL).returncode == 0


def test_evaluate_ends_with_the_videos_that_it_could_not_read(data, tmp_path, no_weights):
    fake = make_dataset(tmp_path / "fake", clips=3, num_frames=64)
    (fake / "clips/clip1.mp4").write_bytes(b"nothing")
    with pytest.raises(PahaError, match="1 videos could not be read and were left out: clip1"):
        paha("evaluate", data, fake, "-o", tmp_path / "out", "--pose", "exact", "--no-ceilings", "--workers", 1, *FEW)
    assert "clip1" in (tmp_path / "out/report.md").read_text()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--pose", "openpose"], "unknown pose extractor"),
        (["--i3d", "none.pt"], "none.pt does not exist"),
        (["--pose-autoencoder", "none"], "none does not exist"),
    ],
)
def test_evaluate_refuses_what_is_not_there(data, tmp_path, no_weights, options, match):
    with pytest.raises(PahaError, match=match):
        paha("evaluate", data, data, "-o", tmp_path / "out", *options)


def test_clips_of_other_names_are_no_pairs(data, tmp_path, no_weights):
    fake = make_method(tmp_path / "fake", clips=1, num_frames=40)
    for path in fake.glob("*.mp4"):
        path.rename(path.with_stem("other"))
    words = ("evaluate", data, fake, "-o", tmp_path / "out", "--pose", "exact", "--no-ceilings", *FEW)
    with pytest.raises(PahaError, match=r"--pairs.*--unpaired"):
        paha(*words)
    assert not (tmp_path / "out").exists()


def test_table_1_with_baselines_and_a_method(tmp_path, no_weights):
    short = make_dataset(tmp_path / "short", clips=3, num_frames=20)
    method = make_method(tmp_path / "s2g", clips=3, num_frames=20)
    words = ["tables", 1, "--data", short, "-o", tmp_path / "out", "--no-models", "--clips", 2]
    text = paha(*words, "--method", f"S2G={method}", "--data-name", "PATS")
    assert "| still image |" in text
    assert "(0.1227)" in text  # the paper's BAS of S2G beside ours
    assert (tmp_path / "out/table_1.json").is_file()
    with pytest.raises(PahaError, match="give NAME"):
        paha(*words, "--overwrite", "--method", "S2G")
    with pytest.raises(PahaError, match="--also X: give NAME=FOLDER"):
        paha(*words, "--overwrite", "--also", "X")
    with pytest.raises(PahaError, match=r"table_1\..* exists already.*--overwrite"):
        paha(*words)


def test_a_study_from_the_command_line(tmp_path):
    folders = [make_method(tmp_path / name, clips=2, num_frames=5) for name in ("a", "b")]
    methods = [word for folder in folders for word in ("--method", f"{folder.name}={folder}")]
    text = paha("study", "create", tmp_path / "study", *methods, "--videos", 2, "--no-check")
    assert "2 videos x 2 methods" in text
    assert "| a |" in paha("study", "report", tmp_path / "study")
    with pytest.raises(PahaError, match="same name"):
        paha("study", "create", tmp_path / "other", *methods[:2], *methods[:2])
    with pytest.raises(PahaError, match="holds no study"):
        paha("study", "serve", tmp_path)


def test_train_the_pose_autoencoder(data, tmp_path):
    paha(
        "train", "pose-autoencoder", "--data", data, "--out", tmp_path / "ae", "--steps", 3, "--frames", 16, "--fps", 25
    )
    config = json.loads((tmp_path / "ae/model/config.json").read_text())
    assert (config["num_frames"], config["fps"]) == (16, 25.0)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not list its threads")
def test_numpy_multiplies_in_the_thread_that_asks():
    run = "import os, paha.cli.main, numpy as np; a = np.ones((600, 600)); a @ a\n"
    run += "print(len(os.listdir('/proc/self/task')))"
    alone = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    ended = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, env=alone, check=True)
    assert int(ended.stdout) == 1
