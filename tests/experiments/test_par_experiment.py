import json
import math
import shutil

import numpy as np
import pytest
import torch

from experiments.par import par_experiment, par_measures, par_pair, par_report
from paha.errors import PahaError
from paha.pipeline.loading import SHIPPED_MODEL
from paha.types import LEFT_HAND


def test_a_change_is_paired_over_seeds_and_clips():
    rng = np.random.default_rng(0)
    base = 10 + rng.normal(size=(3, 40)) + 5 * rng.normal(size=40)  # clips differ far more than the arms
    change = par_report.paired_change(base, 0.9 * base)
    assert change.change == pytest.approx(-10)
    assert change.high - change.low < 0.1
    assert change.by_seed == pytest.approx([-10] * 3)
    noise = par_report.paired_change(base, base + rng.normal(size=(3, 40)))
    assert noise.low < 0 < noise.high
    moved = par_report.paired_change(base, base + 0.25, relative=False)
    assert (moved.change, moved.low, moved.high) == pytest.approx((25, 25, 25))


def test_clips_without_a_value_are_left_out():
    base = np.array([[1.0, math.nan, 3.0]])
    change = par_report.paired_change(base, 2 * base)
    assert (change.base, change.arm, change.change) == pytest.approx((2, 4, 100))


def test_a_wider_spread_of_features_is_a_larger_frechet_distance():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 3))
    near = np.stack([truth + 0.1 * rng.normal(size=truth.shape) for _ in range(2)])
    far = np.stack([1.5 * truth + 1 for _ in range(2)])
    worse = par_report.frechet_change(truth, near, far, num_clips=6)
    assert worse.arm > worse.base
    assert 0 < worse.low < worse.change < worse.high
    same = par_report.frechet_change(truth, near, near, num_clips=6)
    assert (same.change, same.low, same.high) == pytest.approx((0, 0, 0))


def verdict_of(hands: tuple[float, float], face: tuple[float, float], frechet: tuple[float, float]) -> str:
    intervals = zip(par_report.PRIMARY, (hands, face, frechet), strict=True)
    return par_report.verdict({name: par_report.Change(1, 1, 0, low, high, []) for name, (low, high) in intervals})


def test_the_verdict_is_what_was_decided_before():
    assert verdict_of((-9, -1), (-5, -1), (-2, 3)) == "wins"
    assert verdict_of((-9, -1), (-5, 1), (-2, 3)) == "neither wins nor loses"
    assert verdict_of((-9, -1), (-5, -1), (1, 3)) == "loses"
    assert verdict_of((1, 2), (-5, -1), (-1, 3)) == "loses"


def test_regions_are_those_of_the_exact_keypoints_and_hands_come_first():
    points, scores = np.zeros((1, 2, 133, 2), np.float32), np.zeros((1, 2, 133), np.float32)
    points[..., LEFT_HAND, :] = np.linspace((20, 20), (30, 30), 21)
    scores[:, 0, LEFT_HAND] = 1  # not seen in the second frame
    box = np.array([[[10, 10, 40, 40]] * 2], np.float32)
    scores[..., 23:91], points[..., 71:91, :] = 1, (25, 35)
    masks = par_measures.truth_masks(points, scores, box, height=64, width=64)
    total = sum(masks[name] for name in par_measures.REGIONS)
    assert torch.equal(total, torch.ones_like(total))
    assert masks["hands"][0, 0, 25, 25] == 1
    assert masks["face"][0, 0, 25, 25] == 0
    assert masks["face"][0, 1, 25, 25] == 1


def test_the_square_around_a_mask_stays_in_the_frame():
    mask = np.zeros((64, 64))
    mask[60:64, 0:10] = 1
    x0, y0, x1, y1 = par_report.square_around(mask)
    assert (x1 - x0, y1 - y0) == (16, 16)
    assert (x0, y1) == (0, 64)
    assert par_report.square_around(np.zeros((8, 8))) == (0, 0, 8, 8)


def options(out, **changed):
    given = {"arms": "no_par,par", "seeds": 1, "steps": 1, "batch_size": 2, "codec_steps": 1, "audio_steps": 1}
    given |= {"clips": 1, "held_out": 2, "size": 32, "seconds": (0.4, 0.4), "device": "cpu", "parallel": 2}
    given |= {"deadline": math.inf, "only": None}
    return {"out": out} | given | changed


@pytest.mark.slow
def test_the_experiment_runs_goes_on_and_refuses_other_options(tmp_path, capsys):
    pytest.importorskip("espeakng_loader")
    out = tmp_path / "experiment"
    par_experiment.main(**options(out))
    assert "| **denoised pixel error, hands** |" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert set(report["changes"]) == set(report["verdicts"]) == {"par"}
    assert report["bounds"]["truth"]["pixel error, face"] == 0
    assert (out / "hands_denoised.png").is_file()
    assert (out / "hands_generated.png").is_file()
    weights = [(out / "runs" / f"{arm}-0" / "model" / "config.yaml").read_text() for arm in ("no_par", "par")]
    assert weights[0].replace("enabled: false", "enabled: true") == weights[1]

    shutil.rmtree(out / "runs")
    done = out / "results" / "par-0" / "measures.json"
    before = done.stat().st_mtime_ns
    par_experiment.main(**options(out, arms="par,par_max"))
    assert done.stat().st_mtime_ns == before
    assert set(json.loads((out / "report.json").read_text())["changes"]) == {"par", "par_max"}
    with pytest.raises(PahaError, match="other options"):
        par_experiment.main(**options(out, steps=2))
    par_experiment.main(**options(out, arms="no_par,par_w3", deadline=0.0, only=par_experiment.Part.runs))
    assert "par_w3-0: not started" in capsys.readouterr().err
    par_experiment.main(**options(out, only=par_experiment.Part.report))
    assert set(json.loads((out / "report.json").read_text())["changes"]) == {"par", "par_max"}
    with pytest.raises(PahaError, match="unknown arm 'pa'"):
        par_experiment.main(**options(out, arms="pa"))


@pytest.mark.slow
def test_a_pair_of_model_folders_is_compared(tmp_path):
    from paha.dataset.synth.corpus import make_corpus

    pytest.importorskip("espeakng_loader")
    make_corpus(tmp_path / "data", clips=2, seed=950_000, size=128, seconds=(0.7, 0.7), workers=1)
    par_pair.main(base=SHIPPED_MODEL, arm=SHIPPED_MODEL, data=tmp_path / "data", out=tmp_path / "pair", device="cpu")
    report = json.loads((tmp_path / "pair" / "report.json").read_text())
    assert report["verdicts"] == {"par": "neither wins nor loses"}
    assert all(change["change"] in (0, None) for change in report["changes"]["par"].values())
    assert (tmp_path / "pair" / "hands_denoised.png").is_file()
