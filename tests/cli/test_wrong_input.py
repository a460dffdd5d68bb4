"""Whatever is wrong with what a person gives `paha` ends in one line that names it."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from toy import toy_audio

from paha.media.audio_io import write_wav
from paha.media.video_writer import VideoWriter


def write_huge(path):
    """The first bytes of a PNG of 60000 x 60000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))))


BAD_IMAGES = {
    "text": (lambda path: path.write_text("a cat"), "no picture"),
    "1x1": (lambda path: Image.new("RGB", (1, 1)).save(path), "1x1"),
    "huge": (write_huge, "megapixels"),
    "empty": (lambda path: path.write_bytes(b""), "picture"),
    "folder": (lambda path: path.mkdir(), "folder"),
    "missing": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize(("write", "reason"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(animate, inputs, tmp_path, write, reason):
    write(tmp_path / "bad.png")
    animate(tmp_path / "bad.png", inputs[1]).error(tmp_path / "bad.png", reason)
    assert not (tmp_path / "out.mp4").exists()


def write_silent_film(path):
    with VideoWriter(path, width=32, height=32) as writer:
        writer.write(np.zeros((5, 32, 32, 3), np.uint8))


BAD_SOUND = {
    "no-samples.wav": (lambda path: write_wav(path, np.zeros(0, np.float32), 16_000), "sample"),
    "short.wav": (lambda path: write_wav(path, *toy_audio(0.1)), "0.10 s"),
    "text.wav": (lambda path: path.write_text("hello"), ""),
    "film.mp4": (write_silent_film, "no sound"),
    "missing.wav": (lambda path: None, ""),
}


@pytest.mark.parametrize("name", BAD_SOUND)
def test_bad_sound(animate, inputs, tmp_path, name):
    write, reason = BAD_SOUND[name]
    write(tmp_path / name)
    animate(inputs[0], tmp_path / name).error(tmp_path / name, reason)


@pytest.mark.parametrize("out", ["below/a/file.mp4", "folder"])
def test_an_output_that_cannot_be_written(animate, inputs, tmp_path, out):
    (tmp_path / "below").write_text("")
    (tmp_path / "folder").mkdir()
    animate(*inputs, out=tmp_path / out).error(tmp_path / out)


BAD_OPTIONS = {
    "dtype": (["--dtype", "float99"], "float99"),
    "steps": (["--steps", "0"], "--steps"),
    "no-number": (["--steps", "many"], "--steps"),
    "size": (["--size", "axb"], "axb"),
    "size-multiple": (["--size", "33"], "33 x 33"),
    "size-nothing": (["--size", "0"], "0 x 0"),
    "size-empty": (["--size", "x"], "--size"),
    "size-large": (["--size", "1600000"], "at most 4096"),
    "device": (["--device", "nosuch"], "nosuch"),
    "device-meta": (["--device", "meta"], "meta"),
    "seed": (["--seed", "-1"], "--seed"),
    "seed-huge": (["--seed", str(2**80)], "seed"),
    "cfg": (["--cfg-scale", "nan"], "--cfg-scale"),
    "unknown": (["--nosuch"], "--nosuch"),
    "surplus": (["third"], "third"),
    "jobs-too": (["--jobs", __file__], "--jobs"),
}


@pytest.mark.parametrize(("options", "naming"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options(animate, inputs, options, naming):
    animate(*inputs, *options).error(naming)


COMMANDS = {
    "no-image": (["animate"], "IMAGE"),
    "no-audio": (["animate", __file__, "-o", "o.mp4"], "AUDIO"),
    "no-list": (["animate", "--jobs", "/nowhere/jobs.csv", "--model", "MODEL"], "/nowhere/jobs.csv"),
    "verb": (["animat"], "animat"),
    "nothing": ([], "give a command (see paha --help)"),
    "set-range": (["train", "univdm", "--plan", "--set", "num_frames=0"], "'num_frames'"),
    "preset": (["train", "univdm", "--plan", "--preset", "huge"], "unknown preset 'huge'; known: debug"),
    "preset-codec": (["train", "codec", "--data", "MODEL", "-o", "o", "--preset", "huge"], "'huge'"),
    "no-data": (["train", "univdm", "--preset", "debug"], "--data"),
    "data": (["features", "/nowhere", "--preset", "debug", "--codec", "MODEL/codec"], "/nowhere"),
    "codec": (["features", "MODEL", "--preset", "debug", "--codec", "/none"], "/none"),
    "set": (["train", "univdm", "--plan", "--set", "train.stops=3"], "'train.stops'"),
    "set-section": (["train", "univdm", "--plan", "--set", "tram.steps=3"], "'tram'"),
    "set-value": (["train", "univdm", "--plan", "--set", "train.steps=many"], "'train.steps'"),
    "set-bare": (["train", "univdm", "--plan", "--set", "train.steps"], "NAME=VALUE"),
    "set-yaml": (["train", "univdm", "--plan", "--set", "train.steps=[1"], "[1"),
    "synth": (["synth", "/dev/null/corpus", "--clips", "1", "--size", "32", "--workers", "1"], "/dev/null/corpus"),
    "synth-seconds": (["synth", "SCRATCH", "--clips", "1", "--seconds", "3", "1"], "seconds"),
}


@pytest.mark.parametrize(("arguments", "naming"), COMMANDS.values(), ids=COMMANDS)
def test_bad_commands(paha, model, tmp_path, arguments, naming):
    words = [word.replace("MODEL", str(model)).replace("SCRATCH", str(tmp_path / "new")) for word in arguments]
    paha(*words).error(naming)
