"""The paper's tables in motion latents, at toy size: rows, resuming, claims, figures."""

import json

import numpy as np
import pytest
from toy_people import FRAMES, PROTOCOL, toy_people, toy_pipeline

from experiments.guidance import sync_instrument
from experiments.guidance.motion_guidance import generate
from experiments.paper import arms as arms_module
from experiments.paper import figures
from experiments.paper.arms import Arm, Arms, read_arm
from experiments.paper.baselines import baseline_motions
from experiments.paper.motion_scores import MotionRow, MotionScores, difference, motion_instruments
from experiments.paper.motion_tables import NONE, WITH_PAR, claims, make_table, verdict, wanted_rows
from experiments.paper.run import Paper
from paha.errors import PahaError
from paha.evaluation.tables.render import to_markdown, write_table
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.runtime.statistics import Interval, loudness_lips

BASE = GuidanceOptions(kind="dg", non_face_scale=30, face_scale=30)


@pytest.fixture(scope="module")
def people():
    return toy_people()


@pytest.fixture(scope="module")
def pipeline():
    return toy_pipeline()


@pytest.fixture(scope="module")
def lips(people):
    return sync_instrument.train(people * 4, "face", steps=3)


@pytest.fixture(scope="module")
def scored(people, lips):
    return MotionScores(people, motion_instruments(replicates=9), lips)


def arms_in(folder, people, pipeline, **variants):
    return Arms(folder, people, PROTOCOL, {"whole": pipeline, **variants}, natural=False, say=lambda _: None)


def test_true_motion_scores_best_and_a_still_person_does_not_move(people, scored):
    truth = scored.row([person.motion() for person in people])
    made = {name: scored.row(motions) for name, motions in baseline_motions(people, people).items()}
    assert truth.values["lip_r"].mean == pytest.approx(1)
    assert truth.values["fgd"].mean == pytest.approx(0, abs=1e-6)
    assert made["still"].values["lip_r"].mean == 0
    assert made["still"].values["spread"].mean == 0
    assert made["lips by loudness alone"].values["lip_r"].mean > made["another clip's motion"].values["lip_r"].mean
    assert "without pictures" in truth.values["fvd"]
    gain = difference(truth, made["still"], "lip_r")
    assert gain is not None
    assert gain.low > 0
    frechet, diversity = difference(truth, made["still"], "fgd"), difference(truth, truth, "div")
    assert frechet is not None
    assert diversity is not None
    assert frechet.mean < 0
    assert diversity.mean == 0
    assert difference(truth, truth, "fvd") is None


def test_loudness_opens_the_mouth_as_wide_as_in_the_library(people):
    motions = baseline_motions(people, people)["lips by loudness alone"]
    for person, motion in zip(people, motions, strict=True):
        r = np.corrcoef(motion.mouth_open, loudness_lips(person.samples, FRAMES))[0, 1]
        assert r == pytest.approx(1, abs=1e-4)
    both = (np.mean([m.mouth_open.mean() for m in group]) for group in (motions, [p.motion() for p in people]))
    assert next(both) == pytest.approx(next(both), abs=1e-4)


def test_an_arm_is_sampled_in_chunks_and_goes_on(tmp_path, monkeypatch, people, pipeline):
    monkeypatch.setattr(arms_module, "CHUNK", 2)
    own, arm = arms_in(tmp_path, people, pipeline), Arm(GuidanceOptions())
    whole = own.sampled(arm)
    expected = generate(pipeline, people, arm.options, PROTOCOL)
    np.testing.assert_allclose(whole.latents, expected, atol=2e-3, rtol=2e-3)
    assert len(whole.seconds) == 3
    second = tmp_path / "arms" / arm.name / "002.npz"
    before = (tmp_path / "arms" / arm.name / "000.npz").stat().st_mtime_ns
    second.write_bytes(b"cut off")
    np.testing.assert_array_equal(own.sampled(arm).latents, whole.latents)
    assert (tmp_path / "arms" / arm.name / "000.npz").stat().st_mtime_ns == before
    np.testing.assert_array_equal(read_arm(tmp_path, arm), whole.latents)
    own.sampled(Arm(GuidanceOptions(kind="sg", rate=0.0)))  # the same arm: nothing is guided
    other = Arms(tmp_path, people, type(PROTOCOL)(**vars(PROTOCOL) | {"steps": 5}), own.pipelines, natural=False)
    with pytest.raises(PahaError, match="another steps"):
        other.sampled(arm)


def test_table_3_has_the_papers_rows_ours_and_why_some_are_absent(tmp_path, people, pipeline, scored):
    pairs = {"short0_par": pipeline, "short0_no_par": pipeline}
    paper = Paper(arms_in(tmp_path, people, pipeline, **pairs), scored, BASE, ["short0"])
    table = paper.table("3")
    text = to_markdown(table)
    assert "w/o PAR: absent, its model was not given" in text
    (claim,) = [line for line in text.splitlines() if "Ours against w/o non-face classifier: " in line]
    assert "FVD (paper" in claim
    assert "BAS (paper +" in claim
    assert f"{WITH_PAR} against" in text
    sampled = {path.name for path in (tmp_path / "arms").iterdir()}
    assert len(sampled) == 5  # SG, each region alone, the two short trainings
    write_table(table, tmp_path)
    assert json.loads((tmp_path / "table_3.json").read_text())["rows"][0]["name"] == "true motion"


def test_table_1_shares_its_arms_and_its_figure_is_drawn(tmp_path, people, pipeline, scored):
    paper = Paper(arms_in(tmp_path, people, pipeline), scored, BASE, [])
    table = paper.table("1", people)
    names = [row.name for row in table.rows]
    assert names[:5] == [
        "true motion",
        "still",
        "lips by loudness alone",
        "retrieval by audio",
        "another clip's motion",
    ]
    assert {"S2G", NONE, "PAHA-SG", "PAHA-DG"} <= set(names)
    own = {w.arm.name for number in "12" for w in wanted_rows(number, BASE) if w.arm is not None}
    assert {path.name for path in (tmp_path / "arms").iterdir()} < own
    write_table(table, tmp_path)
    figures.figure_1c(tmp_path)
    figures.figure_7(tmp_path, people[0], {"true": people[0].motion()})
    assert all((tmp_path / f"figure_{name}.png").stat().st_size > 10_000 for name in ("1c", "7"))


def row_of(**means):
    people_of = {key: {str(i): value + 0.01 * i for i in range(9)} for key, value in means.items()}
    return MotionRow({key: Interval(value, value, value, 9) for key, value in means.items()}, people_of)


def test_a_claim_holds_where_the_interval_is_off_zero_on_the_papers_side():
    rows = [(w, row_of(bas=0.2 if w.name == "Ours" else 0.1, sync=0.5)) for w in wanted_rows("3", BASE)]
    (line, *_) = claims("3", rows)
    assert "BAS (paper +19.9%) +0.100 [+0.100, +0.100] **holds**" in line
    assert "Sync-C, by our instrument (paper -6.1%) +0.000 [+0.000, +0.000] not shown" in line
    assert "FVD (paper -1.7%) not measured" in line
    assert verdict("bas", 0.1, Interval(-1, -2, -0.5, 9)) == "**the other way round**"
    assert verdict("lip_r", None, Interval(-1, -2, -0.5, 9)) == "**worse**"
    assert verdict("lip_r", None, Interval(0.1, -0.2, 0.4, 9)) == "not shown"
    table = make_table("3", rows, ["note"])
    assert table.columns[0].key == "fvd"
