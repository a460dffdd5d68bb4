"""`paha prepare` as a whole: what it writes, that runs resume to the same bytes, its card and its report."""

import errno
import json
import os
import random
import re
import shutil
import signal
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from huggingface_hub import DatasetCard
from reel import Reel, loop, speaker, speech
from transformers import Dinov2Config, Dinov2Model

from paha.dataset.manifest import load_annotations, read_manifest
from paha.dataset.prepare import source
from paha.dataset.prepare.config import layout_config
from paha.dataset.prepare.run import prepare_dataset, raw_files, split_clips, split_of
from paha.errors import PahaError
from paha.media.audio_io import read_audio
from paha.media.video_io import read_video
from paha.runtime.atomic import atomic_path
from paha.types import FACE

CONFIG = layout_config(
    "any", pose="presenter", hands=False, width=64, height=64, min_s=1.0, licence="CC0-1.0", sound_rate_hz=22_050
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """Two files: 3 s with a cut to black after 2 s, and 2 s."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("raw")
    frames, samples = speaker(11)
    first, second = Reel(), Reel()
    first.add(frames[:50], samples[: 50 * 640])
    first.add(np.zeros_like(frames[:25]), speech(samples, 25), "black")
    first.write(folder / "first.mkv")
    second.add(loop(frames[60:], 50), samples[60 * 640 : 110 * 640])
    (folder / "more").mkdir()
    second.write(folder / "more" / "second.mkv")
    return folder


@pytest.fixture(scope="module")
def dataset(raw, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "out"
    prepare_dataset([raw], out, config=CONFIG, workers=1, identity="folder", progress=False)
    return out


def contents(out: Path) -> dict[str, bytes]:
    files = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    assert not [name for name in files if name.endswith(".partial")]
    return files


def same(out: Path, dataset: Path) -> None:
    made, wanted = contents(out), contents(dataset)
    assert made.keys() == wanted.keys()
    assert [name for name in made if made[name] != wanted[name]] == []


def test_the_dataset_is_what_training_reads(dataset):
    records = read_manifest(dataset)
    assert [record.num_frames for record in records] == [41, 50]
    assert [record.identity for record in records] == [records[0].identity, "more"]
    for record in records:
        frames = read_video(dataset / record.video)
        annotations = load_annotations(dataset / record.annotations)
        assert frames.shape == (record.num_frames, 64, 64, 3)
        assert annotations.keypoints.scores[:, FACE].mean() > 0.8
        assert (annotations.face_box[:, 2:] > annotations.face_box[:, :2]).all()
        mono, rate = read_audio(dataset / record.audio)
        assert (rate, len(mono)) == (16_000, record.num_frames * 640)
        kept, own_rate = read_audio(dataset / record.video)
        assert own_rate == 22_050
        assert abs(len(kept) - record.num_frames * 882) <= 1
        assert np.abs(mono).max() > 0.05


def test_what_was_left_out_is_told_with_its_reason_and_measure(dataset):
    rejected = [json.loads(line) for line in (dataset / "rejected.jsonl").read_text().splitlines()]
    black = [item for item in rejected if item["reason"] == "black"]
    assert len(black) == 1
    assert (black[0]["source"], black[0]["start_s"], black[0]["end_s"]) == ("first.mkv", 2.0, 3.0)
    assert black[0]["value"] < black[0]["limit"]
    card = (dataset / "README.md").read_text()
    metadata = DatasetCard(card).data.to_dict()
    assert (metadata["license"], metadata["language"]) == ("CC0-1.0", ["und"])
    assert re.search(r"\| black \| 1 \| 1\.0 \|", card)
    splits = json.loads((dataset / "splits.json").read_text())
    assert sorted(splits["train"] + splits["test"]) == sorted(r.clip_id for r in read_manifest(dataset))


def test_the_report_needs_no_other_file(dataset):
    page = (dataset / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") >= 3
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "black" in page
    assert "<svg" in page
    assert "paha inspect --par" in page


def test_the_report_opens_in_a_browser_with_every_picture(dataset):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if find_spec("playwright") is None or chromium is None:
        pytest.skip("no browser: needs the playwright package and an installed chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, asked, said = browser.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto((dataset / "report.html").as_uri())
        widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
        text = page.inner_text("body")
        browser.close()
    assert len(widths) >= 3
    assert min(widths) > 100
    assert [url for url in asked if not url.startswith("data:")] == [(dataset / "report.html").as_uri()]
    assert said == []
    assert "2 clips, 3.6 s kept of 5.0 s in 2 files" in text
    assert "black: 0 (limit 16)" in text


def test_a_second_run_changes_nothing_and_looks_at_nothing(dataset, raw):
    before = contents(dataset)
    times = {name: (dataset / name).stat().st_mtime_ns for name in before if name != ".lock"}
    done = prepare_dataset([raw], dataset, config=CONFIG, workers=1, identity="folder", progress=False)
    assert done.new == 0
    assert contents(dataset) == before
    assert times == {name: (dataset / name).stat().st_mtime_ns for name in times}


def test_a_clip_that_is_gone_is_made_again_the_same(dataset, raw):
    before = contents(dataset)
    record = read_manifest(dataset)[0]
    (dataset / record.video).unlink()
    assert prepare_dataset([raw], dataset, config=CONFIG, workers=1, identity="folder", progress=False).new == 1
    assert contents(dataset) == before


@pytest.mark.parametrize("limit", [-1.0, 1.0])
def test_parts_that_are_not_present_count_as_not_found(raw, dataset, tmp_path, monkeypatch, limit):
    torch.manual_seed(0)
    tiny = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=56, patch_size=7)
    Dinov2Model(tiny).save_pretrained(tmp_path / "dinov2-small")
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    config = CONFIG.model_copy(update={"presence": "dinov2-small", "presence_limit": limit})
    out = tmp_path / "out"
    done = prepare_dataset([raw], out, config=config, workers=1, identity="folder", progress=False)
    source._part_features.cache_clear()
    if limit == -1.0:  # nothing is that unlike itself
        made, wanted = contents(out / "clips"), contents(dataset / "clips")
        assert made == wanted
        return
    assert done.records == []  # nothing is that like itself
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert sum(r["end_s"] - r["start_s"] for r in rejected if r["reason"] == "no_face") >= 3.9


def test_other_options_are_refused(dataset, raw):
    other = CONFIG.model_copy(update={"max_s": 3.0})
    with pytest.raises(PahaError, match="was begun with other options"):
        prepare_dataset([raw], dataset, config=other, workers=1, progress=False)
    with pytest.raises(PahaError, match="give raw footage"):
        prepare_dataset([], dataset, config=CONFIG)


def kill_at(raw: Path, out: Path, seconds: float) -> bool:
    """Run in a child that is killed after so many seconds; whether it was still running."""
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            prepare_dataset([raw], out, config=CONFIG, workers=1, identity="folder", progress=False)
        finally:
            os._exit(0)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            return False
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def survives_kills(raw: Path, out: Path, dataset: Path, count: int) -> None:
    rng = random.Random(count)
    began = time.monotonic()
    probe = out.with_name("probe")
    kill_at(raw, probe, 300.0)
    whole_s = time.monotonic() - began
    killed = 0
    while killed < count:
        # A fresh folder whenever a run came through, so that kills fall on every part of the work.
        if kill_at(raw, out, rng.uniform(0.02, 0.7) * whole_s):
            killed += 1
        else:
            same(out, dataset)
            out = out.with_name(f"{out.name}_")
    prepare_dataset([raw], out, config=CONFIG, workers=1, identity="folder", progress=False)
    same(out, dataset)


def test_killed_at_random_moments_it_comes_to_the_same_bytes(raw, dataset, tmp_path):
    survives_kills(raw, tmp_path / "out", dataset, 3)


@pytest.mark.slow
def test_killed_ten_times_it_comes_to_the_same_bytes(raw, dataset, tmp_path):
    survives_kills(raw, tmp_path / "out", dataset, 10)


@pytest.mark.slow
def test_two_workers_make_the_same_bytes(raw, dataset, tmp_path):
    out = tmp_path / "out"
    prepare_dataset([raw], out, config=CONFIG, workers=2, identity="folder", progress=False)
    same(out, dataset)


def kill_a_ray_worker(killed: list[int], done: threading.Event) -> None:
    """Wait until both workers of this process's Ray are at work, then kill one of them the hard way."""
    while not done.wait(0.05):
        below = psutil.Process().children(recursive=True)
        busy = [process for process in below if process.is_running() and "ray::attempt" in " ".join(cmdline(process))]
        if len(busy) == 2:
            busy[0].kill()
            killed.append(busy[0].pid)
            return


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended meanwhile
        return []


@pytest.mark.slow
def test_two_ray_workers_one_killed_make_the_same_bytes(raw, dataset, tmp_path):
    pytest.importorskip("ray", reason="ray is not installed: pip install 'paha[scale]'")
    out, killed, done = tmp_path / "out", [], threading.Event()
    killer = threading.Thread(target=kill_a_ray_worker, args=(killed, done))
    killer.start()
    try:
        prepare_dataset([raw], out, config=CONFIG, workers=2, engine="ray", identity="folder", progress=False)
    finally:
        done.set()
        killer.join()
    assert len(killed) == 1
    same(out, dataset)


def test_two_runs_in_one_folder_are_refused(raw, dataset):
    import fcntl

    with (dataset / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(PahaError, match="another `paha prepare` is at work"):
            prepare_dataset([raw], dataset, config=CONFIG, progress=False)


def test_folders_are_searched_for_videos_only(tmp_path):
    for name in ("b.mp4", "a.MKV", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [p.name for p in raw_files([tmp_path, tmp_path / "notes.txt"])] == ["a.MKV", "b.mp4", "notes.txt"]


def test_a_second_day_is_added_to_the_first(raw, dataset, tmp_path):
    """In whatever order and folders footage comes, the dataset is that of all of it."""
    out = tmp_path / "out"
    shutil.copytree(raw, out.parent / "raw")
    first, more = tmp_path / "raw" / "first.mkv", tmp_path / "raw" / "more"
    options: dict[str, Any] = {"config": CONFIG, "workers": 1, "progress": False}
    # The identity is part of a clip's record.
    prepare_dataset([first], out, **options, identity=read_manifest(dataset)[0].identity)
    assert len(read_manifest(out)) == 1
    prepare_dataset([more], out, **options, identity="folder")
    same(out, dataset)
    # The same footage under another name is no new footage, and what a call does not name stays.
    (renamed := more / "renamed.mkv").write_bytes((more / "second.mkv").read_bytes())
    (more / "second.mkv").unlink()
    assert prepare_dataset([renamed], out, **options, identity="folder").new == 0
    same(out, dataset)
    # Nor are the dataset's own clips footage where it lies among it.
    shutil.copytree(out, more / "out")
    assert prepare_dataset([more], more / "out", **options, identity="folder").new == 0
    same(more / "out", dataset)


def test_only_what_is_the_files_own_fault_is_remembered(raw, tmp_path, monkeypatch):
    shutil.copytree(raw, tmp_path / "raw")
    (tmp_path / "raw" / "letter.mp4").write_text("Dear sir,")
    out = tmp_path / "out"
    options: dict[str, Any] = {"config": CONFIG, "workers": 1, "progress": False}
    with monkeypatch.context() as patch:
        patch.setattr(source, "save_annotations", lambda path, _: write_full(path))
        done = prepare_dataset([tmp_path / "raw"], out, **options)
    assert (done.passing, len(done.failed), len(done.records)) == (2, 3, 0)
    assert "No space left" in dict(done.failed)["first.mkv"]
    again = prepare_dataset([tmp_path / "raw"], out, **options)
    assert (again.new, again.passing, len(again.failed), len(again.records)) == (2, 0, 1, 2)
    assert prepare_dataset([tmp_path / "raw"], out, **options).new == 0
    assert prepare_dataset([tmp_path / "raw"], out, **options, retry=True).new == 1


def write_full(path: Path) -> None:
    """What a full disk does."""
    with atomic_path(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_refused_call_leaves_nothing(raw, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PahaError, match="no videos in"):
        prepare_dataset([tmp_path / "empty"], tmp_path / "out", config=CONFIG, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.jsonl").touch()
    with pytest.raises(PahaError, match="did not make"):
        prepare_dataset([raw], tmp_path / "other", config=CONFIG, progress=False)


def test_the_split_is_a_tenth_and_depends_on_the_name_alone():
    names = [f"clip-{k}" for k in range(5000)]
    share = sum(split_of(name, 0.1) == "test" for name in names) / len(names)
    assert share == pytest.approx(0.1, abs=0.015)
    assert split_of("clip-7", 0.1) == split_of("clip-7", 0.1)


def test_of_a_few_clips_one_is_held_out():
    drawn_to_train = [name for k in range(50) if split_of(name := f"clip-{k}", 0.1) == "train"]
    *names, another = drawn_to_train[:6]
    split = split_clips(names, {}, 0.1)
    assert list(split.values()).count("test") == 1
    more = split_clips([*names, another], {}, 0.1)
    assert list(more.values()).count("test") == 1
    assert split_clips(names[:1], {}, 0.1) == {names[0]: "train"}
    assert split_clips(names, {names[3]: "test"}, 0.1)[names[3]] == "test"
    assert set(split_clips(names, {}, 0.0).values()) == {"train"}
