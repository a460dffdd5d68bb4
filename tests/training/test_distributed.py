"""Two processes (gloo): the same curve as one, exact resume, a lost process under torchrun, sharded weights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from toy_run import toy_config, toy_job
from two_processes import in_two

from paha.errors import PahaError
from paha.training.checkpoint import PARTS
from paha.training.distributed import first_to_say, from_main, is_main
from paha.training.loop import fit

SCRIPT = Path(__file__).with_name("toy_run.py")
TOLERANCE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}
"""Two processes add the same gradients in another order than one."""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_one(out: Path, steps: int, **changes) -> None:
    fit(toy_job(), toy_config(steps=steps, cosine_decay=False, **changes), out, progress=False)


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "stats.jsonl").read_text().splitlines()]


def state(out: Path, part: str) -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoint" / f"{part}.safetensors")


def assert_close(a: Path, b: Path) -> None:
    torch.testing.assert_close(losses(a), losses(b), **TOLERANCE)
    for part in PARTS:
        torch.testing.assert_close(state(a, part), state(b, part), **TOLERANCE)


def twelve_steps(folder: Path) -> None:
    run_one(folder / "run", 12)


def six_steps_then_twelve(folder: Path) -> None:
    run_one(folder / "run", 6)
    run_one(folder / "run", 12)


def six_sharded_steps(folder: Path) -> None:
    run_one(folder / "run", 6, sharding="full")


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """A run of 12 steps by one process, two parts a step."""
    out = tmp_path_factory.mktemp("one")
    run_one(out, 12)
    return out


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """The same by two processes, a part for each."""
    folder = tmp_path_factory.mktemp("two")
    assert in_two(twelve_steps, folder) == ["None", "None"]
    return folder / "run"


def test_two_processes_give_the_curve_of_one(one, two):
    assert len(losses(two)) == 12
    assert_close(one, two)
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}


def test_two_processes_resume_to_the_same_bits(two, tmp_path):
    assert in_two(six_steps_then_twelve, tmp_path) == ["None", "None"]
    for part in PARTS:
        whole, sliced = state(two, part), state(tmp_path / "run", part)
        assert all(torch.equal(whole[key], sliced[key]) for key in whole), part
    assert losses(two) == losses(tmp_path / "run")


def test_sharded_weights_train_the_same_and_go_on_unsharded_in_one_process(one, tmp_path):
    assert in_two(six_sharded_steps, tmp_path) == ["None", "None"]
    assert state(tmp_path / "run", "optimizer").keys() == state(one, "optimizer").keys()  # whole tensors
    run_one(tmp_path / "run", 12)
    assert_close(one, tmp_path / "run")


@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_one_line_and_another_number_goes_on(one, tmp_path):
    with torchrun(tmp_path, 12, "cosine_decay=false", pause_s=0.1) as process:
        wait_for_steps(tmp_path, 5, process)
        os.kill(workers(process)[1], signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
    assert process.returncode != 0
    ours = [line for line in errors.splitlines() if line.startswith("paha: error:")]
    where = tmp_path / "checkpoint"
    assert ours == [f"paha: error: toy: a process of this run was lost; the same command goes on from {where}"]
    assert SCRIPT.name not in "".join(line for line in errors.splitlines() if line.startswith("  File"))
    run_one(tmp_path, 12)  # one process does what two did
    assert_close(one, tmp_path)


def torchrun(out: Path, steps: int, *settings: str, pause_s: float) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[2]), "ACCELERATE_USE_CPU": "true"}
    environment |= {"TOY_PAUSE_S": str(pause_s), "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [sys.executable, *launcher, str(SCRIPT), str(out), str(steps), *settings]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for_steps(out: Path, count: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    path = out / "stats.jsonl"
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers(process: subprocess.Popen) -> list[int]:
    """Process ids of the launcher's workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    scripts = [int(child) for child in children if SCRIPT.name.encode() in Path(f"/proc/{child}/cmdline").read_bytes()]
    assert len(scripts) == 2
    return sorted(scripts)


def too_few_parts(folder: Path) -> None:
    run_one(folder / "run", 4, num_micro_batches=1)


def test_more_processes_than_parts_is_refused(tmp_path):
    for answer in in_two(too_few_parts, tmp_path):
        assert "2 processes cannot share the 1 part of a step: set train.num_micro_batches=2" in answer


def talk(folder: Path) -> str:
    made = from_main("made", lambda: str(make(folder)))
    return f"{made} {first_to_say('hello')} {Accelerator().num_processes}"


def make(folder: Path) -> Path:
    with (folder / "made").open("x"):
        time.sleep(0.1)
    return folder / "made"


def fail_in_main(folder: Path) -> str:
    def fail() -> str:
        assert is_main()
        raise PahaError("no clips")

    return from_main("failed", fail)


def test_the_main_process_works_for_all_and_one_speaks_for_all(tmp_path):
    answers = in_two(talk, tmp_path)
    assert sorted(answers) == [f"{tmp_path}/made False 2", f"{tmp_path}/made True 2"]
    assert in_two(fail_in_main, tmp_path) == ["PahaError: no clips"] * 2


def test_parts_of_a_step_stay_what_they_were(tmp_path):
    run_one(tmp_path, 4)
    with pytest.raises(PahaError, match=r"'train\.num_micro_batches' was 2 and is now 4"):
        run_one(tmp_path, 8, num_micro_batches=4)
