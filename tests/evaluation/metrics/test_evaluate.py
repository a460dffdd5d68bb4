"""`paha evaluate` as a whole."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import json
import os
import re
import shutil
import tracemalloc
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from toy_videos import make_dataset, make_method

from paha.errors import PahaError
from paha.evaluation.metrics.clips import find_clips
from paha.evaluation.metrics.cost import record_cost
from paha.evaluation.metrics.evaluate import FLOOR, SWAPPED, EvaluatedRow, evaluate_videos, measure_set, score_real
from paha.evaluation.metrics.extractor_error import extractor_error
from paha.evaluation.metrics.instruments import Instruments, load_instruments
from paha.evaluation.metrics.measure import measure
from paha.evaluation.metrics.measured import Measured, MeasurementCache, load_measured, save_measured
from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder
from paha.evaluation.tables.evaluation_page import worst_clips
from paha.evaluation.tables.evaluation_report import left_out, write_report
from paha.media.video_io import read_video
from paha.runtime.statistics import Interval
from paha.types import Keypoints


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("real") / "data", clips=4)


@pytest.fixture(scope="module")
def instruments():
    torch.manual_seed(0)
    return Instruments(
        None,
        "exact",
        "",
        PoseAutoencoder().eval(),
        absent={"i3d": "no weights of I3D", "syncnet": "no weights of SyncNet"},
        replicates=8,
    )


@pytest.fixture(scope="module")
def evaluation(real, instruments, tmp_path_factory):
    """The dataset against itself."""
    out = tmp_path_factory.mktemp("out")
    return evaluate_videos(real, real, out, instruments, name="itself", workers=2, say=lambda _: None), out


def test_a_set_against_itself_has_no_distance(evaluation):
    row: Any = evaluation[0].rows[0]
    for key in ("fgd", "frd_face", "frd_hands", "frd_body", "frd_background"):
        assert row.values[key].mean == pytest.approx(0, abs=1e-6)
    assert row.values["lip_r"].mean == pytest.approx(1)
    assert row.values["psnr_face"].mean == 100
    assert row.values["ssim_body"].mean == pytest.approx(1, abs=1e-4)
    assert evaluation[0].paired == 4


def test_rows_and_what_each_corruption_moves(evaluation):
    rows = {row.name: row.values for row in evaluation[0].rows}
    assert list(rows) == ["itself", FLOOR, "shuffled frames", "frozen", "noise", SWAPPED]
    real = rows[FLOOR]
    assert rows["shuffled frames"]["fgd"].mean > 0
    assert rows["shuffled frames"]["lip_loudness_r"].mean < real["lip_loudness_r"].mean - 0.5
    assert rows["frozen"]["bas"].mean == 0
    assert rows["frozen"]["hand_motion"].mean == pytest.approx(0, abs=1e-6)
    assert rows["frozen"]["mouth_in_silence"].mean == 0
    assert rows["noise"]["frd_background"].mean > 10 * max(rows["itself"]["frd_background"].mean, 0.1)
    assert rows[SWAPPED]["lip_loudness_r"].mean < real["lip_loudness_r"].mean - 0.5
    assert rows[SWAPPED]["fgd"].mean == pytest.approx(0, abs=1e-6)


def test_what_is_absent_says_why(evaluation):
    row: Any = evaluation[0].rows[0]
    assert row.values["fvd"] == "no weights of I3D"
    assert row.values["sync_c"] == row.values["sync_d"] == "no weights of SyncNet"
    assert "cost.json" in row.values["tc"]


def test_the_report_is_whole(evaluation):
    made, out = evaluation
    files = {path.name for path in write_report(made, out)}
    assert files == {"report.html", "report.md", "results.json"}
    text = (out / "report.md").read_text()
    assert "FVD: absent, no weights of I3D" in text
    assert "N = 4: below 30" in text
    heading = next(line for line in text.splitlines() if line.startswith("| |"))
    assert heading.startswith("| | itself | real (floor) | shuffled frames |")
    assert re.search(r"^\| BAS ↑ \| [\d.]+ \[[\d., ]+\], N 4 \|", text, re.MULTILINE)
    assert "**" not in text.replace("**N = 4", "").replace("equal N.**", "")
    data = json.loads((out / "results.json").read_text())
    assert data["provenance"]["instruments"]["pose_autoencoder"]["num_frames"] == 34
    assert len(data["by_clip"]["itself"]["bas"]) == 4
    assert data["provenance"]["clips"] == {"real": 4, "generated": 4}


def test_the_page_needs_nothing_else_and_shows_the_worst_clips(evaluation):
    made, out = evaluation
    html = write_report(made, out)[0].read_text()
    assert not re.search(r"""(src|href)="(?!data:)""", html)
    assert 1 <= html.count("data:video/mp4;base64,") <= 3
    assert html.count("<svg") > 10
    assert "instruments.pose.extractor" in html
    shown = worst_clips(made)
    assert len({clip.name for clip in shown}) == len(shown)
    assert all(clip.video[4:8] == b"ftyp" for clip in shown)


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_opens_in_a_browser_and_its_videos_play(evaluation, width):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if find_spec("playwright") is None or chromium is None:
        pytest.skip("no browser: needs the playwright package and an installed chromium")
    from playwright.sync_api import sync_playwright

    made, out = evaluation
    path = write_report(made, out)[0]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, asked, said = browser.new_page(viewport={"width": width, "height": 800}), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto(path.as_uri())
        page.evaluate(
            "Promise.all([...document.querySelectorAll('video')].map(v => {v.muted = true; return v.play()}))"
        )
        page.wait_for_function(
            "[...document.querySelectorAll('video')].every(v => v.currentTime > 0.2)", timeout=120_000
        )
        sizes = page.evaluate("[...document.querySelectorAll('video')].map(v => [v.videoWidth, v.videoHeight])")
        sides = page.evaluate("[...document.querySelectorAll('.sides')].map(s => s.innerText.split(/\\s+/).join(' '))")
        spare = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        cut = page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide, svg') && "
            "(e.getBoundingClientRect().right > innerWidth || e.scrollWidth > e.clientWidth + 1 && e.clientWidth))"
            ".map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 40))"
        )
        reasons = page.evaluate(
            "[...document.querySelectorAll('td[colspan] span')].map(e => e.getBoundingClientRect().right)"
        )
        browser.close()
    assert cut == []
    assert reasons
    assert max(reasons) <= width  # why a metric is absent is read without scrolling its table
    assert sizes == [[512, 256]] * len(worst_clips(made))
    assert sides == ["real generated"] * len(sizes)
    assert spare <= 0  # tables scroll by themselves, the page does not
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    assert said == []


