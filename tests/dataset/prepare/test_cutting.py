"""Stretches that are kept are cut into clips within the lengths that were asked for."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_scan import toy_scan

from paha.dataset.prepare.config import layout_config
from paha.dataset.prepare.crop import find_crop
from paha.dataset.prepare.cutting import Listed, divide, plan_cuts
from paha.dataset.prepare.pats import clock_s, interval_finder, split_by_clip, video_stem
from paha.errors import PahaError
from paha.types import FPS

CONFIG = layout_config("any", width=128, height=128)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 290), st.integers(1, 80)), max_size=6),
    st.sampled_from(["any", "pats", "cnas"]),
    st.lists(st.integers(1, 299), max_size=4),
)
def test_clips_and_what_is_left_out_cover_every_frame_exactly_once(dark, layout, cuts):
    luma, is_cut = np.full(300, 120, np.float32), np.zeros(300, bool)
    for start, length in dark:
        luma[start : start + length] = 2
    is_cut[cuts] = True
    config = layout_config(layout, width=64, height=64)
    planned, rejected = plan_cuts(toy_scan(luma=luma, is_cut=is_cut), config)
    seen = np.zeros(300, int)
    for cut in planned:
        seen[cut.start : cut.stop] += 1
    for item in rejected:
        seen[round(item.start_s * FPS) : round(item.end_s * FPS)] += 1
    assert (seen == 1).all()
    for cut in planned:
        assert config.min_s * FPS <= cut.stop - cut.start <= config.max_s * FPS
        assert (luma[cut.start : cut.stop] > 16).all()
        assert not is_cut[cut.start + 1 : cut.stop].any()


def test_layouts_have_the_lengths_of_the_paper():
    assert [b - a for a, b in divide(0, 300, layout_config("cnas"))] == [125, 125, 50]
    assert [b - a for a, b in divide(0, 800, layout_config("pats"))] == [267, 266, 267]
    cnas = layout_config("cnas")
    assert (cnas.width, cnas.height, cnas.exact_frames, cnas.sound_rate_hz) == (512, 896, 125, 22_050)
    assert layout_config("pats").min_s == 4
    with pytest.raises(PahaError, match="unknown layout 'x'; known: any, pats, cnas"):
        layout_config("x")
    with pytest.raises(PahaError, match="shortest is longer"):
        layout_config("any", min_s=9.0, max_s=3.0)


def test_the_crop_holds_the_person_and_stays_in_the_picture():
    scan = toy_scan()
    crop, upscale = find_crop(scan, 0, 300, CONFIG)
    assert crop.x <= 110
    assert crop.x + crop.width >= 210
    assert crop.y <= 60
    assert crop.y + crop.height >= 190
    assert crop.x >= 0
    assert crop.x + crop.width <= 320
    assert crop.y + crop.height <= 240
    assert crop.width == crop.height
    assert upscale == pytest.approx(128 / crop.height)
    tall, _ = find_crop(scan, 0, 300, layout_config("cnas"))
    assert tall.width / tall.height == pytest.approx(512 / 896, rel=0.02)


def test_black_bars_are_never_in_the_crop():
    bars = np.tile(np.array([0.2, 0.1, 0.2, 0.1], np.float32), (60, 1))
    crop, _ = find_crop(toy_scan(bars=bars), 0, 300, CONFIG)
    assert crop.x >= 64
    assert crop.x + crop.width <= 256
    assert crop.y >= 24
    assert crop.y + crop.height <= 216


def test_too_small_a_picture_is_left_out_with_the_enlargement_it_would_take():
    config = CONFIG.model_copy(update={"width": 1024, "height": 1024})
    cuts, rejected = plan_cuts(toy_scan(), config)
    assert not cuts
    assert rejected[0].reason == "low_resolution"
    assert rejected[0].value > 4


def write_pats(folder, rows):
    path = folder / "intervals.csv"
    header = "dataset,delta_time,end_time,interval_id,speaker,start_time,video_fn,video_link"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_intervals_of_pats_become_clips_of_their_names(tmp_path):
    rows = [
        "train,4.4,0 days 00:00:05.400,100905,oliver,0 days 00:00:01.000,x,https://www.youtube.com/watch?v=abcdefghijk",
        "train,4.4,0:00:11.000000,100906,oliver,0:00:06.000000,x,https://www.youtube.com/watch?v=abcdefghijk",
        "train,4.4,0:00:11.000000,7,rock,0:00:06.000000,x,https://www.youtube.com/watch?v=abcdefghijk",
    ]
    csv = write_pats(tmp_path, rows)
    splits = tmp_path / "splits.json"
    splits.write_text('{"train": [100905], "test": [100906]}')
    config = layout_config("pats", width=128, height=128)
    listed = interval_finder(csv, splits=splits, speakers=config.speakers)(tmp_path / "abcdefghijk.mp4")
    assert listed == [Listed("oliver-100905", "oliver", 1.0, 5.4), Listed("oliver-100906", "oliver", 6.0, 11.0)]
    assert split_by_clip(csv, splits) == {"oliver-100905": "train", "oliver-100906": "test"}
    cuts, rejected = plan_cuts(toy_scan(), config, listed)
    assert [(cut.start, cut.stop, cut.listed.clip_id) for cut in cuts] == [
        (25, 135, "oliver-100905"),
        (150, 275, "oliver-100906"),
    ]
    assert {item.reason for item in rejected} == {"not_listed"}
    # S2G's own crop of Oliver: square, from 38 % of the width.
    assert cuts[0].crop == (80, 0, 240, 240)


def test_pats_files_of_another_form_are_refused(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    with pytest.raises(PahaError, match="no column 'interval_id'"):
        interval_finder(bad)
    with pytest.raises(PahaError, match="no lists `train` and `test`"):
        interval_finder(write_pats(tmp_path, []), splits=bad)
    with pytest.raises(PahaError, match="'soon' is no time"):
        clock_s("soon", "x.csv")
    assert clock_s("01:02:03.5", "x") == 3723.5
    assert video_stem("https://jons.show/1234") == "1234"
