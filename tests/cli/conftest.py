"""What every test of the command line has: `paha` itself, a toy model, a picture and a recording."""

from pathlib import Path

import pytest
from paha_calls import call
from toy import toy_audio, toy_image, toy_pipeline

from paha.media.audio_io import write_wav
from paha.media.image_io import save_png


@pytest.fixture
def paha(capsys):
    return lambda *arguments: call(capsys, *arguments)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "model"
    toy_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    save_png(folder / "image.png", toy_image())
    write_wav(folder / "speech.wav", *toy_audio(0.4))
    return folder / "image.png", folder / "speech.wav"


@pytest.fixture
def animate(paha, model, tmp_path):
    """`paha animate IMAGE AUDIO -o OUT --model MODEL ...`, one DDIM step."""
    return lambda image, audio, *more, out=None: paha(
        "animate", image, audio, "-o", out or tmp_path / "out.mp4", "--model", model, "--steps", 1, *more
    )