def test_metrics_that_leave_out_the_same_clips_share_a_line(evaluation):
    unseen, short = {"a": "no arm was seen", "b": "no arm was seen"}, {"a": "too short"}
    row = EvaluatedRow("made", {}, 3, {"bas": unseen, "jerk": dict(unseen), "accent_z": short})
    assert left_out(replace(evaluation[0], rows=[row])) == [
        "made, BAS, jerk: 2 of 3 clips (a, b): no arm was seen",
        "made, strokes on accents: 1 of 3 clips (a): too short",
    ]


def test_an_expression_that_was_not_measured_on_a_copy_is_no_missing_face(real, tmp_path):
    seen = Instruments(None, "exact", "", None, expression=True, replicates=5)
    kept, _ = measure_set(find_clips(real)[:2], seen, tmp_path, say=lambda _: None)
    _, rows = score_real(kept, seen)
    values = {row.name: row.values["e_fid"] for row in rows}
    assert values["noise"] == "not measured on a corrupted copy"


def measured_at(path: Path) -> Measured:
    """What was kept there."""
    found = load_measured(path)
    assert found is not None
    return found


def test_an_interrupted_run_goes_on(real, instruments, tmp_path):
    clips = find_clips(real)[:2]
    measure_set(clips, instruments, tmp_path, say=lambda _: None)
    path = tmp_path / "clip0.safetensors"
    before = os.stat(path).st_mtime_ns
    (tmp_path / "clip1.safetensors").write_bytes(b"half")
    measure_set(clips, instruments, tmp_path, say=lambda _: None)
    assert os.stat(path).st_mtime_ns == before
    assert load_measured(tmp_path / "clip1.safetensors").clip_id == "clip1"


