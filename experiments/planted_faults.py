"""Do the tests notice faults? Each known one is put into a copy of the code, alone, and its test must then fail.

python -m experiments.planted_faults [--only PLANTED_OR_FOUND] [--name WORDS]

Prints a table: the fault, the test that should fail, and whether it did. First all tests run on the code as it is,
where they must pass. Ends with status 1 where a fault survives.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
import typer

from experiments.known_faults import FOUND, PLANTED, Fault
from paha.errors import PahaError

ROOT = Path(__file__).resolve().parents[1]
FORKS = multiprocessing.get_context("forkserver")
LIBRARIES = ["accelerate", "av", "hypothesis", "pytest", "scipy.signal", "torch", "transformers", "typer"]
"""Imported once for the tests of all faults."""
LEFT_OUT = (".*", "__pycache__", "out", "work", "build", "dist", "*.egg-info")


class Kind(StrEnum):
    """planted: faults in the paper's formulas. found: bugs that were mended."""

    planted = "planted"
    found = "found"


class NotCaughtError(PahaError):
    """A fault that cannot be planted, or a run of tests that says nothing about it."""


def plant(fault: Fault, root: Path) -> str:
    """Write the fault into its file under root; returns the text that was there.

    Raises NotCaughtError where the text that it changes is not there exactly once: the code has moved on.
    """
    path = root / fault.file
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = before
    for old, new in fault.edits:
        if text.count(old) != 1:
            raise NotCaughtError(
                f"{fault.what}: {fault.file} has {text.count(old)} times {old!r}; write the fault anew"
            )
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return before


def failing(tests: Sequence[str], root: Path) -> list[str]:
    """Which of the tests (file::function) fail under root. Raises NotCaughtError where pytest could not run them."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
        child = FORKS.Process(target=_run_tests, args=(tests, root, log.name))
        child.start()
        child.join()
        told = log.read()
    if child.exitcode not in (0, 1):
        raise NotCaughtError(f"pytest ended with {child.exitcode}: {told[-1000:]}")
    lines = [line.split()[1] for line in told.splitlines() if line.startswith("FAILED ")]
    failed = {name.partition("[")[0] for name in lines}
    return [test for test in dict.fromkeys(tests) if test in failed]


def _run_tests(tests: Sequence[str], root: Path, log: str) -> None:
    """In a process of its own, which has libraries imported, but must take the package itself from root."""
    with open(log, "w", encoding="utf-8") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    os.chdir(root)
    os.environ |= {"PYTHONPATH": str(root), "OMP_WAIT_POLICY": "PASSIVE", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    sys.path.insert(0, str(root))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("paha", "experiments")]:
        del sys.modules[name]
    sys.exit(pytest.main(["-p", "no:cacheprovider", "-m", "", "-rf", *tests]))


def prove(fault: Fault, root: Path) -> bool:
    """Whether the fault's test fails where it is planted; the file is as before afterwards."""
    before = plant(fault, root)
    try:
        return failing([fault.test], root) == [fault.test]
    finally:
        (root / fault.file).write_text(before, encoding="utf-8")


def main(
    only: Annotated[Kind | None, typer.Option(help="Faults of one kind.")] = None,
    name: Annotated[str, typer.Option(help="Faults whose name has these words.")] = "",
) -> None:
    """See the module."""
    kinds = {Kind.planted: PLANTED, Kind.found: FOUND}
    faults = [f for kind, group in kinds.items() for f in group if only in (None, kind) and name in f.what]
    FORKS.set_forkserver_preload(LIBRARIES)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "copy"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        already = failing([fault.test for fault in faults], root)
        if already:
            raise NotCaughtError(f"these fail without any fault: {', '.join(already)}")
        print("| fault | test | |\n|---|---|---|")
        survived = 0
        for fault in faults:
            caught = prove(fault, root)
            survived += not caught
            print(
                f"| {fault.what} | {fault.test} | {'fails' if caught else 'PASSES: the fault survives'} |", flush=True
            )
    print(f"\n{len(faults) - survived} of {len(faults)} caught")
    raise typer.Exit(1 if survived else 0)


if __name__ == "__main__":
    typer.run(main)
