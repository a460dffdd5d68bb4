"""The presenter's report at toy size."""

import json
import math

import cv2
import numpy as np
import pytest

from experiments.presenter import (
    everybody,
    hands,
    items,
    lips,
    lips_tables,
    long_video,
    people,
    pictures,
    scores,
    tables,
)
from experiments.presenter import report as command
from experiments.presenter import sampling_sweep as sweep
from experiments.presenter.curves import curves_picture
from experiments.presenter.setup import Setup, Store, crashed
from paha.errors import PahaError
from paha.runtime.statistics import Interval

RNG = np.random.default_rng(0)


def opening(num_frames=100, phase=0.0):
    return 0.03 * (1 + np.sin(np.arange(num_frames) / 3 + phase))


def test_lips_are_followed_over_gaps_and_a_still_mouth_follows_nothing():
    truth = opening()
    read = 0.5 * truth + 0.01
    read[40:43] = np.nan
    assert scores.correlation(read, truth) > 0.98
    assert scores.correlation(-read, truth) < -0.98
    assert scores.correlation(np.full(100, np.nan), truth) == 0
    assert scores.correlation(truth[:60], truth) == pytest.approx(1)
    assert scores.amplitude(0.5 * truth, truth) == pytest.approx(0.5)
    assert math.isnan(scores.amplitude(truth, np.ones(100)))
    assert scores.share_found(read) == pytest.approx(0.97)


def test_pauses_lose_their_ends_but_for_the_sounds_own():
    paused = scores.pause_frames([(0.0, 0.4), (1.0, 1.6), (3.6, 4.0)], 100)
    assert paused[:7].all()
    assert not paused[7:28].any()
    assert paused[28:37].all()
    assert not paused[38:93].any()
    assert paused[93:].all()
    mouth = np.where(paused, 0.01, 0.04)
    assert scores.opening_in_pauses(mouth, paused) == pytest.approx(0.25)
    assert math.isnan(scores.opening_in_pauses(mouth, np.zeros(100, bool)))


def test_a_blurred_face_is_less_sharp_whatever_lies_about_it():
    frame = RNG.integers(0, 255, (80, 80, 3), dtype=np.uint8)
    outline = np.array([[20, 20], [60, 20], [60, 60], [20, 60]])
    sharp = scores.face_sharpness(frame, outline)
    blurred = frame.copy()
    blurred[10:70, 10:70] = cv2.GaussianBlur(frame, (0, 0), 1.5)[10:70, 10:70]
    assert scores.face_sharpness(blurred, outline) < 0.2 * sharp
    framed = frame.copy()
    framed[:15] = 0
    assert scores.face_sharpness(framed, outline) == sharp
    assert math.isnan(scores.face_sharpness(frame, outline - 200))


def test_a_jump_where_segments_meet_is_a_seam_and_elsewhere_none():
    levels = np.arange(12, dtype=np.uint8)
    levels[8:] += 4
    frames = np.repeat(levels, 48).reshape(12, 4, 4, 3)
    changes = scores.frame_changes(frames)
    assert scores.seam_ratio(changes, [8]) == pytest.approx(5)
    assert scores.seam_ratio(changes, [4]) < 1
    assert math.isnan(scores.seam_ratio(changes, []))


def test_pixels_outside_the_region_must_be_the_photographs():
    photo = RNG.integers(0, 200, (10, 12, 3), dtype=np.uint8)
    frames = np.repeat(photo[None], 3, 0)
    region = (slice(2, 8), slice(3, 9))
    frames[:, 2:8, 3:9] = 0
    assert scores.changed_outside(frames, photo, region) == 0
    frames[1, 0, 0] += 7
    assert scores.changed_outside(frames, photo, region) == 7
    assert scores.changed_outside(frames, photo, (slice(0, 10), slice(0, 12))) == 0


def test_hands_that_swing_half_as_far_have_half_the_spread_and_jerk():
    at = np.arange(50)[:, None, None] / 5
    swing = np.concatenate([np.sin(at), np.cos(at)], 2)
    assert scores.spread(0.5 * swing) == pytest.approx(0.5 * scores.spread(swing))
    assert scores.jerk(0.5 * swing) == pytest.approx(0.5 * scores.jerk(swing))
    assert scores.jerk(swing + 0.01 * RNG.normal(size=swing.shape)) > 2 * scores.jerk(swing)
    ratio = scores.ratio_of_means([1.0, 3.0, 2.0], [2.0, 6.0, 4.0])
    assert (ratio.mean, ratio.low, ratio.high, ratio.num) == (0.5, 0.5, 0.5, 3)
    rows = {"a": {"spread": 1.0, "spread true": 2.0, "jerk": 4.0, "jerk true": 2.0}, "b": {"refused": "no wrist"}}
    spread, jerk, _ = hands.hand_lines(rows)
    assert (spread.verdict, jerk.verdict) == ("yes", "no")


