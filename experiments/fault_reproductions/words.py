"""7, 8: late or missing words, and what a refused call leaves."""

from __future__ import annotations

import sys

from experiments.fault_reproductions.inputs import DEBUG
from experiments.fault_reproductions.processes import Limits, expect
from experiments.fault_reproductions.trial import PREPARE, Trial, command_line, piped

_LISTED = "sys.exit(len([name for name in ('torch', 'diffusers', 'transformers', 'av') if name in sys.modules]))"
_FRESH = f"import sys; from paha.cli import main as cli\ntry: cli.main()\nfinally: {_LISTED}"
"""`paha`, whose exit status is the number of heavy libraries that it imported."""


def a_misspelt_image(trial: Trial) -> None:
    """a misspelt image's name is told after seconds, when everything is imported"""
    trial.copy(trial.inputs.image, "image.png")
    ended = _fresh(trial, f"animate imgae.png {trial.inputs.speech} -o o.mp4")
    expect("imgae.png" in ended, ended)


def frames_that_cannot_be_written(trial: Trial) -> None:
    """--save-frames that cannot be written is told only after sampling"""
    ended = _fresh(trial, f"animate {trial.inputs.image} {trial.inputs.speech} -o o.mp4 --save-frames /dev/null/x")
    expect("/dev/null" in ended, ended)


def _fresh(trial: Trial, words: str) -> str:
    """The last line. Raises FaultError where anything heavy was imported before it."""
    command = f'"{sys.executable}" -c "{_FRESH}" {words} --model {trial.inputs.model}'
    ended = trial.shell(command)
    expect(ended.status == 0, f"{ended.lines[-1:]}, after {ended.status} heavy libraries were imported")
    trial.holds_only("image.png")
    return ended.lines[-1]


def a_missing_extra(trial: Trial) -> None:
    """prepare without its extra: ModuleNotFoundError: scenedetect, with no word of the extra"""

    def work() -> None:
        _hide("scenedetect")
        command_line(("prepare", trial.inputs.days[0], "set", *PREPARE))

    trial.python(work).refused("paha[prepare]")


def _hide(package: str) -> None:
    """As if it were not installed."""
    from importlib.machinery import PathFinder

    class Finder(PathFinder):
        @classmethod
        def find_spec(cls, fullname, path=None, target=None):
            return None if fullname.partition(".")[0] == package else PathFinder.find_spec(fullname, path, target)

    sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def what_doctor_lists(trial: Trial) -> None:
    """doctor lists neither scenedetect nor matplotlib"""
    ended = trial.paha("doctor", "--model", trial.inputs.model)
    missing = [name for name in ("scenedetect", "matplotlib") if name not in ended.out]
    expect(not missing, f"not listed: {', '.join(missing)}")


def where_the_command_is(trial: Trial) -> None:
    """`paha: command not found` after `make demo`: the README never names .venv/bin"""
    text = (trial.tree / "README.md").read_text(encoding="utf-8")
    expect(".venv/bin" in text, "README.md has no .venv/bin")


def names_of_hidden_files(trial: Trial) -> None:
    """errors that name a hidden temporary file"""
    for room in (600, 1500, 2500, 4000):
        words = (trial.inputs.image, trial.inputs.speech, "-o", f"o{room}.mp4", "--contact-sheet")
        ended = trial.animate(*words, limits=Limits(file_bytes=room))
        named = [word for word in ended.err.split() if ".partial" in word and "/." in word]
        expect(not named, f"{ended.saw}")


def an_image_from_a_pipe(trial: Trial) -> None:
    """an image from <(command): "is a folder" """

    def work() -> None:
        speech, model = trial.inputs.speech, trial.inputs.model
        with piped(trial.inputs.image) as end:
            command_line(("animate", f"/dev/fd/{end}", speech, "-o", "o.mp4", "--model", model, "--steps", 1))

    trial.python(work, limits=Limits(seconds=120)).done()


def a_table_without_retrieval(trial: Trial) -> None:
    """tables 1 --clips 1: "retrieval-by-audio is no folder" """
    words = ("tables", 1, "--data", trial.inputs.data, "-o", "t", "--no-models", "--clips", 1, "--pose", "exact")
    ended = trial.paha(*words, "--workers", 1)
    expect("is no folder" not in ended.err + ended.out, ended.saw)
    ended.done()


def refused_tables(trial: Trial) -> None:
    """tables, refused, leaves a folder"""
    data, model = trial.inputs.data, trial.inputs.model
    _leaves_nothing(trial, "tables", 2, "--data", data, "--model", model, "--pose", "exact", "--guidance-scales", "x")
    _leaves_nothing(trial, "tables", 2, "--data", data, "--model", model, "--pose", "bogus")
    _leaves_nothing(trial, "tables", 1, "--data", data, "--no-models", "--pose", "exact", "--retrieve-from", "nowhere")
    _leaves_nothing(trial, "tables", 1, "--data", data, "--no-models", "--pose", "exact", "--also", "x=nowhere")


def refused_inspect(trial: Trial) -> None:
    """inspect, refused, leaves a folder"""
    (trial.inputs.folder / "letter.txt").write_text("Dear sir,")
    _leaves_nothing(trial, "inspect", trial.inputs.folder / "letter.txt", "--par")
    _leaves_nothing(trial, "inspect", trial.inputs.data, "--par", "--pose", "bogus")
    _leaves_nothing(trial, "inspect", trial.inputs.film, "--par", "--pose", "exact")


def refused_prepare(trial: Trial) -> None:
    """prepare, refused, leaves a folder"""
    trial.paha("prepare", "nowhere", "out", *PREPARE).refused()
    trial.holds_only()


def refused_train(trial: Trial) -> None:
    """train --init, refused, leaves a folder"""
    data, codec = trial.own_data(), trial.inputs.codec
    for init in ("nowhere", trial.inputs.speech):
        _leaves_nothing(trial, "train", "univdm", "--data", data, "--codec", codec, *DEBUG, "--init", init)


def refused_negatives(trial: Trial) -> None:
    """negatives, refused, leaves a folder"""
    words = ("negatives", "--data", trial.own_data(), "--steps", 1, "--count", 2)
    _leaves_nothing(trial, *words, "--model", "nowhere")
    _leaves_nothing(trial, *words, "--model", trial.inputs.model, "--lengths", "100000")


def _leaves_nothing(trial: Trial, *words: object) -> None:
    trial.paha(*words, "-o", "out").refused()
    trial.holds_only()


FAULTS = {
    "7": (
        a_misspelt_image,
        frames_that_cannot_be_written,
        a_missing_extra,
        what_doctor_lists,
        where_the_command_is,
        names_of_hidden_files,
        an_image_from_a_pipe,
        a_table_without_retrieval,
    ),
    "8": (refused_tables, refused_inspect, refused_prepare, refused_train, refused_negatives),
}
