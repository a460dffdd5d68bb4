"""What `--help` of every verb prints, as committed in tests/golden/help: a changed option shows in a diff.

python tests/cli/test_help.py        writes the files anew
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # without pytest's settings
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import pytest
from paha_parser import leaves
from typer import rich_utils
from typer.testing import CliRunner

from paha.cli.main import app

GOLDEN = Path(__file__).parents[1] / "golden/help"
VERBS = sorted(leaves())


def file_of(verb: tuple[str, ...]) -> Path:
    """paha.txt, paha_train_univdm.txt ..."""
    return GOLDEN / ("_".join(("paha", *verb)) + ".txt")


def help_of(verb: tuple[str, ...]) -> str:
    """The help of a verb, 120 columns wide, without colours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rich_utils, "MAX_WIDTH", 120)
        patch.setattr(rich_utils, "FORCE_TERMINAL", False)
        result = CliRunner().invoke(app, [*verb, "--help"], prog_name="paha")
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.output.strip("\n").split("\n")) + "\n"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(("paha", *verb)))
def test_help_is_as_committed(verb: tuple[str, ...]) -> None:
    expected = file_of(verb).read_text("utf-8") if file_of(verb).is_file() else ""
    assert help_of(verb) == expected, "if the change is wanted: python tests/cli/test_help.py"


def test_no_help_is_left_over() -> None:
    assert {path.name for path in GOLDEN.glob("*.txt")} == {file_of(verb).name for verb in VERBS}


def test_every_option_is_explained() -> None:
    for verb, command in leaves().items():
        for parameter in command.params:
            assert getattr(parameter, "help", None) or parameter.name == "help", f"{' '.join(verb)}: {parameter.name}"


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for old in GOLDEN.glob("*.txt"):
        old.unlink()
    for name in VERBS:
        file_of(name).write_text(help_of(name), encoding="utf-8")
