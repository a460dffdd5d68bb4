"""Presets and configuration."""

import pytest

from paha.config import dump, load, override
from paha.errors import PahaError
from paha.presets import PRESETS, preset


def test_paper_preset_holds_the_paper_settings():
    paper = preset("paper")
    assert (paper.height, paper.width, paper.num_frames) == (512, 512, 32)
    assert (paper.train.steps, paper.train.learning_rate) == (100_000, 5e-5)
    assert paper.train.batch_size * paper.train.num_micro_batches == 8
    assert paper.diffusion.num_train_timesteps == 1000
    assert paper.sample.steps == 30
    par = paper.par
    assert (par.hand_threshold, par.face_threshold, par.body_threshold) == (0.8, 0.8, 0.8)
    assert (par.radius, par.hand_face_weight, par.body_weight, par.overlap) == (10, 10, 2, "sum")


def test_unknown_names_and_bad_values_are_named():
    with pytest.raises(PahaError, match="unknown preset 'nope'; known: debug, presenter, paper"):
        preset("nope")
    with pytest.raises(PahaError, match=r"train\.stepz"):
        override(preset("debug"), {"train.stepz": 3})
    with pytest.raises(PahaError, match=r"train\.steps.*greater than or equal to 1"):
        override(preset("debug"), {"train.steps": 0})
    with pytest.raises(PahaError, match="'par' is no section"):
        override(preset("debug"), {"model.par.radius": 1})


@pytest.mark.parametrize("name", PRESETS)
def test_configuration_round_trips_through_yaml(name, tmp_path):
    dump(preset(name), tmp_path / "config.yaml")
    assert load(tmp_path / "config.yaml") == preset(name)


def test_corrupt_configuration_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\x00\xff")
    with pytest.raises(PahaError, match=r"config\.yaml"):
        load(path)
