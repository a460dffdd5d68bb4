"""README and docs: every command parses, every link leads somewhere, no line is a wall of text."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from doc_commands import DOCUMENTS, FENCE, HISTORY, ROOT, Command, commands, lone_options
from paha_parser import all_options, parse_error

from paha.config import override
from paha.presets import preset
from paha.training.pce.job import classifier_run

COMMANDS = commands()
MAX_LINE = 300
LINK = re.compile(r"\]\(([^)\s]+)\)")


def of(*programs: str) -> list[Command]:
    """The commands of these programs."""
    return [command for command in COMMANDS if command.words[0] in programs]


def script(command: Command) -> Path | None:
    """The file of this repository that `python -m x.y ...` or `python x/y.py ...` runs; None for a library's."""
    words = list(command.words[1:])
    if words[0] == "-m":
        path = ROOT / (words[1].replace(".", "/") + ".py")
        return path if path.is_file() else None
    return ROOT / words[0]


def test_commands_are_found() -> None:
    # An extraction that finds nothing would let everything pass.
    assert {command.words[0] for command in COMMANDS} >= {"paha", "python", "make"}
    assert {verb for command in of("paha") for verb in command.words[1:2]} >= {"animate", "train", "evaluate", "tables"}


def test_the_parser_finds_mistakes() -> None:
    assert parse_error(["animate", "a.png", "b.wav", "-o", "c.mp4", "--sped", "2"], whole=True)
    assert parse_error(["animte"], whole=True)
    assert parse_error(["synth", "out", "--clips", "many"], whole=True)
    assert parse_error(["synth"], whole=True)
    assert parse_error(["synth"], whole=False) is None
    assert parse_error(["synth", "OUT", "--clips", "N"], whole=False) is None
    assert parse_error(["train", "unknown"], whole=False)


@pytest.mark.parametrize("command", of("paha"), ids=str)
def test_paha_commands_parse(command: Command) -> None:
    error = parse_error(list(command.words[1:]), whole=command.whole)
    assert error is None, error


def settings(command: Command) -> dict[str, object]:
    """What `--set NAME=VALUE` says in a command."""
    pairs = zip(command.words, command.words[1:], strict=False)
    given = [value.partition("=") for option, value in pairs if option == "--set"]
    return {name: yaml.safe_load(value) for name, _, value in given}


@pytest.mark.parametrize("command", [command for command in of("paha", "torchrun") if settings(command)], ids=str)
def test_settings_are_options_of_the_preset(command: Command) -> None:
    words = command.words
    config = preset(words[words.index("--preset") + 1] if "--preset" in words else "presenter")
    if "classifier" in words:
        classifier_run(config, settings(command))
    elif "univdm" in words or "features" in words or "inspect" in words:
        override(config, settings(command))


@pytest.mark.parametrize("command", of("torchrun"), ids=str)
def test_commands_of_many_processes_parse(command: Command) -> None:
    words = list(command.words)
    module = words.index("-m") + 1
    assert importlib.util.find_spec(words[module]) is not None
    error = parse_error(words[module + 1 :], whole=command.whole)
    assert error is None, error


@pytest.mark.parametrize("command", of("python"), ids=str)
def test_scripts_exist_and_know_their_options(command: Command) -> None:
    path = script(command)
    if path is None:
        assert importlib.util.find_spec(command.words[2]) is not None
        return
    assert path.is_file()
    source = path.read_text("utf-8")
    for word in command.words[2:]:
        if word.startswith("--"):
            option = word.partition("=")[0]
            assert option in source or re.search(rf"\b{option[2:].replace('-', '_')}\b", source), f"no {option}"


@pytest.mark.parametrize("command", of("pytest"), ids=str)
def test_named_tests_exist(command: Command) -> None:
    paths = [word for word in command.words if word.startswith("tests")]
    assert paths
    for path in paths:
        assert (ROOT / path.partition("::")[0]).exists(), path


@pytest.mark.parametrize("command", of("make"), ids=str)
def test_make_targets_do_something(command: Command) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = [word for word in command.words[1:] if "=" not in word]
    for word in command.words[1:]:
        if "=" in word:
            assert f"$({word.partition('=')[0]})" in makefile, f"make knows no {word}"
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no target {target}"
        said = subprocess.run(["make", "-n", "-C", ROOT, target], capture_output=True, text=True, check=False)
        own = re.split(rf"^{target}:.*$", makefile, flags=re.MULTILINE)[1].partition("\n\n")[0]
        assert said.returncode == 0, said.stderr
        assert "\n\t" in own, f"the target {target} has no recipe"


@pytest.mark.parametrize("command", of("pip"), ids=str)
def test_named_extras_exist(command: Command) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for names in re.findall(r"\[([\w,]+)\]", " ".join(command.words)):
        assert set(names.split(",")) <= set(extras)


@pytest.mark.parametrize(("document", "option"), lone_options())
def test_options_named_alone_belong_to_some_command(document: str, option: str) -> None:
    scripts = "".join(
        path.read_text("utf-8") for name in ("benchmarks", "experiments") for path in (ROOT / name).rglob("*.py")
    )
    assert option in all_options() or option in scripts or re.search(rf"\b{option[2:].replace('-', '_')}:", scripts)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_examples_import_what_exists(path: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names)


def prose(text: str) -> list[str]:
    """Lines that are read as text: no code, no tables."""
    return [line for line in FENCE.sub("", text).split("\n") if not line.lstrip().startswith("|")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_line_of_prose_is_too_long(path: Path) -> None:
    long = [line[:80] for line in prose(path.read_text("utf-8")) if len(line) > MAX_LINE]
    assert not long


def anchors(text: str) -> set[str]:
    """What `#...` may name in a document, as hosts of Markdown make it out of the headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for link in LINK.findall(FENCE.sub("", text)):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path not in HISTORY], ids=lambda path: path.name)
def test_files_named_in_the_text_exist(path: Path) -> None:
    text = re.sub(r"[^\n]*at commit [0-9a-f]{7}[^\n]*", "", path.read_text("utf-8"), flags=re.IGNORECASE)
    for name in re.findall(r"`((?:paha|tests|docs|benchmarks|experiments)/[\w./]+\.\w+)`", text):
        assert (ROOT / name).exists(), name


def test_tests_named_in_the_text_exist() -> None:
    own = set(
        re.findall(r"def (test_\w+)", "".join(path.read_text("utf-8") for path in ROOT.glob("tests/**/test_*.py")))
    )
    named = {name for path in DOCUMENTS for name in re.findall(r"::(test_\w+)`", path.read_text("utf-8"))}
    assert len(named) > 50
    assert named <= own, named - own


def test_every_module_imports_without_the_extras() -> None:
    command = [sys.executable, str(ROOT / "tests/import_everything.py"), "--hide"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
