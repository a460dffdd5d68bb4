"""1: a command never writes over its own input, nor over what is no file of its making."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from experiments.fault_reproductions.processes import Limits, expect
from experiments.fault_reproductions.trial import Trial


def the_sound(trial: Trial) -> None:
    """animate: the output is the sound"""
    talk = trial.copy(trial.inputs.film, "talk.mp4")
    with trial.kept(talk):
        trial.animate(trial.inputs.image, talk, "-o", talk).refused("talk.mp4")


def the_image(trial: Trial) -> None:
    """animate: the output is the image"""
    me = trial.copy(trial.inputs.image, "me.png")
    with trial.kept(me):
        trial.animate(me, trial.inputs.speech, "-o", me).refused("me.png")


def a_row(trial: Trial) -> None:
    """a row of --jobs whose output is its sound"""
    talk = trial.copy(trial.inputs.film, "talk.mp4")
    (trial / "jobs.csv").write_text(f"image,audio,output\n{trial.inputs.image},talk.mp4,talk.mp4\n")
    with trial.kept(talk):
        trial.animate("--jobs", "jobs.csv").refused("talk.mp4")


def a_link(trial: Trial) -> None:
    """the sound is a link to the output"""
    talk = trial.copy(trial.inputs.film, "talk.mp4")
    (trial / "link.mp4").symlink_to(talk)
    with trial.kept(talk):
        trial.animate(trial.inputs.image, "link.mp4", "-o", talk).refused("talk.mp4")


def a_device(trial: Trial) -> None:
    """the output is a device (one of the try's own, as /dev/null is; else a pipe)"""
    device = trial / "null.mp4"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError:
        os.mkfifo(device)
    kind = stat.S_IFMT(device.stat().st_mode)
    ended = trial.animate(trial.inputs.image, trial.inputs.speech, "-o", device, limits=Limits(seconds=120))
    expect(stat.S_IFMT(device.stat().st_mode) == kind, f"{ended.saw}; the device is now a file")
    ended.refused("null.mp4")


def two_rows(trial: Trial) -> None:
    """two rows of --jobs with one output: o.mp4 and ../DIR/o.mp4"""
    _two_rows(trial, f"../{trial.folder.name}/o.mp4")


def two_rows_by_a_link(trial: Trial) -> None:
    """two rows with one output: o.mp4 and LINK/o.mp4, where LINK is this folder"""
    (trial / "here").symlink_to(trial.folder)
    _two_rows(trial, "here/o.mp4")


def _two_rows(trial: Trial, other: str) -> None:
    row = f"{trial.inputs.image},{trial.inputs.speech}"
    (trial / "jobs.csv").write_text(f"image,audio,output\n{row},o.mp4\n{row},{other}\n")
    ended = trial.animate("--jobs", "jobs.csv")
    expect(not (trial / "o.mp4").exists(), f"{ended.saw}; one video replaced the other")
    ended.refused("o.mp4")


def a_folder_of_mine(trial: Trial) -> None:
    """a person's own folder OUT.partial"""
    mine = trial / "o.mp4.partial" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("precious")
    with trial.kept(mine):
        trial.animate(trial.inputs.image, trial.inputs.speech, "-o", "o.mp4")


def an_older_video(trial: Trial) -> None:
    """animate: a video that is there already"""
    old = trial / "o.mp4"
    old.write_bytes(trial.inputs.film.read_bytes() + b"of another day")
    with trial.kept(old):
        trial.animate(trial.inputs.image, trial.inputs.speech, "-o", old).refused("--overwrite")
    trial.animate(trial.inputs.image, trial.inputs.speech, "-o", old, "--overwrite").done()


def an_older_sheet(trial: Trial) -> None:
    """animate --contact-sheet: a picture that is there already"""
    mine = trial.copy(trial.inputs.image, "o_sheet.png")
    with trial.kept(mine):
        trial.animate(trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", "--contact-sheet").refused("o_sheet.png")


def a_frame(trial: Trial) -> None:
    """animate --save-frames: the image is one of the frames' names"""
    image = trial.copy(trial.inputs.image, "frames/frame_000000.png")
    with trial.kept(image):
        trial.animate(image, trial.inputs.speech, "-o", "o.mp4", "--save-frames", "frames").refused("frame")


def a_report_of_mine(trial: Trial) -> None:
    """evaluate: a report.md of a person's own"""
    mine = _mine(trial, "report.md")
    words = ("evaluate", trial.inputs.data, trial.inputs.data, "-o", mine.parent, "--pose", "exact")
    with trial.kept(mine):
        trial.paha(*words, "--replicates", 10, "--workers", 1, "--no-ceilings").refused("out")


def statistics_of_mine(trial: Trial) -> None:
    """inspect: a par_stats.md of a person's own"""
    mine = _mine(trial, "par_stats.md")
    with trial.kept(mine):
        trial.paha("inspect", trial.inputs.data, "-o", mine.parent, "--par", "--clips", 1, "--frames", 5).refused("out")


def _mine(trial: Trial, name: str) -> Path:
    (trial / "out").mkdir()
    (trial / "out" / "thesis.txt").write_text("precious")
    (trial / "out" / name).write_text("precious too")
    return trial / "out" / name


FAULTS = {
    "1": (
        the_sound,
        the_image,
        a_row,
        a_link,
        a_device,
        two_rows,
        two_rows_by_a_link,
        a_folder_of_mine,
        an_older_video,
        an_older_sheet,
        a_frame,
        a_report_of_mine,
        statistics_of_mine,
    )
}
