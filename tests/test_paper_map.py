"""docs/paper_map.md must name functions and tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.findall(r"`((?:paha|tests)/[\w/]+\.py)(?::([\w.]+))?`", (ROOT / "docs/paper_map.md").read_text("utf-8"))


def symbols(path):
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{f.name}" for f in node.body if isinstance(f, ast.FunctionDef)}
    return found


@pytest.mark.parametrize(("file", "symbol"), sorted(set(NAMED)))
def test_named_code_exists(file, symbol):
    assert (ROOT / file).is_file()
    assert not symbol or symbol in symbols(ROOT / file)


def test_every_equation_has_a_row():
    text = (ROOT / "docs/paper_map.md").read_text("utf-8")
    covered = set()
    for first, last in re.findall(r"^\| Eq\. (\d+)(?:-(\d+))?", text, re.M):
        covered |= set(range(int(first), int(last or first) + 1))
    for low, high in re.findall(r"^\| Eq\. (\d+), (\d+)", text, re.M):
        covered |= {int(low), int(high)}
    assert covered == set(range(1, 13))
