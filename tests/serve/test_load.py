"""A small version of `python -m experiments.serve.load`: clients, killed workers, nothing lost."""

import pytest

from experiments.serve.load import load

pytest.importorskip("fastapi")
pytest.importorskip("multipart")


@pytest.mark.slow
def test_workers_die_and_no_job_is_lost_or_made_twice(tmp_path):
    found = load(tmp_path, jobs=16, clients=4, kills=2)
    assert found["done, each once"] == 16
    assert found["workers killed"] >= 1
    assert {"jobs", "jobs.sqlite3", "lock", "uploads"} <= set(found["in the folder"])
