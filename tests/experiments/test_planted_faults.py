"""The list of known faults fits today's code, and a fault that no test notices is told."""

from pathlib import Path

import pytest

from experiments.known_faults import FOUND, PLANTED, Fault
from experiments.planted_faults import ROOT, NotCaughtError, plant, prove

ALL = [*PLANTED, *FOUND]
HALVES = Fault("halves", "halves.py", (("x / 2", "x * 2"),), "test_halves.py::test_half")


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "halves.py").write_text("def half(x):\n    return x / 2\n")
    tests = "def test_half():\n    assert half(2) == 1\ndef test_zero():\n    assert half(0) == 0\n"
    (tmp_path / "test_halves.py").write_text("from halves import half\n" + tests)
    return tmp_path


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.what)
def test_every_fault_can_be_planted_in_todays_code_and_names_a_test(fault, tmp_path):
    path = tmp_path / fault.file
    path.parent.mkdir(parents=True)
    path.write_text((ROOT / fault.file).read_text("utf-8"), "utf-8")
    assert plant(fault, tmp_path) != path.read_text("utf-8")
    compile(path.read_text("utf-8"), fault.file, "exec")
    file, _, function = fault.test.partition("::")
    assert f"def {function}(" in (ROOT / file).read_text("utf-8")


def test_a_fault_is_caught_by_the_test_that_sees_it_and_by_no_other(project):
    before = (project / "halves.py").read_text()
    assert prove(HALVES, project)
    assert not prove(Fault("halves", "halves.py", HALVES.edits, "test_halves.py::test_zero"), project)
    assert (project / "halves.py").read_text() == before


def test_what_says_nothing_of_a_fault_is_an_error(project):
    with pytest.raises(NotCaughtError, match=r"0 times 'x / 3'"):
        plant(Fault("thirds", "halves.py", (("x / 3", "x * 3"),), ""), project)
    with pytest.raises(NotCaughtError, match="pytest ended with"):
        prove(Fault("halves", "halves.py", HALVES.edits, "test_halves.py::test_gone"), project)
