"""Every fault that a hard day of use found (docs/robustness.md), tried as a person met it, on any tree of this code.

python -m experiments.fault_reproductions [--tree PATH] [--only 1,5,a_width] [--keep FOLDER]

Prints a table: number, fault, whether the rule holds now, and what was seen. Every command is a process of its own that
is forked off one which has torch imported; where it matters what is imported, a process that starts from nothing. Exit
status 1 where any rule does not hold.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from experiments.fault_reproductions import (
    datasets,
    expected,
    one_line,
    outputs,
    progress,
    python_api,
    rubbish,
    stopped,
    words,
)
from experiments.fault_reproductions.inputs import Inputs, make_inputs
from experiments.fault_reproductions.processes import FaultError, SkippedError
from experiments.fault_reproductions.trial import Trial

MODULES = (outputs, datasets, stopped, one_line, rubbish, words, progress, python_api, expected)
FAULTS: dict[str, tuple[Callable[[Trial], None], ...]] = {k: v for module in MODULES for k, v in module.FAULTS.items()}
IMPORTS = ("torch", "diffusers", "transformers", "accelerate", "av", "scipy.signal", "safetensors.torch", "cv2")
OF_PAHA = ("cli.main", "pipeline.pipeline", "pipeline.animate", "pipeline.loading", "training.loop", "dataset.features")
ROOT = Path(__file__).parents[2]
_LONGEST = 150


def main() -> None:
    """Try them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--tree", type=Path, default=ROOT, help="whose code is tried")
    parser.add_argument("--only", default="", help="numbers or names, with commas between them")
    parser.add_argument("--keep", type=Path, help="folder for all that is made, whose inputs serve again")
    options = parser.parse_args()
    use(options.tree.resolve())
    chosen = [name for name in options.only.split(",") if name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # some tries are another user's
        print("| | fault | | seen |\n|---|---|---|---|", flush=True)
        counts = {"holds": 0, "fails": 0, "skipped": 0}
        for number, fault, outcome, seen in outcomes(options.tree.resolve(), folder, chosen):
            counts[outcome] += 1
            print(f"| {number} | {fault} | {outcome} | {seen} |", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    sys.exit(counts["fails"] > 0)


def use(tree: Path) -> None:
    """Import that tree's code, in this process and in those that it starts, and all that is heavy."""
    sys.path.insert(0, str(tree))
    os.environ |= {"PYTHONPATH": str(tree), "OMP_WAIT_POLICY": "PASSIVE"}
    for name in (*IMPORTS, *(f"paha.{module}" for module in OF_PAHA)):
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    import torch

    import paha

    assert Path(paha.__file__).parents[1] == tree, f"paha is imported from {paha.__file__}"
    torch.set_num_threads(1)  # threads do not survive a fork


def outcomes(tree: Path, folder: Path, only: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """(number, fault, holds, fails or skipped, what was seen) of those that are wanted."""
    maker = Trial(tree, folder / "inputs", Inputs(folder / "inputs"))
    if not maker.inputs.film.is_file():  # the last that is made
        shutil.rmtree(maker.folder, ignore_errors=True)
        maker.folder.mkdir()
        make_inputs(maker.folder, lambda *words: maker.paha(*words).done(), lambda work: maker.python(work).done())
    pairs = [(number, check) for number, checks in FAULTS.items() for check in checks]
    wanted = [pair for name in only for pair in pairs if name in (pair[0], pair[1].__name__)]
    for number, check in wanted if only else pairs:
        trial = Trial(tree, folder / f"{number}_{check.__name__}", maker.inputs)
        for made in (trial.folder, trial.data):
            shutil.rmtree(made, ignore_errors=True)
        trial.folder.mkdir()
        outcome, seen = attempt(check, trial)
        yield number, " ".join((check.__doc__ or check.__name__).split()), outcome, cell(trial.short(seen))


def attempt(check: Callable[[Trial], None], trial: Trial) -> tuple[str, str]:
    """(holds, fails or skipped, what was seen)."""
    try:
        check(trial)
    except FaultError as fault:
        return "fails", str(fault)
    except SkippedError as reason:
        return "skipped", str(reason)
    except Exception as error:  # what it left is not what the check looks for
        return "fails", f"{trial.told()}; {type(error).__name__}: {error}"
    return "holds", trial.told()


def cell(text: str) -> str:
    """In one cell of a table."""
    text = " ".join(text.replace("|", "/").split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


if __name__ == "__main__":
    main()
