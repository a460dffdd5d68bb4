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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("diffusion.first_frame_timestep", 1000),
        ("diffusion.first_frame_timestep", -1),
        ("diffusion.first_frame_max_timestep", 1000),
        ("diffusion.num_train_timesteps", 0),
        ("diffusion.beta_start", 0),
        ("diffusion.beta_end", 1),
        ("diffusion.residual_std", 0),
        ("model.latent_channels", 0),
        ("model.audio_margin", -1),
        ("model.num_audio_tokens", 0),
        ("model.num_time_ids", -1),
        ("codec.latent_channels", 0),
        ("audio.mel_bands", 0),
        ("train.weight_decay", -1),
    ],
)
def test_what_cannot_work_is_refused_by_name(name, value):
    with pytest.raises(PahaError, match=name.split(".")[-1]):
        override(preset("debug"), {name: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_number_may_be_infinite_or_none_at_all(value):
    for name, option in (("train.learning_rate", value), ("sample.guidance_scales", [1.0, value, 1.0])):
        with pytest.raises(PahaError, match="finite number"):
            override(preset("debug"), {name: option})


def test_the_last_timestep_of_the_schedule_may_be_the_first_frames():
    assert override(preset("debug"), {"diffusion.first_frame_timestep": 999}).diffusion.first_frame_timestep == 999