def test_the_next_evaluation_of_the_same_real_clips_finds_them_measured(real, instruments, tmp_path):
    cache = MeasurementCache(tmp_path / "cache")
    quiet: dict[str, Any] = {"ceilings": False, "cache": cache, "say": lambda _: None}
    evaluate_videos(real, real, tmp_path / "first", instruments, **quiet)
    kept = sorted(cache.folder.iterdir())
    assert len(kept) == len(find_clips(real))  # of real clips only
    for path in kept:
        with safe_open(path, "numpy") as file:
            key = file.metadata()["key"]
        save_measured(path, replace(measured_at(path), flicker=99.0), key=key)
    renamed = Path(shutil.copytree(real, tmp_path / "renamed"))  # a clip is known by what it holds, not by its name
    records = [json.loads(line) for line in (real / "manifest.jsonl").read_text().splitlines()]
    lines = [json.dumps(record | {"clip_id": f"other-{record['clip_id']}"}) for record in records]
    (renamed / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    found = evaluate_videos(renamed, real, tmp_path / "second", instruments, unpaired=True, **quiet)
    again = measured_at(tmp_path / "second/measured/real/other-clip0.safetensors")
    assert (again.flicker, again.clip_id) == (99, "other-clip0")
    assert found.rows[1].by_clip["flicker"]["other-clip0"] == 99
    other = replace(instruments, every=5)  # what other instruments say is another thing
    evaluate_videos(real, real, tmp_path / "third", other, **quiet)
    assert measured_at(tmp_path / "third/measured/real/clip0.safetensors").flicker < 99


def test_a_cache_forgets_what_nobody_asks_for_and_may_be_of_no_use(real, instruments, tmp_path):
    cache, clip = MeasurementCache(tmp_path / "cache"), find_clips(real)[0]
    made = measure(clip, instruments)
    cache.keep("asked", made)
    cache.keep("not asked", made)
    for path in cache.folder.iterdir():
        os.utime(path, (0, 0))
    assert cache.find("asked", clip_id="a") is not None
    cache.tidy()
    assert cache.find("not asked", clip_id="a") is None
    assert cache.find("asked", clip_id="a") is not None
    (path,) = cache.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    assert cache.find("asked", clip_id="a") is None  # damaged
    nowhere = MeasurementCache(tmp_path / "cache" / path.name)  # a file is in the way
    nowhere.keep("asked", made)
    nowhere.tidy()
    assert nowhere.find("asked", clip_id="a") is None


def test_errors_are_those_of_the_frames_themselves(instruments, tmp_path):
    truth, clip = find_clips(make_dataset(tmp_path / "data", clips=2))
    kept, _ = measure_set([truth], instruments, tmp_path / "real", say=lambda _: None)
    true = measured_at(kept.path(truth))
    made = measure(clip, instruments, pair=(truth, true))
    a, b = read_video(truth.video)[:: instruments.every], read_video(clip.video)[:: instruments.every]
    count = min(len(a), len(b))
    square = np.square(a[:count].astype(float) - b[:count]).mean()
    assert made.errors["frame"][0] == pytest.approx(10 * np.log10(255**2 / square), abs=1e-3)
    still = np.abs(np.diff(read_video(clip.video).astype(float), axis=0)).mean()
    assert made.flicker == pytest.approx(still, rel=1e-6)


def test_other_instruments_measure_again(real, instruments, tmp_path):
    clips = find_clips(real)[:1]
    measure_set(clips, instruments, tmp_path, say=lambda _: None)
    first = load_measured(tmp_path / "clip0.safetensors")
    measure_set(clips, replace(instruments, every=5), tmp_path, say=lambda _: None)
    again = load_measured(tmp_path / "clip0.safetensors")
    assert len(again.colours) == 2 * len(first.colours)


def test_a_bad_video_is_left_out_and_named(real, instruments, tmp_path):
    broken = tmp_path / "fake"
    make_method(broken, clips=2)
    (broken / "clip2.mp4").write_bytes(b"nothing")
    said = []
    made, failed = measure_set(find_clips(broken)[2:], instruments, tmp_path / "m", say=said.append)
    assert list(failed) == ["clip2"]
    assert made.clips == []
    assert "clip2" in said[0]


def test_a_pair_whose_real_clip_is_bad_counts_for_what_needs_no_pair(real, instruments, tmp_path):
    data = tmp_path / "real"
    shutil.copytree(real, data)
    (data / find_clips(data)[1].video.relative_to(data)).write_bytes(b"nothing")
    made: Any = evaluate_videos(data, real, tmp_path / "out", instruments, ceilings=False, say=lambda _: None)
    assert list(made.failed["real"]) == ["clip1"]
    assert made.rows[0].clips == 4
    assert made.rows[0].values["psnr_frame"].num == 3
    assert made.paired == 3


def test_a_folder_that_cannot_be_read_is_one_line(real, instruments, tmp_path):
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake/clip0.mp4").write_bytes(b"nothing")
    with pytest.raises(PahaError, match=r"no video of .*fake can be read"):
        evaluate_videos(real, tmp_path / "fake", tmp_path / "out", instruments, say=lambda _: None)


def test_time_cost_stands_in_the_row(real, instruments, tmp_path):
    data = make_dataset(tmp_path / "data", clips=2)
    record_cost(data, "clip0", seconds=3, video_seconds=4)
    made: Any = evaluate_videos(real, data, tmp_path / "out", instruments, ceilings=False, say=lambda _: None)
    assert made.rows[0].values["tc"].mean == 3
    assert len(made.rows) == 2


def test_metrics_that_need_a_truth_are_absent_without_one(real, instruments, tmp_path):
    data = make_dataset(tmp_path / "data", clips=2)
    (tmp_path / "pairs.csv").write_text("real,fake\n")
    made: Any = evaluate_videos(
        real, data, tmp_path / "out", instruments, pairs=tmp_path / "pairs.csv", ceilings=False, say=lambda _: None
    )
    assert made.paired == 0
    assert "psnr_face" not in made.rows[0].values
    assert isinstance(made.rows[0].values["fgd"], Interval)


def test_memory_does_not_grow_with_the_number_of_clips(instruments, tmp_path):
    """Peak memory of scoring 6 and 12 clips: the difference is a few numbers a clip."""
    data = make_dataset(tmp_path / "data", clips=12)
    measured, _ = measure_set(find_clips(data), instruments, tmp_path / "m", say=lambda _: None)
    peaks = []
    for count in (6, 6, 12):  # the first one fills caches
        part = type(measured)(measured.folder, measured.clips[:count])
        tracemalloc.start()
        score_real(part, instruments, ceilings=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 0.03 * peaks[1]


def test_the_presenter_reader_is_chosen_for_presenters(real, tmp_path, monkeypatch):
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chosen = load_instruments(real=real)
    assert chosen.pose_name == "presenter"
    assert len(chosen.pose_hash) == 64
    assert "syncnet_v2.model" in chosen.absent["syncnet"]
    assert "i3d" in chosen.absent["i3d"]
    with pytest.raises(PahaError, match="there is no such file"):
        load_instruments(real=real, i3d=tmp_path / "none.pt")


def test_weights_in_the_folder_are_used(real, tmp_path, monkeypatch):
    from paha.evaluation.metrics.syncnet import SyncNet

    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    torch.manual_seed(0)
    torch.save(SyncNet().state_dict(), tmp_path / "syncnet_v2.model")
    chosen = load_instruments(pose="exact", real=real)
    assert chosen.syncnet is not None
    assert len(chosen.hashes["syncnet"]) == 64
    assert chosen.key() != load_instruments(pose="presenter", real=real).key()


def test_numbers_are_finite_or_absent(evaluation):
    for row in evaluation[0].rows:
        for value in row.values.values():
            assert isinstance(value, str) or np.isfinite([value.mean, value.low, value.high]).all()


def test_the_extractor_s_own_error_is_told(real, instruments, tmp_path):
    clips = find_clips(real)
    made, _ = measure_set(clips, instruments, tmp_path, say=lambda _: None)
    pairs: list[Any] = [(clip, load_measured(made.path(clip))) for clip in clips]
    assert extractor_error(pairs, instruments) is None  # exact points are no extractor's
    reading = replace(instruments, pose=object())
    exact = extractor_error(pairs, reading)
    assert exact["points_px"] == 0
    assert exact["lip_r"] == pytest.approx(1)
    assert exact["fgd"] == pytest.approx(0, abs=1e-6)
    moved = [
        (clip, replace(m, keypoints=Keypoints(m.keypoints.points + np.array([3, 4], np.float32), m.keypoints.scores)))
        for clip, m in pairs
    ]
    assert extractor_error(moved, reading)["points_px"] == pytest.approx(5, abs=1e-3)
    assert extractor_error([(replace(clips[0], annotations=None), pairs[0][1])], reading) is None
