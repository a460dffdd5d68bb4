"""How many workers there may be, and that they end with their parent."""

import os

import pytest

from paha.evaluation.metrics.cost import machine
from paha.runtime.workers import num_cores


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= num_cores() <= (os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        assert num_cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("count", [6, None])
def test_systems_without_affinity_count_the_machines_cores(monkeypatch, count):
    """macOS and Windows."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert num_cores() == (count or 1)
    assert machine().endswith(f"{count or 1} cores")
