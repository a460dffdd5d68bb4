"""What a hard day of use found: reproductions that no other test has (docs/robustness.md lists all)."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from toy import toy_audio, toy_image
from toy_corpus import make_toy_corpus

from paha.extractors import weights
from paha.media.audio_io import write_wav
from paha.media.image_io import save_png
from paha.media.video_io import read_video

ROOT = Path(__file__).parents[2]
DEBUG = ("--preset", "debug")


@pytest.fixture
def data(tmp_path) -> Path:
    folder = make_toy_corpus(tmp_path / "data", clips=2)
    for clip in range(2):
        write_wav(folder / "clips" / f"clip{clip}.wav", *toy_audio(8 / 25, seed=clip))
    return folder


@pytest.fixture
def inputs(tmp_path) -> tuple[Path, Path]:
    save_png(tmp_path / "image.png", toy_image())
    write_wav(tmp_path / "speech.wav", *toy_audio(0.6))
    return tmp_path / "image.png", tmp_path / "speech.wav"


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Files may have so many bytes: the system refuses the same calls as where a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# 5, 3: a full disk


@pytest.mark.parametrize("room", [100, 1500, 2500])
def test_a_disk_that_is_full_while_a_video_is_made(paha, model, inputs, tmp_path, room):
    """While a segment is written, or the video: one line, no half a video, and --resume ends as if nothing had been."""
    command = ("animate", *inputs, "--model", model, "--steps", 1)
    paha(*command, "-o", tmp_path / "whole.mp4").done()
    out = tmp_path / "out" / "v.mp4"
    with full_disk(room):
        failed = paha(*command, "-o", out)
    assert "v.mp4" in failed.last_error
    assert not out.exists()
    assert not [name for name in files(tmp_path) if name.split("/")[-1].startswith(".")]
    paha(*command, "-o", out, "--resume").done()
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert os.listdir(out.parent) == ["v.mp4"]


def test_a_disk_that_is_full_while_features_are_written(paha, model, data):
    command = ("features", data, *DEBUG, "--codec", model / "codec")
    with full_disk(1000):
        failed = paha(*command)
    assert "2 of 2 clips failed" in failed.last_error
    assert [name for name in files(data) if name.endswith(".safetensors") and "features" in name] == []
    paha(*command).done()
    assert len([name for name in files(data) if name.startswith("features/")]) == 3


def test_weights_that_are_not_there_are_no_fault_of_the_footage(paha, data, tmp_path, monkeypatch):
    """Told at once, and nothing is left that remembers it."""
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nowhere = {name: replace(entry, url="http://127.0.0.1:9/") for name, entry in weights.WEIGHTS.items()}
    monkeypatch.setattr(weights, "WEIGHTS", nowhere)
    paha("prepare", data / "clips", tmp_path / "set", "--pose", "mediapipe", "--workers", 1).error("PAHA_WEIGHTS")
    assert not (tmp_path / "set").exists()


# 5: absurd sizes, senseless settings


@pytest.mark.parametrize("size", [10**9, 10**30, 0, -32])
def test_absurd_sizes_of_a_model(paha, model, inputs, tmp_path, size):
    broken = shutil.copytree(model, tmp_path / "broken")
    text = (broken / "paha.yaml").read_text()
    (broken / "paha.yaml").write_text(text.replace("width: 32", f"width: {size}"))
    paha("animate", *inputs, "-o", tmp_path / "o.mp4", "--model", broken).error(broken / "paha.yaml", "width")


@pytest.mark.parametrize(
    ("words", "naming"),
    [
        (("train", "univdm", "--plan", *DEBUG, "--set", "width=7"), "width"),
        (("negatives", "--plan", *DEBUG, "--seconds-per-evaluation", -1), "--seconds-per-evaluation"),
        (("synth", "OUT", "--clips", 1, "--seconds", "inf", "inf"), "--seconds"),
        (("synth", "OUT", "--clips", 1, "--seconds", "1e9", "1e9"), "seconds"),
    ],
)
def test_senseless_numbers(paha, tmp_path, words, naming):
    paha(*(tmp_path / "out" if word == "OUT" else word for word in words)).error(naming)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("memory_kib", [1_300_000, 1_900_000, 2_600_000])
def test_want_of_memory_is_one_line(model, inputs, tmp_path, memory_kib):
    words = f"animate {inputs[0]} {inputs[1]} -o {tmp_path}/o.mp4 --model {model} --steps 1"
    command = f"ulimit -v {memory_kib}; exec {sys.executable} -m paha.cli.main {words}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 0 or "paha: error: " in ended.stderr
    assert (tmp_path / "o.mp4").exists() == (ended.returncode == 0)


# 7: before anything heavy


def in_a_fresh_process(tmp_path: Path, *words: object) -> str:
    """The standard error of a failed call that imported nothing heavy."""
    script = (
        "import sys\nfrom paha.cli import main as cli\ntry: cli.main()\n"
        "finally: print(sorted({'torch', 'diffusers', 'transformers', 'av'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "[]\n"), ended.stderr
    return ended.stderr


def test_a_misspelt_name_is_told_at_once(tmp_path, inputs):
    said = in_a_fresh_process(tmp_path, "animate", "imgae.png", inputs[1], "-o", "o.mp4")
    assert said == "paha: error: imgae.png does not exist; did you mean image.png?\n"


def test_frames_that_cannot_be_written_are_told_before_sampling(tmp_path, inputs):
    said = in_a_fresh_process(tmp_path, "animate", *inputs, "-o", "o.mp4", "--save-frames", inputs[1] / "frames")
    assert said.startswith("paha: error: ")
    assert str(inputs[1]) in said
    assert files(tmp_path) == ["image.png", "speech.wav"]


def test_the_readme_says_where_the_command_is():
    assert ".venv/bin" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_tables_of_one_clip(paha, data, tmp_path, monkeypatch):
    """No traceback of a picture's error bars after all the work, no folder of a baseline that was never made."""
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    ended = paha("tables", 1, "--data", data, "-o", tmp_path / "t", "--no-models", "--clips", 1, "--pose", "exact")
    assert "--retrieve-from" in ended.done()
    assert "is no folder" not in ended.out + ended.err
    assert (tmp_path / "t" / "table_1.json").is_file()


