"""The Dockerfile: what it copies is there, and where a docker daemon runs, it builds and answers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = (ROOT / "Dockerfile").read_text("utf-8").splitlines()


def test_what_is_copied_is_there_and_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = [name for line in LINES if line.startswith("COPY") for name in line.split()[1:-1]]
    assert {"pyproject.toml", "paha"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored


def test_its_extras_are_declared():
    (extras,) = [line.partition("=")[2] for line in LINES if line.startswith("ARG EXTRAS")]
    declared = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert set(extras.split(",")) <= set(declared)


@pytest.mark.slow
def test_it_builds_where_docker_runs():
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no docker daemon here")
    subprocess.run(["docker", "build", "-t", "paha-test", str(ROOT)], check=True)
    answer = subprocess.run(
        ["docker", "run", "--rm", "paha-test", "--help"], check=True, capture_output=True, text=True
    )
    assert "animate" in answer.stdout