def test_a_face_that_moved_turned_and_grew_is_laid_onto_the_same_place():
    model = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.7]])
    turn = 1.7 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    points = (model * 100) @ turn.T + [5, 9]
    matrix = scores.similarity(points, model)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], model, atol=1e-9)
    mesh = RNG.normal(size=(478, 2))
    assert long_video.shape_difference(mesh, mesh) == 0
    height = np.linalg.norm(mesh[10] - mesh[152])
    assert long_video.shape_difference(mesh, mesh + np.array([height, 0])) == pytest.approx(1)


def case_row(read, truth, **more):
    video = {"opening": read.tolist(), "sharpness": 1.0, "seams": 1.0, "outside": 0}
    paused = np.zeros(len(truth), bool)
    paused[:10] = True
    row = {"truth": truth.tolist(), "paused": paused.tolist(), "loudness": truth.tolist(), "latents": read.tolist()}
    return row | {"generated": video, "ceiling": video | {"opening": truth.tolist()}} | more


def test_the_table_of_lips_counts_people_and_compares_with_ceiling_and_another_clip():
    truths = [opening(phase=p) for p in (0.0, np.pi / 2)]
    noisy = truths[1] + RNG.normal(0, 0.05, 100)
    rows = {"good": case_row(truths[0], truths[0]), "bad": case_row(noisy, truths[1]), "none": {"refused": "no | face"}}
    numbers = lips.all_numbers(rows)
    assert numbers["good"]["generated r"] == pytest.approx(1)
    assert abs(numbers["good"]["other clip r"]) < 0.2
    lines = {line.measured: line for line in lips_tables.lip_lines(rows)}
    assert lines["people with r of 0.8 and more, share"].value == 0.5
    assert lines["people with r of 0.8 and more, share"].verdict == "no"
    below = lines["lips r below the ceiling, paired"].value
    assert isinstance(below, Interval)
    assert below.mean == pytest.approx((1 - numbers["bad"]["generated r"]) / 2)
    assert lines["frames in which MediaPipe finds the face"].verdict == "yes"
    assert lines["videos"].value == "2 of 3"
    assert lines["none"].value == "no / face"
    rows["good"]["generated"] = rows["good"]["generated"] | {"outside": 3}
    sharp = {line.measured: line for line in lips_tables.sharpness_lines(rows)}
    assert sharp["largest change outside the person's reach, grey levels"].verdict == "no"
    assert sharp["change at segment borders over elsewhere"].verdict == "yes"
    assert lips_tables.lip_lines({"none": {"refused": "no face"}})[0].value == "none"
    assert curves_picture(rows).shape[0] == 2 * curves_picture({}).shape[0]


def test_a_line_says_whether_what_is_wanted_was_reached():
    interval = Interval(0.9, 0.8, 1.0, 5)
    assert tables.Line("r", interval, low=0.92).verdict == "no"
    assert tables.Line("r", interval, 0.8, 1.25).wanted == "0.8 to 1.25"
    assert tables.Line("r", float("nan"), low=0.5).verdict == ""
    assert tables.Line("r", interval).wanted == tables.Line("r", interval).verdict == ""
    text = tables.markdown([tables.Line("r", interval, high=1.0), tables.Line("x", 0.5), tables.Line("n", "3 of 4")])
    assert "| r | 0.900 [0.800, 1.000] (N=5) | at most 1 | yes |" in text
    assert "| x | 0.500 |  |  |\n| n | 3 of 4 |  |  |" in text


def test_every_photograph_is_counted_and_every_line_told():
    rows = {
        "a": {"ended": "video", "warnings": ["2 people | name one"]},
        "b": {"ended": "line", "line": "no face"},
        "c": {"ended": "crash", "line": "ValueError: x"},
    }
    lines = {line.measured: line for line in everybody.everybody_lines(rows)}
    assert [lines[name].value for name in ("photographs", "end in a video", "end in a clear line")] == ["3", "1", "1"]
    assert lines["crash"].verdict == "no"
    assert lines["a"].value == "video, with a warning: 2 people / name one"
    assert lines["b"].value == "line: no face"