@pytest.mark.parametrize("option", ["--also", "--method", "--retrieve-from"])
def test_a_table_looks_for_all_its_folders_first(paha, data, tmp_path, option):
    """They were looked for after the videos of the first dataset, which then lay in OUT."""
    value = tmp_path / "nowhere" if option == "--retrieve-from" else f"x={tmp_path / 'nowhere'}"
    words = ("tables", 1, "--data", data, "-o", tmp_path / "t", "--no-models", "--pose", "exact")
    paha(*words, option, value).error("nowhere does not exist")
    assert not (tmp_path / "t").exists()


# 9: progress, and silence


def test_lists_count_their_videos_and_look_for_all_files_first(paha, model, inputs, tmp_path):
    rows = "".join(f"{inputs[0]},{inputs[1]},{name}.mp4\n" for name in "abc")
    (tmp_path / "jobs.csv").write_text("image,audio,output\n" + rows)
    command = ("animate", "--jobs", tmp_path / "jobs.csv", "--model", model, "--steps", 1)
    ended = paha(*command)
    ended.done()
    assert all(f"{number} of 3" in ended.err for number in (1, 2, 3))
    (tmp_path / "jobs.csv").write_text("image,audio,output\n" + rows + f"nowhere.png,{inputs[1]},d.mp4\n")
    paha(*command, "--overwrite").error("row 5", "nowhere.png")


def test_many_parts_have_one_bar_on_stderr(paha, model, data, monkeypatch):
    def run_here(function, tasks, **options):
        return ((index, function(*task), "") for index, task in enumerate(tasks))

    monkeypatch.setattr("paha.runtime.engine.run_tasks", run_here)
    ended = paha("features", data, *DEBUG, "--codec", model / "codec", "--workers", 2)
    assert ended.done().startswith("features in ")
    assert len(ended.out.splitlines()) == 1
    assert "parts of the features" in ended.err
    assert "8/8" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("train", "univdm", "--plan", *DEBUG), ("animate", "IMAGE", "SPEECH", "--dtype", "bfloat16")]
)
def test_libraries_say_nothing(model, inputs, tmp_path, words):
    words = [{"IMAGE": str(inputs[0]), "SPEECH": str(inputs[1])}.get(word, word) for word in words]
    words += ["-o", str(tmp_path / "o.mp4"), "--model", str(model), "--steps", "1"] if words[0] == "animate" else []
    ended = subprocess.run([sys.executable, "-m", "paha.cli.main", *words], capture_output=True, text=True)
    assert ended.returncode == 0
    assert [
        line for line in ended.stderr.splitlines() if line.strip() and not line.startswith(("animate ", "made in "))
    ] == []


# 11: as people expect


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell):
    words = {"COMP_WORDS": "paha ani", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "paha ani"}
    words |= {"_PAHA_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    command = [sys.executable, "-c", "from paha.cli.main import main; main()"]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | words)
    assert ended.returncode == 0, ended.stderr
    assert "animate" in ended.stdout
    assert "dub" not in ended.stdout


def test_a_dataset_that_only_reads_trains(paha, model, data, tmp_path):
    """With complete features; where the tests may write everywhere (root), by the times of all files and folders."""
    paha("features", data, *DEBUG, "--codec", model / "codec").done()
    places = [data, *data.rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in places}
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in places}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        train = ("train", "univdm", "--data", data, *DEBUG, "--codec", model / "codec", "--steps", 1)
        paha(*train, "--set", "train.batch_size=2", "-o", tmp_path / "run").done()
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert {path: path.stat().st_mtime_ns for path in [data, *data.rglob("*")]} == before
    assert load_file(tmp_path / "run" / "model" / "univdm" / "diffusion_pytorch_model.safetensors")


def test_features_outside_the_dataset(paha, model, data, tmp_path):
    paha("features", data, "-o", tmp_path / "elsewhere", *DEBUG, "--codec", model / "codec").done()
    assert not (data / "features").exists()
    (folder,) = (tmp_path / "elsewhere").iterdir()
    run = ("-o", tmp_path / "run", *DEBUG, "--codec", model / "codec", "--steps", 1, "--set", "train.batch_size=2")
    paha("train", "univdm", "--data", folder, *run).done()
    assert not (data / "features").exists()


def test_the_sound_out_of_a_pipe(paha, model, inputs, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with subprocess.Popen(["cp", inputs[1], tmp_path / "pipe.wav"]):
        out = tmp_path / "o.mp4"
        paha("animate", inputs[0], tmp_path / "pipe.wav", "-o", out, "--model", model, "--steps", 1).done()
    assert len(read_video(tmp_path / "o.mp4")) == 15


def test_a_training_without_end_or_with_speech_it_would_not_hear_is_refused(paha, data, tmp_path):
    for verb in (("univdm", *DEBUG), ("codec",)):
        words = ("train", *verb, "--data", data, "--out", tmp_path / "run", "--steps", 2**80)
        paha(*words).error("train.steps", "100000000")
    words = ("train", "univdm", *DEBUG, "--data", data, "--out", tmp_path / "run", "--speech", tmp_path)
    paha(*words).error("debug", "leave out --speech")
    assert not (tmp_path / "run").exists()
