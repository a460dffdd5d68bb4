"""`paha features` in parts: the same features, whoever computes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy import toy_audio
from toy_corpus import make_toy_corpus

from paha.cli.features import features_by_workers
from paha.errors import PahaError
from paha.extractors.pixel_codec import PixelCodec
from paha.media.audio_io import write_wav
from paha.presets import preset

CONFIG = preset("debug")
CLIPS = 3


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = make_toy_corpus(tmp_path / "corpus", clips=CLIPS)
    for clip in range(CLIPS):
        write_wav(folder / "clips" / f"clip{clip}.wav", *toy_audio(8 / 25, seed=clip))
    return folder


@pytest.fixture
def codec(tmp_path) -> Path:
    torch.manual_seed(0)
    PixelCodec.from_codec_config(CONFIG.codec).save_pretrained(tmp_path / "codec")
    return tmp_path / "codec"


def make(
    corpus: Path, codec: Path, *, workers: int, engine: str, shard: tuple[int, int] = (0, 1), out: Path | None = None
) -> Path:
    options = {"device": "cpu", "shard": shard, "workers": workers, "engine": engine, "out": out}
    return features_by_workers(corpus, CONFIG, codec=codec, **options)


def same_as_by_one(corpus: Path, codec: Path, *, engine: str) -> None:
    """Two parts that share the clips, the last clip broken, then whole."""
    whole = make(corpus, codec, workers=1, engine="local")
    names = sorted(path.name for path in whole.glob("*.safetensors"))
    wanted = {name: load_file(whole / name) for name in names}
    shutil.rmtree(whole)
    video = corpus / "clips" / f"clip{CLIPS - 1}.mp4"
    good = video.read_bytes()
    video.write_bytes(b"no video")
    with pytest.raises(PahaError, match=rf"1 of 2 parts failed: part 0/2: 1 of {CLIPS} clips failed.*clip{CLIPS - 1}"):
        make(corpus, codec, workers=2, engine=engine)
    assert listed(whole) == [f"clip{clip}" for clip in range(CLIPS - 1)]
    video.write_bytes(good)
    assert make(corpus, codec, workers=2, engine=engine) == whole
    assert listed(whole) == [f"clip{clip}" for clip in range(CLIPS)]
    for name, tensors in wanted.items():
        found = load_file(whole / name)
        assert found.keys() == tensors.keys()
        for key, value in tensors.items():
            torch.testing.assert_close(found[key], value, rtol=2e-3, atol=2e-3)


def listed(folder: Path) -> list[str]:
    return [clip["clip_id"] for clip in json.loads((folder / "features.json").read_text())["clips"]]


@pytest.mark.slow
def test_processes_make_the_features_of_one(corpus, codec):
    same_as_by_one(corpus, codec, engine="local")


@pytest.mark.slow
def test_ray_makes_the_features_of_one(corpus, codec):
    pytest.importorskip("ray", reason="ray is not installed: pip install 'paha[scale]'")
    same_as_by_one(corpus, codec, engine="ray")


def test_complete_features_are_read_and_not_written(corpus, codec, tmp_path):
    folder = make(corpus, codec, workers=1, engine="local", out=tmp_path / "elsewhere")
    assert folder.parent == tmp_path / "elsewhere"
    before = {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]}
    assert make(corpus, codec, workers=1, engine="local", out=tmp_path / "elsewhere") == folder
    assert {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]} == before


def test_parts_of_a_shard_are_its_clips(corpus, codec, monkeypatch):
    taken = []

    def run_here(function, tasks, **options):
        taken.extend(task[4] for task in tasks)
        return ((index, function(*task), "") for index, task in enumerate(tasks))

    monkeypatch.setattr("paha.runtime.engine.run_tasks", run_here)
    folder = make(corpus, codec, workers=2, engine="local", shard=(1, 2))
    assert taken == [(1 + 2 * part, 16) for part in range(8)]
    assert listed(folder) == ["clip1"]


def test_an_unknown_engine_is_named(corpus, codec):
    with pytest.raises(PahaError, match="unknown engine 'spark'"):
        make(corpus, codec, workers=1, engine="spark")
