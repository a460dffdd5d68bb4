"""The registry of downloads: where a file is looked for, fetched and checked."""

import hashlib
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from paha.errors import PahaError
from paha.extractors import weights
from paha.extractors.choose import choose_pose, pose_extractor
from paha.extractors.weights import WEIGHTS, cache_folder, find_weight, weight


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """No weights anywhere."""
    monkeypatch.delenv("PAHA_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def served(empty, monkeypatch):
    """A registry with one small file, served by HTTP on this machine."""
    source = empty / "served" / "small.bin"
    source.parent.mkdir()
    source.write_bytes(b"weights" * 1000)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=source.parent)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        entry = _entry_of(source, f"http://127.0.0.1:{server.server_port}/small.bin")
        monkeypatch.setitem(WEIGHTS, "small", entry)
        yield entry
        server.shutdown()


def _entry_of(source, url):
    return weights.Weight(
        file="small.bin",
        url=url,
        size=7000,
        sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        licence="CC0-1.0",
        what="nothing",
        also=("other-name.bin",),
    )


def test_every_entry_is_whole():
    for name, entry in WEIGHTS.items():
        assert entry.url.startswith("https://"), name
        assert entry.url.endswith(entry.file)
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.size > 10_000
        assert entry.licence
    assert len({entry.sha256 for entry in WEIGHTS.values()}) == len(WEIGHTS)


def test_own_folder_before_cache_before_the_network(served, empty, monkeypatch):
    assert find_weight("small") is None
    fetched = weight("small")
    assert fetched == cache_folder() / "small.bin"
    assert fetched.read_bytes() == b"weights" * 1000
    own = empty / "own"
    own.mkdir()
    monkeypatch.setenv("PAHA_WEIGHTS", str(own))
    assert weight("small") == fetched
    (own / "other-name.bin").write_bytes(b"mine")
    assert weight("small") == own / "other-name.bin"


def test_what_comes_damaged_is_not_kept(served, monkeypatch):
    monkeypatch.setitem(WEIGHTS, "small", replace(served, sha256="0" * 64))
    with pytest.raises(PahaError, match="has the sha256"):
        weight("small")
    assert list(cache_folder().iterdir()) == []


def test_without_network_the_error_tells_file_place_and_command(served, empty, monkeypatch):
    monkeypatch.setitem(WEIGHTS, "small", replace(served, url=f"{served.url}.gone"))
    with pytest.raises(PahaError) as caught:
        weight("small")
    message = str(caught.value)
    place = cache_folder() / "small.bin"
    for part in ("small.bin", f"curl -L --create-dirs -o {place} {served.url}.gone", "404", "$PAHA_WEIGHTS", "CC0-1.0"):
        assert part in message
    assert "\n" not in message
    with pytest.raises(PahaError, match="nowhere on this machine"):
        weight("small", download=False)


def test_unknown_names_and_folders_are_named(empty, monkeypatch):
    with pytest.raises(PahaError, match="unknown weight 'x'; known: mediapipe-face-detector"):
        weight("x")
    monkeypatch.setenv("PAHA_WEIGHTS", str(empty / "missing"))
    with pytest.raises(PahaError, match="which is no folder"):
        find_weight("dwpose-pose")


def test_auto_takes_what_is_there(empty, monkeypatch):
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    assert choose_pose() == "presenter"
    monkeypatch.setenv("PAHA_WEIGHTS", str(empty))
    for name, entry in WEIGHTS.items():
        if name.startswith("mediapipe"):
            (empty / (entry.also or (entry.file,))[0]).touch()
    assert choose_pose() == "mediapipe"
    for name in ("dwpose-detector", "dwpose-pose"):
        (empty / WEIGHTS[name].file).touch()
    assert choose_pose() == "dwpose"
    assert choose_pose("presenter") == "presenter"
    with pytest.raises(PahaError, match="unknown pose extractor 'openpose'"):
        pose_extractor("openpose")
