"""paha doctor: every weight, and a failure only where no video can be made."""

from __future__ import annotations

import pytest

from paha.cli.checks import EXTRAS, HUB, examine, format_finding
from paha.cli.doctor import doctor
from paha.errors import PahaError
from paha.extractors.weights import WEIGHTS


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PAHA_WEIGHTS", raising=False)
    return tmp_path


def test_everything_is_told_and_the_main_job_is_done(model, cache, capsys):
    doctor(model)
    text = capsys.readouterr().out
    for name in (*WEIGHTS, *HUB, *EXTRAS, "torch", "libx264", "presenter/univdm"):
        assert name in text
    for entry in WEIGHTS.values():
        line = next(line for line in text.splitlines() if entry.what in line)
        assert entry.licence in line
        assert "Without it works: " in line
        assert line.split()[1] == "none"
    assert "a short video in" in text
    assert text.strip().endswith("videos can be made here")


def test_a_weight_that_is_there_is_shown_with_its_place_and_size(model, cache, monkeypatch):
    entry = WEIGHTS["mediapipe-hand-landmarker"]
    (cache / entry.file).write_bytes(bytes(2_000_000))
    monkeypatch.setenv("PAHA_WEIGHTS", str(cache))
    line = next(format_finding(f) for f in examine(model) if f.name == "mediapipe-hand-landmarker")
    assert line.split()[1] == "ok"
    assert f"{cache / entry.file} (2.0 MB)" in line


def test_a_broken_model_is_the_only_reason_to_fail(cache, capsys):
    with pytest.raises(PahaError, match=r"videos cannot be made here: paha animate .*nowhere"):
        doctor(cache / "nowhere")
    missing = [line for line in capsys.readouterr().out.splitlines() if line.split()[-1:] and " MISSING " in line]
    assert len(missing) == 1
