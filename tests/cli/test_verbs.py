"""Options that several verbs share: sizes, settings, steps."""

import pytest
import torch

from paha.cli.options import configuration, parse_settings, parse_size
from paha.errors import PahaError
from paha.runtime.device import pick_device


def test_sizes():
    assert parse_size(None) == (None, None)
    assert parse_size("128") == (128, 128)
    assert parse_size("512X896") == (512, 896)


@pytest.mark.parametrize("text", ["", "x", "1x2x3", "-8", "1.5", "8x", "a"])
def test_no_sizes(text):
    with pytest.raises(PahaError, match="--size"):
        parse_size(text)


def test_settings_are_yaml_values():
    settings = ["train.learning_rate=1e-3", "par.enabled=false", "model.time_ids=[1, 2]", "name=a=b"]
    assert list(parse_settings(settings).values())[1:] == [False, [1, 2], "a=b"]
    # YAML takes 1e-3 for text; the configuration still makes a number of it.
    assert configuration("debug", settings[:2]).train.learning_rate == 1e-3


def test_steps_go_over_settings():
    assert configuration("debug", ["train.steps=4"], steps=5).train.steps == 5


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    for name in ("meta", "nosuch", "cuda:99"):
        with pytest.raises(PahaError, match=f"--device {name}"):
            pick_device(name)
