"""`paha doctor`: what it says of extras and of systems that it is not run on here."""

import os
import tomllib
from pathlib import Path

import pytest

from paha.cli.checks import EXTRAS, machine

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = {"espeakng_loader": "espeakng-loader"}
"""Of packages that are imported under another name than they are installed by."""


@pytest.mark.parametrize("package", EXTRAS)
def test_every_optional_package_is_in_the_extra_that_is_said_to_bring_it(package):
    extra, _ = EXTRAS[package]
    wanted = DISTRIBUTIONS.get(package, package)
    assert any(line.startswith(wanted) for line in PROJECT["optional-dependencies"][extra]), (wanted, extra)


def test_cores_and_memory_are_told_on_systems_without_affinity_and_sysconf(monkeypatch):
    """macOS has no affinity, Windows neither."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sysconf", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    found = {finding.name: finding.detail for finding in machine()}
    assert found["cpu"] == "6 cores, memory unknown"
