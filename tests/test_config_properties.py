"""Whatever is written into a configuration is taken and comes back from its file, or refused in one line."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paha.config import PahaConfig, Section, dump, load, override
from paha.errors import PahaError
from paha.presets import PRESETS, preset


def option_names(section: type[Section] = PahaConfig, prefix: str = "") -> list[str]:
    """Every dotted name of an option."""
    names = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            names += option_names(kind, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


NAMES = option_names()
NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=True, allow_infinity=True)
VALUES = NUMBERS | st.booleans() | st.none() | st.text(max_size=8) | st.lists(NUMBERS, max_size=5)
CHANGES = st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=3)


def read_back(config: PahaConfig) -> PahaConfig:
    with tempfile.TemporaryDirectory() as folder:
        dump(config, Path(folder) / "config.yaml")
        return load(Path(folder) / "config.yaml")


def finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, tuple | list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


@given(name=st.sampled_from(sorted(PRESETS)), changes=CHANGES)
def test_any_values_are_taken_or_refused_in_one_line_that_names_the_option(name, changes):
    try:
        config, refusal = override(preset(name), changes), ""
    except PahaError as error:
        config, refusal = None, str(error)
    if config is None:
        assert "\n" not in refusal
        assert any(option.split(".")[-1] in refusal for option in changes)
        return
    assert finite(config.model_dump())
    assert read_back(config) == config
    # What was not changed is as it was.
    before, after = preset(name).model_dump(), config.model_dump()
    for option in NAMES:
        if option not in changes:
            *path, last = option.split(".")
            for part in path:
                before_part, after_part = before[part], after[part]
                assert before_part[last] == after_part[last]


@given(values=st.tuples(st.integers(1, 10**6), st.floats(1e-9, 1e3), st.booleans(), st.integers(1, 256)))
def test_good_values_are_set_and_come_back(values):
    names = ("train.steps", "train.learning_rate", "train.cosine_decay", "width")
    values = (*values[:-1], 16 * values[-1])  # what the two levels of the network and the codec divide
    config = override(preset("debug"), dict(zip(names, values, strict=True)))
    assert (config.train.steps, config.train.learning_rate, config.train.cosine_decay, config.width) == values
    assert read_back(config) == config


@given(name=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12))
def test_unknown_names_are_refused_wherever_they_stand(name):
    for option in (name, f"train.{name}", f"{name}.steps", f"train.steps.{name}"):
        if option not in NAMES and name not in PahaConfig.model_fields:
            with pytest.raises(PahaError, match="unknown option"):
                override(preset("debug"), {option: 1})


def test_the_presets_themselves_come_back():
    for name in PRESETS:
        assert read_back(preset(name)) == preset(name)
