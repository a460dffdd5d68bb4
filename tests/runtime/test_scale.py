"""The paper preset from a directory in SVD's layout to a video, at toy widths, by the commands that a person types."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy import toy_audio, toy_image
from toy_corpus import make_toy_corpus
from toy_svd import SETTINGS, write_svd

from paha.cli import main as cli
from paha.config import load
from paha.media.audio_io import write_wav
from paha.media.image_io import save_png
from paha.media.video_io import read_video
from paha.univdm.svd_weights import new_keys
from paha.univdm.univdm import UniVDM

WEIGHTS = "diffusion_pytorch_model.safetensors"


def paha(*arguments: object) -> int:
    """The exit status of `paha ARGUMENTS`, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["paha", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return ended.value.code  # pyright: ignore[reportReturnType]


@pytest.fixture(scope="module")
def svd(tmp_path_factory) -> Path:
    return write_svd(tmp_path_factory.mktemp("svd"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = make_toy_corpus(tmp_path_factory.mktemp("data") / "corpus")
    for clip in (0, 1):
        write_wav(folder / "clips" / f"clip{clip}.wav", *toy_audio(8 / 25, seed=clip))
    return folder


@pytest.fixture(scope="module")
def train(corpus, svd):
    """`paha train univdm --preset paper` from the toy SVD, for so many steps."""

    def run(out: Path, steps: int, *more: object) -> int:
        settings = [part for setting in SETTINGS for part in ("--set", setting)]
        options = ("--preset", "paper", "--init", svd, "--steps", steps, *settings, *more)
        return paha("train", "univdm", "--data", corpus, "-o", out, *options)

    return run


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory) -> Path:
    """A run of two steps."""
    out = tmp_path_factory.mktemp("run")
    assert train(out, 2) == 0
    return out


def test_training_starts_from_svd_and_changes_it(trained, svd):
    before = load_file(svd / "unet" / WEIGHTS)
    after = load_file(trained / "checkpoint" / "weights.safetensors")
    model = UniVDM.from_model_config(load(trained / "model" / "paha.yaml").model)
    assert after.keys() - before.keys() == set(new_keys(model))
    # AdamW moves a weight by at most the learning rate a step, and a little for the decay.
    assert all((after[key] - value).abs().max() < 2 * 5.2e-5 for key, value in before.items())
    assert any(not torch.equal(after[key], value) for key, value in before.items())
    assert len((trained / "stats.jsonl").read_text().splitlines()) == 2


def test_the_saved_model_animates(trained, tmp_path):
    save_png(tmp_path / "image.png", toy_image())
    write_wav(tmp_path / "speech.wav", *toy_audio(0.4))
    inputs = (tmp_path / "image.png", tmp_path / "speech.wav")
    for name, more in {"plain.mp4": (), "low.mp4": ("--low-vram",)}.items():
        assert paha("animate", *inputs, "-o", tmp_path / name, "--model", trained / "model", *more) == 0
        assert read_video(tmp_path / name).shape == (10, 32, 32, 3)


def test_a_run_goes_on_with_other_savings(train, trained, tmp_path):
    assert train(tmp_path, 1) == 0
    assert train(tmp_path, 2, "--set", "train.gradient_checkpointing=false", "--set", "train.ema_on_cpu=true") == 0
    for part in ("weights", "ema", "optimizer"):
        whole, sliced = (load_file(run / "checkpoint" / f"{part}.safetensors") for run in (trained, tmp_path))
        for key in whole:
            torch.testing.assert_close(sliced[key], whole[key], rtol=1e-3, atol=1e-6)
    state = json.loads((tmp_path / "checkpoint" / "state.json").read_text())
    assert state["step"] == 2


def test_a_directory_that_does_not_fit_is_one_line(corpus, svd, tmp_path, capsys):
    settings = [part for setting in SETTINGS[:-1] for part in ("--set", setting)]
    options = ("--preset", "paper", "--init", svd, *settings, "--set", "model.num_attention_heads=[4, 4]")
    assert paha("train", "univdm", "--data", corpus, "-o", tmp_path / "run", *options) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "num_attention_heads is [2, 4], the model has [4, 4]: set model.num_attention_heads" in error
