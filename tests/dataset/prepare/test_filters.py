"""Each filter of `paha prepare` on scans made up by hand."""

from dataclasses import replace

import numpy as np
import pytest
from toy_scan import toy_scan

from paha.dataset.prepare.config import layout_config
from paha.dataset.prepare.filters import FILTERS, containing, find_faults, run_lengths, runs, spread
from paha.types import FACE, LEFT_HAND

CONFIG = layout_config("any", width=128, height=128)
BAD = slice(100, 160)  # frames 4.0 to 6.4 s
BAD_SCANS = slice(20, 32)


def changed(name, index, value):
    scan = toy_scan()
    values = getattr(scan, name).copy()
    values[index] = value
    return replace(scan, **{name: values})


def faulty_scan(reason):
    """A scan with one planted fault in frames 100 to 159 (or all over), and nothing else wrong."""
    small_box, edge_box, jumping = [155, 80, 162, 90], [100, 0, 140, 50], [40, 60, 80, 110]
    plants = {
        "low_fps": lambda: changed("size", 2, 10_000),
        "black": lambda: changed("luma", BAD, 3),
        "frozen": lambda: changed("motion", BAD, 0.01),
        "cut": lambda: changed("is_cut", 100, True),
        "no_face": lambda: changed("scores", (BAD_SCANS, FACE), 0.1),
        "two_people": lambda: changed("other_face", BAD_SCANS, 0.8),
        "face_at_edge": lambda: changed("face_box", BAD_SCANS, edge_box),
        "face_small": lambda: changed("face_box", BAD_SCANS, small_box),
        "turned_away": lambda: changed("points", (BAD_SCANS, 53, 0), 177),
        "unsteady": lambda: changed("face_box", slice(20, 32, 2), jumping),
        "body_hidden": lambda: changed("scores", (BAD_SCANS, slice(5, 9)), 0.1),
        "no_hands": lambda: changed("scores", (slice(10, 50), LEFT_HAND), 0.0),
        "silence": lambda: changed("level_db", BAD, -80),
        "quiet": lambda: replace(toy_scan(), level_db=toy_scan().level_db - 30),
        "clipped": lambda: changed("clipped", BAD, 0.05),
        "noise": lambda: changed("level_db", slice(80, 220), -20),
        "other_voice": lambda: changed("mouth", slice(10, 50), 0.1),
    }
    return plants[reason]()


def test_a_clean_scan_has_no_fault():
    assert not [fault.reason for fault in find_faults(toy_scan(), CONFIG) if fault.is_bad.any()]


@pytest.mark.parametrize("reason", list(FILTERS))
def test_every_planted_fault_is_found_by_its_own_filter(reason):
    scan = faulty_scan(reason)
    faults = {fault.reason: fault for fault in find_faults(scan, CONFIG)}
    found = faults[reason]
    assert found.is_bad.shape == found.value.shape == (scan.num_frames,)
    middle = 99 if reason == "cut" else 130
    assert found.is_bad[middle]
    others = [name for name, fault in faults.items() if fault.is_bad.any() and name != reason]
    # What moves the face at once also makes it jump; a quiet recording has quiet pauses.
    assert set(others) <= {"unsteady", "silence", "no_hands"}
    if reason not in ("low_fps", "quiet", "noise", "other_voice", "no_hands"):
        assert not found.is_bad[:85].any()
        assert not found.is_bad[180:].any()


def test_heads_will_do_where_hands_are_not_asked_for():
    config = CONFIG.model_copy(update={"hands": False})
    for reason in ("body_hidden", "no_hands"):
        assert not any(fault.is_bad.any() for fault in find_faults(faulty_scan(reason), config))


def test_a_short_dropout_is_no_fault():
    faults = find_faults(changed("scores", (slice(20, 22), FACE), 0.0), CONFIG)
    assert not any(fault.is_bad.any() for fault in faults)


def test_noise_reaches_to_where_the_pauses_begin_again():
    noisy = FILTERS["noise"](faulty_scan("noise"), CONFIG)[0]
    start, stop = runs(noisy)[0]
    assert abs(start - 80) <= 15
    assert abs(stop - 220) <= 15


def test_measures_stay_within_their_shot():
    scan = toy_scan(is_cut=np.arange(300) == 150)
    values = (scan.at >= 150).astype(np.float32)
    assert spread(scan, values).tolist() == (np.arange(300) >= 150).tolist()


def test_runs_and_their_lengths():
    is_on = np.array([0, 1, 1, 0, 1], bool)
    assert runs(is_on) == [(1, 3), (4, 5)]
    assert run_lengths(is_on).tolist() == [0, 2, 2, 0, 1]
    assert containing(is_on, np.array([0, 0, 1, 0, 0], bool)).tolist() == [False, True, True, False, False]
