"""9: progress on one stream, and nothing else there."""

from __future__ import annotations

import re
import resource

from experiments.fault_reproductions.processes import Ended, Limits, expect
from experiments.fault_reproductions.trial import Trial, command_line

BAR = "\N{BOX DRAWINGS HEAVY HORIZONTAL}"
_CPU_S = 60
"""Enough for two steps of training, and too little for the pretraining."""
_TINY = ("model.block_out_channels=[16,16]", "model.num_attention_heads=[2,2]", "model.audio_hidden_dim=64")
_TINY += ("model.audio_token_dim=32", "num_frames=12", "train.batch_size=2", "sample.steps=1", "train.sample_every=2")


def one_stream(trial: Trial) -> None:
    """bars on standard output (synth), others on standard error"""
    ended = trial.paha("synth", "set", "--clips", 1, "--size", 32, "--seconds", 0.4, 0.5, "--workers", 1)
    ended.done()
    expect(BAR not in ended.out, "the bar is on standard output")
    expect(BAR in ended.err, "no bar")


def a_missing_bar(trial: Trial) -> None:
    """features --workers 2 has no bar"""
    words = ("features", trial.own_data(), "--preset", "debug", "--codec", trial.inputs.codec, "--workers", 2)
    ended = trial.paha(*words)
    ended.done()
    expect(BAR in ended.err, "no bar")


def _jobs(trial: Trial, *images: object) -> Ended:
    rows = [f"{image},{trial.inputs.speech},{number}.mp4\n" for number, image in enumerate(images, 1)]
    (trial / "jobs.csv").write_text("image,audio,output\n" + "".join(rows))
    return trial.animate("--jobs", "jobs.csv")


def how_many(trial: Trial) -> None:
    """--jobs does not say which of how many it is at"""
    ended = _jobs(trial, *3 * [trial.inputs.image])
    ended.done()
    missing = [number for number in (1, 2, 3) if f"{number} of 3" not in ended.err]
    expect(not missing, f'no "{missing[:1]} of 3"')


def a_missing_file(trial: Trial) -> None:
    """a missing file of --jobs is found after the videos before it"""
    ended = _jobs(trial, trial.inputs.image, "nowhere.png")
    expect(not (trial / "1.mp4").exists(), f"{ended.saw}; the first video was made before")
    ended.refused("nowhere.png")


def noise_of_dtype(trial: Trial) -> None:
    """--dtype bfloat16: lines of libraries"""
    words = f"{trial.inputs.image} {trial.inputs.speech} -o o.mp4 --model {trial.inputs.model} --steps 1"
    _says_nothing(trial.shell(f"paha animate {words} --dtype bfloat16"))


def noise_of_plan(trial: Trial) -> None:
    """train univdm --plan: lines of libraries"""
    _says_nothing(trial.shell("paha train univdm --plan --preset debug"))


def _says_nothing(ended: Ended) -> None:
    ended.done()
    others = [line for line in ended.lines if not re.match(r"animate |made in |\d+ of ", line)]
    expect(not others, others[0] if others else "")


def a_long_pretraining(trial: Trial) -> None:
    """train univdm --steps 2 pays for 2,500 steps of pretraining unasked (here of a tiny network)"""
    words = ("train", "univdm", "--preset", "presenter", "--steps", 2, "-o", "run", "--workers", 0)

    def work() -> None:
        now = resource.getrusage(resource.RUSAGE_SELF)
        limit = round(now.ru_utime + now.ru_stime) + _CPU_S
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        command_line((*words, *(word for setting in _TINY for word in ("--set", setting))))

    ended = trial.python(work, limits=Limits(seconds=1800))
    expect(ended.status is not None, f"not done after {_CPU_S} s of processor time")
    ended.done()


FAULTS = {
    "9": (
        one_stream,
        a_missing_bar,
        how_many,
        a_missing_file,
        noise_of_dtype,
        noise_of_plan,
        a_long_pretraining,
    )
}
