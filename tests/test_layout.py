"""The package's shape: imports run one way, few rooms, the command line on top (`python -m experiments.layout`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.layout import ROOT, Layout, read_layout


@pytest.fixture(scope="module")
def whole() -> Layout:
    """Of paha/."""
    return read_layout()


def test_no_rooms_import_each_other(whole):
    assert whole.circles() == [], "\n".join(whole.upward())


def test_nothing_but_the_command_line_imports_it():
    others = [path for path in ROOT.rglob("*.py") if path.parent != ROOT / "cli"]
    assert len(others) > 100
    assert [str(path) for path in others if "paha.cli" in _imports_of(path)] == []


def test_few_rooms_and_few_loose_modules(whole):
    assert 10 < len(whole.rooms) <= 24
    assert len(whole.rooms[""]) <= 6, whole.rooms[""]


def test_every_file_says_in_its_first_line_what_it_is_for():
    folders = ("paha", "tests", "experiments", "benchmarks", "comfyui")
    files = [path for name in folders for path in (ROOT.parent / name).rglob("*.py")]
    assert len(files) > 500
    bare = [path for path in files if path.stat().st_size and not path.read_text("utf-8").startswith('"""')]
    assert bare == []


@pytest.fixture
def toy(tmp_path) -> Path:
    """toy.low <- toy.high, and an import back for the type checker alone."""
    files = {
        "__init__.py": "",
        "errors.py": "",
        "low/__init__.py": "",
        "low/a.py": "from typing import TYPE_CHECKING\nimport toy.errors\n"
        "if TYPE_CHECKING:\n    from toy.high import b\n",
        "high/__init__.py": "",
        "high/b.py": "def run():\n    from toy.low.a import value\n    return value\n",
    }
    for name, text in files.items():
        (tmp_path / "toy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "toy" / name).write_text(text)
    return tmp_path / "toy"


def test_rooms_arrows_and_floors_of_a_toy(toy):
    layout = read_layout(toy)
    assert layout.rooms == {"": ["toy.errors"], "high": ["toy.high.b"], "low": ["toy.low.a"]}
    assert layout.arrows.keys() == {("low", ""), ("high", "low")}
    assert layout.floors() == [[""], ["low"], ["high"]]
    assert layout.circles() == []


def test_an_import_back_inside_a_function_closes_a_circle(toy):
    (toy / "low/c.py").write_text("def run():\n    from toy.high import b\n    return b\n")
    layout = read_layout(toy)
    assert layout.circles() == [["high", "low"]]
    assert layout.upward() == ["toy.high.b imports toy.low.a", "toy.low.c imports toy.high.b"]


def _imports_of(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.lstrip().startswith(("import ", "from ")))
