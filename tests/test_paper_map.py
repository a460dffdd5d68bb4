"""docs/paper_map.md and docs/design.md must name functions and tests that exist, and every equation must be found."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[((?:paha|tests|experiments|benchmarks)/[\w/]+\.py)(?::([\w.]+))?\]\(\.\./([^)#]+)\)")
PAGE_LINK = re.compile(r"\]\(([^)#\s]+)")
MAP = (ROOT / "docs/paper_map.md").read_text("utf-8")
DESIGN = (ROOT / "docs/design.md").read_text("utf-8")
NAMED = sorted({match.groups(default="") for text in (MAP, DESIGN) for match in LINK.finditer(text)})
EQUATIONS = re.findall(r"^\| Eq\. (\d+) \|[^|]*\|([^|]*)\|$", MAP.partition("## Everything")[0], re.MULTILINE)


def symbols(path: Path) -> set[str]:
    """Functions, classes and methods that a file defines."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{f.name}" for f in node.body if isinstance(f, ast.FunctionDef)}
    return found


@pytest.mark.parametrize(("file", "symbol", "target"), NAMED)
def test_named_code_exists(file: str, symbol: str, target: str) -> None:
    assert file == target, "the link leads to another file than it says"
    assert (ROOT / file).is_file()
    assert not symbol or symbol in symbols(ROOT / file)


def test_code_is_named_by_links_alone() -> None:
    # A path in backticks would be checked by nobody.
    for text in (MAP, DESIGN):
        assert not re.findall(r"`(?:paha|tests)/[\w/]+\.py:[\w.]+`", text)


def test_every_equation_leads_to_code_that_names_it() -> None:
    assert [int(number) for number, _ in EQUATIONS] == list(range(1, 13))
    for number, cell in EQUATIONS:
        places = LINK.findall(cell)
        assert places
        for file, symbol, _ in places:
            assert symbol
            assert number in named_equations((ROOT / file).read_text("utf-8")), f"{file} does not say Eq. {number}"


def clicks_from_readme(most: int) -> set[Path]:
    """What links lead to from the README in at most so many clicks."""
    seen = {ROOT / "README.md"}
    for _ in range(most):
        pages = [path for path in seen if path.suffix == ".md"]
        found = ((page.parent, link) for page in pages for link in PAGE_LINK.findall(page.read_text("utf-8")))
        seen |= {path for folder, link in found if (path := (folder / link).resolve()).is_file()}
    return seen


def test_every_equation_is_at_most_three_clicks_from_the_readme() -> None:
    # Two to its file; the third one opens the function there.
    near = clicks_from_readme(2)
    assert len(near) > 30
    assert [file for _, cell in EQUATIONS for file, _, _ in LINK.findall(cell) if ROOT / file not in near] == []


def named_equations(source: str) -> set[str]:
    """Numbers of the equations that a source file speaks of: `Eq. 4, 5`, `Eq. 8-10`."""
    found: set[str] = set()
    for text in re.findall(r"Eq\. (\d+(?:(?:, |-)\d+)*)", source):
        for part in text.split(", "):
            first, _, last = part.partition("-")
            found |= {str(number) for number in range(int(first), int(last or first) + 1)}
    return found


def test_every_row_of_the_design_is_cited_as_it_is_numbered() -> None:
    assert re.findall(r"^### Row (\d+)$", DESIGN, re.MULTILINE) == [str(number) for number in range(1, 21)]
    cited: dict[str, set[int]] = {"row": set(), "section": set()}
    for folder in ("paha", "tests", "benchmarks", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            for kind, numbers in re.findall(
                r"design (row|section)s? (\d+(?:(?:,| and|-) ?\d+)*)", path.read_text("utf-8")
            ):
                cited[kind] |= {int(number) for number in re.findall(r"\d+", numbers)}
    assert cited["row"] <= set(range(1, 21))
    sections = {int(number) for number in re.findall(r"^## (\d+)\. ", DESIGN, re.MULTILINE)}
    assert cited["section"] <= sections
    assert len(cited["row"]) > 10, "nothing was searched"