def test_tiles_are_square_and_show_the_whole_frame():
    frame = np.zeros((40, 80, 3), np.uint8)
    tile = pictures.fit(frame, side=32)
    assert tile.shape == (32, 32, 3)
    assert (tile[:8] == 255).all()
    assert (tile[8:24] == 0).all()
    assert pictures.three_moments(np.array([0.0, 3.0, 1.0, 2.0, -1.0])) == [1, 2, 4]


def test_results_are_kept_until_settings_change(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    setup = Setup(tmp_path, tmp_path, tmp_path, model)
    calls = []

    def measure(_, item):
        calls.append(item)
        return {"doubled": 2 * item, "gap": float("nan")}

    for _ in range(2):
        rows = Store(tmp_path / "kept", setup).each("x", measure, [1, 2], ["a", "b"], setup=setup, workers=1)
        assert [rows[name]["doubled"] for name in ("a", "b")] == [2, 4]
    assert calls == [1, 2]
    (model / "weights.safetensors").write_bytes(b"new")
    Store(tmp_path / "kept", setup).each("x", measure, [1], ["a"], setup=setup, workers=1)
    assert calls == [1, 2, 1]
    (tmp_path / "kept" / "x_a.json").write_text("{half")
    assert Store(tmp_path / "kept", setup).get("x_a") is None


def test_a_crash_of_one_case_is_a_named_row_and_a_refusal_of_the_setup_ends_the_item(tmp_path):
    setup = Setup(tmp_path, tmp_path, tmp_path, tmp_path)
    store = Store(tmp_path / "kept", setup)

    def fail(_, error):
        raise error

    row = store.each("x", fail, [ValueError("boom")], ["a"], setup=setup, workers=1)["a"]
    assert row == {"refused": "crash, ValueError: boom"}
    assert crashed(row)
    assert store.get("x_a") is None
    with pytest.raises(PahaError, match="no model"):
        store.each("y", fail, [PahaError("no model")], ["a"], setup=setup, workers=1)


def test_missing_material_is_a_line_in_the_report_not_its_end(tmp_path, capsys):
    command.report(
        stills=tmp_path / "stills",
        media=tmp_path / "media",
        speech=tmp_path / "speech",
        out=tmp_path / "out",
        only=["lips", "real"],
        landmarks="auto",
        workers=1,
        size=512,
    )
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(written["items"]) == ["lips", "real"]
    assert "no grid_" in written["items"]["real"]["rows"]["skipped"]
    assert "Skipped: " in (tmp_path / "out" / "report.md").read_text()
    assert "lips: skipped: " in capsys.readouterr().err


def test_items_and_options_are_checked():
    assert command.chosen_items(["real", "lips"]) == ["lips", "real"]
    assert command.chosen_items(None) == list(items.ITEMS)
    with pytest.raises(PahaError, match="everybody"):
        command.chosen_items(["lip"])
    with pytest.raises(PahaError, match="mediapipe"):
        command.checked_detector("x")
    assert command.plain({"a": [1.0, float("nan")]}) == {"a": [1.0, None]}
    assert sweep.numbers("1,1.5", "--x") == [1, 1.5]
    for bad in ("x", "", "0,1"):
        with pytest.raises(PahaError, match="--x"):
            sweep.numbers(bad, "--x")


def test_photographs_and_sentences_are_paired_by_place_and_no_training_voice_speaks(shared):
    if not ((shared / "stills" / "index.tsv").is_file() and (shared / "speech").is_dir()):
        pytest.skip("../shared/stills or ../shared/speech is missing")
    stills = people.read_stills(shared / "stills")
    assert len(stills) == 73
    assert all(still.path.is_file() and still.path.parent.name == "test" for still in stills)
    sentences = people.Sentences(shared / "speech")
    first, second = sentences.one(0), sentences.one(1)
    assert {first.voice[-6:], second.voice[-7:]} == {"af_sky", "bf_lily"}
    assert first.pauses[0] == pytest.approx((0, people.PAUSE_S + first.phonemes[0].start_s - people.PAUSE_S))
    many = sentences.many(0, seconds=9.0)
    assert many.duration_s == pytest.approx(9.0)
    case = people.Case(3, stills[3], first)
    again = people.Case(3, stills[3], first)
    np.testing.assert_array_equal(case.motion.to_array(), again.motion.to_array())
    with pytest.raises(PahaError, match=r"index\.tsv"):
        people.read_stills(shared / "speech")
