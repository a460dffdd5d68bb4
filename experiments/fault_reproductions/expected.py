"""11: options and inputs that people expect."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, features

from experiments.fault_reproductions.inputs import DEBUG
from experiments.fault_reproductions.processes import Limits, SkippedError, expect
from experiments.fault_reproductions.trial import Trial, command_line, contents, piped, same

_NOBODY = 65534


def version(trial: Trial) -> None:
    """--version"""
    trial.paha("--version").done()


def short_help(trial: Trial) -> None:
    """-h"""
    trial.paha("animate", "-h").done()
    expect("Reference image" in trial.ended[-1].out, "no help")


def completion(trial: Trial) -> None:
    """shell completion"""
    words = {"COMP_WORDS": "paha ani", "COMP_CWORD": "1", "_PAHA_COMPLETE": "complete_bash"}
    ended = trial.shell("paha", env=words)
    expect("animate" in ended.out and "dub" not in ended.out, f"{ended.saw} {ended.out[:80]!r}")


def a_start(trial: Trial) -> None:
    """animate --start"""
    _frames(trial, 10, "--start", 0.2)


def a_duration(trial: Trial) -> None:
    """animate --duration"""
    _frames(trial, 5, "--duration", 0.2)


def a_rate(trial: Trial) -> None:
    """animate --fps"""
    _frames(trial, 30, "--fps", 50)


def a_quality(trial: Trial) -> None:
    """animate --crf"""
    _frames(trial, 15, "--crf", 40)
    rough = (trial / "o.mp4").stat().st_size
    _frames(trial, 15, "--crf", 5, "--overwrite")
    expect(rough < (trial / "o.mp4").stat().st_size, "the file is as large as before")


def _frames(trial: Trial, wanted: int, *options: object) -> None:
    import av

    trial.animate(trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", *options).done()
    with av.open(str(trial / "o.mp4")) as film:
        found = sum(1 for _ in film.decode(video=0))
    expect(found == wanted, f"{found} frames instead of {wanted}")


def a_pipe(trial: Trial) -> None:
    """sound from a pipe"""
    os.mkfifo(trial / "pipe.wav")
    with subprocess.Popen(["cp", trial.inputs.speech, trial / "pipe.wav"]) as writer:
        try:
            trial.animate(trial.inputs.image, "pipe.wav", "-o", "o.mp4", limits=Limits(seconds=120)).done()
        finally:
            writer.terminate()


def standard_input(trial: Trial) -> None:
    """sound from standard input"""

    def work() -> None:
        with piped(trial.inputs.speech) as end:
            os.dup2(end, 0)
            words = ("animate", trial.inputs.image, "-", "-o", "o.mp4", "--model", trial.inputs.model, "--steps", 1)
            command_line(words)

    trial.python(work, limits=Limits(seconds=120)).done()


def heic(trial: Trial) -> None:
    """HEIC where pillow's plug-in is there"""
    if find_spec("pillow_heif") is None:
        raise SkippedError("pillow-heif is not installed")
    _picture(trial, "picture.heic")


def avif(trial: Trial) -> None:
    """AVIF where pillow reads it"""
    if not features.check("avif"):
        raise SkippedError("this pillow reads no AVIF")
    _picture(trial, "picture.avif")


def _picture(trial: Trial, name: str) -> None:
    def save() -> None:
        if name.endswith("heic"):
            from pillow_heif import register_heif_opener  # pyright: ignore[reportMissingImports]

            register_heif_opener()  # in this process alone: `paha` must find it by itself
        with Image.open(trial.inputs.image) as image:
            image.save(trial / name)

    trial.python(save).done()
    trial.animate(name, trial.inputs.speech, "-o", "o.mp4").done()


def a_dataset_that_only_reads(trial: Trial) -> None:
    """a read-only dataset with complete features trains"""
    data = trial.own_data()
    trial.paha("features", data, "--preset", "debug", "--codec", trial.inputs.codec).done()
    before, out = contents(data), trial / "run"
    out.mkdir()
    shutil.chown(out, _NOBODY, _NOBODY) if os.geteuid() == 0 else None
    modes = {path: path.stat().st_mode for path in (data, *data.rglob("*"))}
    for path in trial.inputs.codec.iterdir():
        path.chmod(0o644)
    for path, mode in modes.items():
        path.chmod(mode & ~0o222 | 0o444)  # safetensors' own files are for their owner alone
    try:
        words = ("train", "univdm", "--data", data, "-o", out, "--codec", trial.inputs.codec, *DEBUG)
        trial.paha(*words, limits=Limits(user=_NOBODY, env={"HOME": str(out)})).done()
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    same(before, contents(data), "the dataset has changed")


def features_elsewhere(trial: Trial) -> None:
    """features outside the dataset"""
    data, codec = trial.own_data(), trial.inputs.codec
    trial.paha("features", data, "-o", "elsewhere", "--preset", "debug", "--codec", codec).done()
    folders = [path for path in (trial / "elsewhere").iterdir() if path.is_dir()]
    trial.paha("train", "univdm", "--data", *folders, "-o", "run", "--codec", codec, *DEBUG).done()
    expect(not Path(data, "features").exists(), "they are in the dataset, too")


FAULTS = {
    "11": (
        version,
        short_help,
        completion,
        a_start,
        a_duration,
        a_rate,
        a_quality,
        a_pipe,
        standard_input,
        heic,
        avif,
        a_dataset_that_only_reads,
        features_elsewhere,
    )
}
