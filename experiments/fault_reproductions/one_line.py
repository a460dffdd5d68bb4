"""5: one clear line instead of a traceback, and an end in bounded time."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from experiments.fault_reproductions.processes import Limits, expect
from experiments.fault_reproductions.stopped import LONG, segments, stopped
from experiments.fault_reproductions.trial import Trial, command_line

SEGMENT_BYTES, VIDEO_BYTES, FEATURES_BYTES = 800, 2500, 1000
"""Room on a full disk: for no segment, for segments but no video, for no features."""


def a_full_disk_at_a_segment(trial: Trial) -> None:
    """a full disk while a segment is written"""
    stopped(trial, signal.SIGKILL, lambda: bool(segments(trial)))  # its settings, which are larger, are there
    words = ("animate", trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", "--model", trial.inputs.model)
    _full_disk(trial, SEGMENT_BYTES, *words, *LONG, "--resume")


def a_full_disk_at_the_video(trial: Trial) -> None:
    """a full disk while the video is written"""
    words = ("animate", trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", "--model", trial.inputs.model)
    _full_disk(trial, VIDEO_BYTES, *words, "--steps", 1)


def _full_disk(trial: Trial, room: int, *words: object) -> None:
    trial.paha(*words, limits=Limits(file_bytes=room)).refused("o.mp4")
    expect(not (trial / "o.mp4").exists(), f"{trial.told()}; half a video")
    trial.paha(*words, *(() if "--resume" in words else ("--resume",))).done()
    expect((trial / "o.mp4").is_file(), "no video")


def a_full_disk_at_features(trial: Trial) -> None:
    """a full disk while features are written"""
    data = trial.own_data()
    words = ("features", data, "--preset", "debug", "--codec", trial.inputs.codec)
    trial.paha(*words, limits=Limits(file_bytes=FEATURES_BYTES)).refused("clips failed")
    trial.paha(*words).done()


def little_memory(trial: Trial) -> None:
    """out of memory (ulimit -v 1900000, and less)"""
    words = f"{trial.inputs.image} {trial.inputs.speech} --model {trial.inputs.model} --steps 1"
    for limit_kib in (1_900_000, 1_600_000, 1_300_000, 1_000_000):
        ended = trial.shell(f"ulimit -v {limit_kib}; paha animate {words} -o {limit_kib}.mp4")
        expect("Traceback" not in ended.err, f"{limit_kib} KiB: traceback: {ended.saw}")
        if ended.status:  # else it was enough
            ended.refused("out of memory")


def little_memory_of_a_gpu(trial: Trial) -> None:
    """out of memory of CUDA (what torch raises there, raised in the network's place)"""

    def work() -> None:
        import torch

        from paha.univdm.univdm import UniVDM

        def full(*_: object, **__: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        UniVDM.forward = full  # type: ignore[method-assign, assignment]
        words = ("animate", trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", "--model", trial.inputs.model)
        command_line(words)

    trial.python(work).refused("out of memory")


def tables_of_one_clip(trial: Trial) -> None:
    """tables 2 --clips 1, and a folder evaluated against itself (negative yerr, after all the work)"""
    data = trial.inputs.data
    small = ("--replicates", 10, "--no-ceilings")
    trial.paha("evaluate", data, data, "-o", "out", "--pose", "exact", "--workers", 1, *small).done()
    words = ("tables", 2, "--data", data, "--model", trial.inputs.model, "-o", "t", "--steps", 1, "--clips", 1)
    trial.paha(*words, "--pose", "exact", "--workers", 1).done()


def a_width(trial: Trial) -> None:
    """--set width=7"""
    trial.paha("train", "univdm", "--plan", "--preset", "debug", "--set", "width=7").refused("width")


def a_protocol(trial: Trial) -> None:
    """a protocol of FVD with text for numbers"""
    (trial / "fvd.yaml").write_text("frames: many\n")
    words = ("evaluate", trial.inputs.data, trial.inputs.data, "-o", "out", "--pose", "exact", "--workers", 1)
    trial.paha(*words, "--fvd-protocol", "fvd.yaml").refused("fvd.yaml")


def a_foreign_segment(trial: Trial) -> None:
    """a foreign segment in OUT.partial"""
    stopped(trial, signal.SIGKILL, lambda: bool(segments(trial)))
    save_file({"latents": np.zeros((2, 3, 4, 5), np.float32)}, segments(trial)[0])
    words = ("animate", trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", "--model", trial.inputs.model)
    trial.paha(*words, *LONG, "--resume").refused("segment_00000.safetensors")


def a_name_that_is_no_text(trial: Trial) -> None:
    """an output's name that is no valid UTF-8"""
    name = os.fsdecode(b"o\xff.mp4")
    trial.animate(trial.inputs.image, trial.inputs.speech, "-o", name).refused("UTF-8")
    trial.holds_only()


def absurd_sizes(trial: Trial) -> None:
    """absurd sizes in a model's paha.yaml"""
    text = (trial.inputs.model / "paha.yaml").read_text()
    for number, (name, size) in enumerate((("width", 10**30), ("num_frames", 10**12), ("audio_hidden_dim", 10**12))):
        broken = shutil.copytree(trial.inputs.model, trial / f"model{number}")
        (broken / "paha.yaml").write_text(re.sub(rf"\b{name}: \d+", f"{name}: {size}", text, count=1))
        words = (trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", "--model", broken)
        trial.paha("animate", *words).refused()


def endless_clips(trial: Trial) -> None:
    """synth --seconds inf inf runs for ever"""
    _synth(trial, "inf")


def very_long_clips(trial: Trial) -> None:
    """synth --seconds 1e9 1e9 runs for ever"""
    _synth(trial, "1e9")


def _synth(trial: Trial, seconds: str, *, cpu_s: int = 15) -> None:
    words = ("synth", Path("set"), "--clips", 1, "--size", 32, "--seconds", seconds, seconds, "--workers", 1)

    def work() -> None:
        now = resource.getrusage(resource.RUSAGE_SELF)
        used = round(now.ru_utime + now.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (used + cpu_s, used + cpu_s))
        resource.setrlimit(resource.RLIMIT_AS, (2**35, 2**35))
        command_line(words)

    trial.python(work, limits=Limits(seconds=1200)).refused("seconds")
    trial.holds_only()


FAULTS = {
    "5": (
        a_full_disk_at_a_segment,
        a_full_disk_at_the_video,
        a_full_disk_at_features,
        little_memory,
        little_memory_of_a_gpu,
        tables_of_one_clip,
        a_width,
        a_protocol,
        a_foreign_segment,
        a_name_that_is_no_text,
        absurd_sizes,
        endless_clips,
        very_long_clips,
    )
}
