"""Options of a classifier's training that cannot work are refused when they are given, in a line that names them."""

import pytest

from paha.errors import PahaError
from paha.presets import preset
from paha.training.pce.job import classifier_run

DEBUG = preset("debug")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mask_prob", 5),
        ("mask_prob", -0.1),
        ("mask_prob", float("nan")),
        ("probe_pairs", -1),
        ("sync_pretraining_steps", -1),
        ("pairs.hard_prob", 1.5),
        ("pairs.swap_prob", -0.5),
        ("pairs.held_out", 1.0),
        ("pairs.lengths", []),
        ("pairs.lengths", [4, 0]),
        ("pairs.min_shift", 0),
        ("pairs.max_shift", 2),
        ("network.width", 31),
        ("network.num_heads", 3),
        ("network.num_layers", 0),
        ("network.face_crop", -4),
        ("network.num_levels", -1),
        ("network.widen", 0),
    ],
)
def test_what_cannot_work_is_refused_by_name(name, value):
    with pytest.raises(PahaError, match=name.split(".")[-1]) as caught:
        classifier_run(DEBUG, {name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mask_prob", "pairs.hard_prob", "pairs.swap_prob"])
@pytest.mark.parametrize("value", [0, 1])
def test_the_ends_of_a_probability_are_allowed(name, value):
    run = classifier_run(DEBUG, {name: value}).model_dump()
    for part in name.split("."):
        run = run[part]
    assert run == value
