"""Worker processes that start, die and are given up, with a shell script in the place of Python."""

import time
from collections.abc import Callable

import pytest

from paha.serve.settings import ServeSettings
from paha.serve.store import JobStore
from paha.serve.workers import MAX_FAILED_STARTS, Workers


@pytest.fixture
def workers(tmp_path, monkeypatch) -> Callable[[str], Workers]:
    """Workers of two devices whose processes run a script, which gets the worker's options."""

    def made(script: str) -> Workers:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\necho $$ $* >> {tmp_path}/started\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(path))
        settings = ServeSettings(tmp_path, devices=("cpu", "cuda:0"), model=tmp_path / "model", sign=tmp_path / "me")
        return Workers(settings, JobStore(tmp_path))

    return made


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def queued(store: JobStore) -> str:
    job_id = store.new_id()
    store.add(job_id, {}, address="a", client="c", max_queued=9, max_per_client=9)
    return job_id


def test_each_device_has_a_worker_that_is_told_what_to_do(workers, tmp_path):
    with workers("echo ready none sg; read line") as running:
        assert running.state in ("starting", "ready")
        assert running.wait_ready(120)
        until(lambda: all(running.ready.values()))
        assert running.guidance == ["none", "sg"]
        processes = list(running.processes.values())
    assert all(process.poll() is not None for process in processes), "they end with the server"
    lines = (tmp_path / "started").read_text().splitlines()
    for name, device in (("0:cpu", "cpu"), ("1:cuda:0", "cuda:0")):
        end = f"--name {name} --model {tmp_path}/model --sign {tmp_path}/me"
        (line,) = [line for line in lines if line.endswith(end)]
        assert f"-m paha.serve.worker --folder {tmp_path} --device {device} " in line


def test_a_worker_that_dies_is_started_again_and_its_job_waits_again(workers):
    with workers("echo ready none; read line") as running:
        until(lambda: all(running.ready.values()))
        job_id = queued(running.store)
        assert running.store.claim("0:cpu").id == job_id
        first = running.processes["0:cpu"]
        first.kill()
        until(lambda: running.processes["0:cpu"] is not first and running.ready["0:cpu"])
        assert running.store.get(job_id).state == "queued"
        assert running.failed_starts["0:cpu"] == 0, "one that was ready is no failed start"


def test_workers_that_never_start_are_given_up(workers, tmp_path):
    with workers("exit 1") as running:
        assert not running.wait_ready(120)
        assert running.state == "failed"
        time.sleep(0.5)
    assert len((tmp_path / "started").read_text().splitlines()) == 2 * MAX_FAILED_STARTS
