"""An evaluation in parts, over processes and machines."""

import numpy as np
import pytest
from safetensors.numpy import load_file
from toy_videos import make_dataset

from paha.errors import PahaError
from paha.evaluation.metrics.evaluate import evaluate_videos
from paha.evaluation.metrics.evaluate_parts import measure_in_parts
from paha.evaluation.metrics.instruments import load_instruments

OPTIONS = {"pairs": None, "split": "test", "limit": None, "ceilings": False, "cache": False}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    return make_dataset(folder / "real", clips=3), make_dataset(folder / "fake", clips=3)


def files(out):
    return sorted((out / "measured").rglob("*.safetensors"))


def measured_values(out):
    found = {path.relative_to(out): load_file(path) for path in files(out)}
    return {(path, name): value for path, values in found.items() for name, value in values.items()}


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_parts_leave_what_evaluate_leaves_and_it_measures_nothing_again(sets, tmp_path, engine):
    if engine == "ray":
        pytest.importorskip("ray", reason="ray is not installed: pip install 'paha[scale]'")
    real, fake = sets
    chosen, said = {"pose": "exact", "real": real}, []
    options = {"workers": 1 if engine == "local" else 2, "engine": engine, "say": said.append}
    measure_in_parts(real, fake, tmp_path / "parts", chosen, OPTIONS, **options)
    assert len(said) == 2 * options["workers"]
    assert all(line.endswith("measured") for line in said)
    tools = load_instruments(**chosen, replicates=10)
    evaluate_videos(real, fake, tmp_path / "whole", tools, ceilings=False, say=lambda _: None)
    assert len(files(tmp_path / "parts")) == 6
    made, wanted = measured_values(tmp_path / "parts"), measured_values(tmp_path / "whole")
    assert made.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(made[name], value, rtol=1e-4, atol=1e-5, err_msg=str(name))
    times = [path.stat().st_mtime_ns for path in files(tmp_path / "parts")]
    evaluate_videos(real, fake, tmp_path / "parts", tools, ceilings=False, say=lambda _: None)
    assert times == [path.stat().st_mtime_ns for path in files(tmp_path / "parts")]


def test_a_part_that_fails_is_told_and_an_unknown_engine_refused(sets, tmp_path):
    real, fake = sets
    said = []
    options = {"workers": 1, "say": said.append}
    measure_in_parts(real, fake, tmp_path, {"pose": "nothing"}, OPTIONS, engine="local", **options)
    assert all("part 1 of 1 failed: " in line for line in said)
    with pytest.raises(PahaError, match="unknown engine 'spark'"):
        measure_in_parts(real, fake, tmp_path, {}, OPTIONS, engine="spark", **options)
