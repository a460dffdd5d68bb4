"""What keeps a server from starting: one line, before a worker is started."""

import os
import socket
import tempfile
from collections import namedtuple

import pytest

from paha.errors import PahaError
from paha.serve import server
from paha.serve.settings import ServeSettings

pytest.importorskip("fastapi")
pytest.importorskip("multipart")


@pytest.fixture(autouse=True)
def no_worker(monkeypatch):
    """A worker that is started after all fails the test."""

    def started(*_: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr("paha.serve.workers.Workers.__enter__", started)
    monkeypatch.setattr("tempfile.tempdir", tempfile.tempdir)  # the application changes it for its process


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PahaError, match=f"cannot serve at 127.0.0.1:{port}: .*give another --port"):
            server.serve(ServeSettings(tmp_path / "data", port=port, devices=("cpu",)))


def test_a_folder_that_is_served_already(tmp_path):
    file = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    settings = ServeSettings(tmp_path, devices=("cpu",))
    server._lock(file, settings)
    with pytest.raises(PahaError, match="is served already; end that server or give another --folder"):
        server.serve(settings)
    os.close(file)


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PahaError, match=r"cannot write .*file.*give another --folder"):
        server.serve(ServeSettings(tmp_path / "file" / "data", devices=("cpu",)))


def test_a_full_disk(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(PahaError, match="has less than 200 MB free"):
        server.serve(ServeSettings(tmp_path, devices=("cpu",)))


def test_a_certificate_without_its_key(tmp_path):
    pytest.importorskip("c2pa")
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / "certificate.pem").write_text("")
    with pytest.raises(PahaError, match="needs both"):
        server.serve(ServeSettings(tmp_path / "data", devices=("cpu",), sign=tmp_path / "me"))
