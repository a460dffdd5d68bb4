"""Tasks run in this process, in others, or on Ray, with the same results."""

import os
import signal
import time

import pytest

from paha.errors import PahaError
from paha.runtime.engine import run_tasks


def work(number: int, folder: str) -> int:
    """Squares; 3 fails politely, 4 rudely, 5 kills its process, 6 does so the first time."""
    if number == 3:
        raise PahaError("three is out of order")
    if number == 4:
        raise ZeroDivisionError("four")
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 6 and not os.path.exists(f"{folder}/six"):
        open(f"{folder}/six", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return number * number


def outcomes(folder, numbers, **options):
    tasks = [(number, str(folder)) for number in numbers]
    found = {numbers[index]: (result, error) for index, result, error in run_tasks(work, tasks, **options)}
    assert sorted(found) == sorted(numbers)
    return found


def test_a_failed_task_stops_no_other(tmp_path):
    found = outcomes(tmp_path, [1, 2, 3, 4, 7], workers=1, engine="local")
    assert found[7] == (49, "")
    assert found[3] == (None, "three is out of order")
    assert found[4] == (None, "ZeroDivisionError: four")


def test_a_worker_that_dies_takes_only_its_own_task_along(tmp_path):
    found = outcomes(tmp_path, [1, 5, 2, 6, 7, 8], workers=2, engine="local")
    assert [found[n][0] for n in (1, 2, 6, 7, 8)] == [1, 4, 36, 49, 64]
    assert "died twice" in found[5][1]


def test_an_unknown_engine_is_named():
    with pytest.raises(PahaError, match="unknown engine 'spark'; known: local, ray"):
        run_tasks(work, [], workers=1, engine="spark")


@pytest.mark.slow
def test_ray_runs_the_same_and_survives_a_killed_worker(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed: pip install 'paha[scale]'")
    found = outcomes(tmp_path, [1, 2, 3, 4, 6, 7], workers=2, engine="ray")
    assert [found[n][0] for n in (1, 2, 6, 7)] == [1, 4, 36, 49]
    assert (tmp_path / "six").exists()
    assert found[3] == (None, "three is out of order")
    assert "ZeroDivisionError" in found[4][1]
