"""Broken, odd and hostile footage: each file is named in one line and stops no other."""

import json

from broken_inputs import write_broken_inputs

from paha.dataset.prepare.config import layout_config
from paha.dataset.prepare.run import prepare_dataset

CONFIG = layout_config("any", pose="presenter", hands=False, width=64, height=64, min_s=0.5)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_forty_broken_files_stop_nothing_and_are_listed_each(tmp_path):
    names = write_broken_inputs(tmp_path / "raw")
    assert len(names) >= 40
    out = tmp_path / "out"
    done = prepare_dataset([tmp_path / "raw"], out, config=CONFIG, workers=1, progress=False)
    failed, rejected = lines(out / "failed.jsonl"), lines(out / "rejected.jsonl")
    assert not done.records
    assert {item["source"] for item in failed} | {item["source"] for item in rejected} == set(names)
    assert len(failed) == len({item["source"] for item in failed})
    reasons = {item["source"]: item["error"] for item in failed}
    assert all(error and "\n" not in error and str(tmp_path) not in error for error in reasons.values())
    for name, words in {
        "cut.mp4": "no audio or video",
        "cut.mkv": "without a single sample",
        "cut.avi": "truncated",
        "empty.mp4": "is empty",
        "letter.mp4": "no audio or video",
        "silent_film.mp4": "no sound",
        "voice_memo.mp4": "no picture",
        "hurt.mkv": "",
        "link.mkv": "given twice",
        "copy of good.mkv": "",
        "nowhere.mkv": "No such file",
        "circle_a.mkv": "symbolic links",
        "pipe.mkv": "no file",
        "caf\ufffd.mkv": None,
    }.items():
        if words is None:
            assert name not in reasons
        else:
            assert words in reasons.get(name, ""), (name, reasons.get(name))
    first = {item["source"]: item["reason"] for item in reversed(rejected)}
    assert first["slideshow.mkv"] == first["five_fps.mkv"] == "low_fps"
    assert {"fast120.mkv", "ten_bit.mkv", "hdr.mkv", "odd.mkv", "phone_call.mkv"} <= set(first)


def test_a_second_look_at_them_takes_no_work(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "letter.mp4").write_text("Dear sir,\n" * 400)
    assert prepare_dataset([raw], tmp_path / "out", config=CONFIG, workers=1, progress=False).new == 1
    again = prepare_dataset([raw], tmp_path / "out", config=CONFIG, workers=1, progress=False)
    assert (again.new, len(again.failed)) == (0, 1)
