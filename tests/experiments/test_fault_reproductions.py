"""The reproductions of reported faults: those that need no network hold on this tree, and a loss is seen as one."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy import toy_image

from experiments.fault_reproductions import one_line, outputs, rubbish, words
from experiments.fault_reproductions.__main__ import FAULTS, ROOT, attempt
from experiments.fault_reproductions.inputs import Inputs, write_sound
from experiments.fault_reproductions.processes import Limits
from experiments.fault_reproductions.trial import Trial
from paha.media.image_io import save_png


@pytest.fixture
def trial(tmp_path) -> Trial:
    inputs = Inputs(tmp_path / "inputs")
    save_png(inputs.image, toy_image())
    write_sound(inputs.speech, 0.4)
    inputs.film.write_bytes(inputs.speech.read_bytes())
    inputs.model.mkdir(parents=True)
    (tmp_path / "try").mkdir()
    return Trial(ROOT, tmp_path / "try", inputs)


QUICK = (
    outputs.the_sound,
    outputs.a_link,
    outputs.a_device,
    outputs.two_rows_by_a_link,
    outputs.an_older_sheet,
    one_line.a_name_that_is_no_text,
    one_line.endless_clips,
    rubbish.infinite_guidance,
    rubbish.an_avi,
    rubbish.negative_seconds,
    words.refused_prepare,
)


@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.__name__)
def test_it_holds(trial, check):
    outcome, seen = attempt(check, trial)
    assert outcome == "holds", seen


def test_what_is_lost_is_seen(trial):
    mine = trial.copy(trial.inputs.image, "me.png")

    def lose(trial: Trial) -> None:
        with trial.kept(mine):
            trial.python(lambda: mine.write_bytes(b"")).done()

    assert attempt(lose, trial) == ("fails", "exit 0; me.png was lost")
    assert attempt(lambda trial: trial.holds_only(), trial) == ("fails", "exit 0; left over: me.png")


def test_ends_are_told(trial):
    assert trial.python(lambda: print("x")).saw == "exit 0"
    assert trial.python(lambda: 1 / 0).saw == "exit 1: ZeroDivisionError: division by zero"
    assert trial.python(lambda: [0 for _ in iter(int, 1)], limits=Limits(seconds=0.3)).status is None
    full = trial.python(lambda: Path("big").write_bytes(bytes(2000)), limits=Limits(file_bytes=1000))
    assert "File too large" in full.saw
    assert trial.shell("exit 3").status == 3


def test_every_fault_says_what_it_is():
    checks = [check for checks in FAULTS.values() for check in checks]
    assert list(map(int, FAULTS)) == list(range(1, 12))
    assert all(check.__doc__ for check in checks)
    assert len({check.__name__ for check in checks}) == len(checks)
