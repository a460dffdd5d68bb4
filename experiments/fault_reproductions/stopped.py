"""4: what is told and kept where a person, or the system, stops a command."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from experiments.fault_reproductions.processes import Ended, Limits, expect
from experiments.fault_reproductions.trial import Trial, contents

LONG = ("--steps", 60)
"""Of sampling, so that a segment takes long enough to be interrupted."""


def segments(trial: Trial) -> list[Path]:
    """Finished segments of o.mp4."""
    return sorted((trial / "o.mp4.partial").glob("segment_*.safetensors"))


def stopped(trial: Trial, number: int, when: Callable[[], bool]) -> Ended:
    """`paha animate`, with a signal at a moment."""
    words = ("animate", trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", "--model", trial.inputs.model)
    return trial.paha(*words, *LONG, limits=Limits(stop=when, signal_number=number))


def control_c(trial: Trial) -> None:
    """animate: Ctrl-C says neither what is kept nor how to go on"""
    ended = stopped(trial, signal.SIGINT, lambda: bool(segments(trial)))
    expect(ended.status == 130, ended.saw)
    ended.refused("--resume", "kept")


def control_c_of_synth(trial: Trial) -> None:
    """synth: Ctrl-C says neither what is kept nor how to go on"""
    words = ("synth", "set", "--clips", 3, "--size", 32, "--seconds", 0.4, 0.5, "--workers", 1)
    made = lambda: len(list((trial / "set" / "clips").glob("[!.]*.mp4"))) > 1  # noqa: E731
    trial.paha(*words, limits=Limits(stop=made, signal_number=signal.SIGINT)).refused("goes on")


def the_same_command(trial: Trial) -> None:
    """animate, stopped, and again without --resume: the finished segments are deleted unasked"""
    stopped(trial, signal.SIGKILL, lambda: bool(segments(trial)))
    (first, *_) = segments(trial)
    with trial.kept(first):
        again = stopped(trial, signal.SIGKILL, lambda: not first.exists() or len(segments(trial)) > 1)
    again.refused("--resume", "--overwrite")


def hidden_files(trial: Trial) -> None:
    """animate, killed while the video is written, then --resume: .o.mp4.<hex>.partial stays"""
    hidden = lambda: bool(list(trial.folder.glob(".*.partial")))  # noqa: E731
    words = (trial.inputs.image, trial.inputs.speech, "-o", "o.mp4")
    trial.animate(*words, limits=Limits(stop=hidden))
    expect(hidden(), "it was not killed in time")
    trial.animate(*words, "--resume").done()
    trial.holds_only("o.mp4")


def hidden_files_of_synth(trial: Trial) -> None:
    """synth, killed while a clip is written, then again: a hidden file stays"""
    words = ("synth", "set", "--clips", 2, "--size", 32, "--seconds", 0.4, 0.5, "--workers", 1)
    hidden = lambda: bool(list((trial / "set").rglob(".*.partial")))  # noqa: E731
    trial.paha(*words, limits=Limits(stop=hidden))
    expect(hidden(), "it was not killed in time")
    trial.paha(*words).done()
    left = [name for name in contents(trial / "set") if name.endswith(".partial")]
    expect(not left, f"left over: {', '.join(left)}")


FAULTS = {"4": (control_c, control_c_of_synth, the_same_command, hidden_files, hidden_files_of_synth)}
