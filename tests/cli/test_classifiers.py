"""The whole path of the classifiers at debug size: corpus, UniVDM, negatives, classifiers, guided video, tables."""

import json
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from toy import toy_codec

from paha import config as configuration
from paha.cli.animate import AnimateOptions
from paha.cli.classifier import ClassifierOptions, Region, train_classifier
from paha.cli.guidance_flags import Guidance, GuidanceFlags
from paha.cli.negatives import NegativesFlags, negatives
from paha.cli.univdm import PlanOptions, UniVDMOptions, train_univdm
from paha.dataset.manifest import read_manifest
from paha.dataset.synth.corpus import make_corpus
from paha.errors import PahaError
from paha.evaluation.metrics.instruments import load_instruments
from paha.evaluation.tables.ablations import AblationRun, pick_records, run_ablation
from paha.guidance.choice import GuidanceChoice, build_guidance, guide
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.media.image_io import save_png
from paha.media.video_io import read_video
from paha.pce.regions import face_mask, grow_box
from paha.pipeline.animate import animate
from paha.pipeline.options import SampleOptions
from paha.pipeline.pipeline import PahaPipeline
from paha.presets import preset
from paha.runtime.statistics import Interval

DEBUG = preset("debug")
BY_HAND = GuidanceFlags(Guidance.sg)
FACE = (8.0, 4.0, 22.0, 18.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """corpus/ of eight clips, model/ with a UniVDM trained for two steps on it and both classifiers."""
    root = tmp_path_factory.mktemp("pce")
    make_corpus(root / "corpus", clips=8, size=32, seconds=(1.0, 1.2), workers=1, progress=False)
    toy_codec(DEBUG).save_pretrained(root / "codec")
    own = {"data": [root / "corpus"], "out": root / "univdm", "codec": root / "codec"}
    train_univdm(UniVDMOptions(preset="debug", steps=2, **own), PlanOptions())
    shutil.copytree(root / "univdm/model", root / "model")
    flags = NegativesFlags(count=4, lengths="4,7", steps=2)
    negatives(data=root / "corpus", model=root / "model", out=root / "negatives", flags=flags)
    for region in ("face", "non_face"):
        settings = ["pairs.lengths=[4]", "pairs.held_out=0.5", "probe_pairs=2", "train.sample_every=2"]
        options = ClassifierOptions(
            Region(region),
            root / "corpus",
            root / region,
            root / "model",
            negatives=root / "negatives",
            hard_negatives=0.5,
            steps=2,
            settings=settings,
            report_clips=2,
        )
        train_classifier(options)
        shutil.copytree(root / region / "model", root / f"model/classifier_{region}")
    return root


@pytest.fixture(scope="module")
def pipeline(root):
    pipeline = PahaPipeline.from_pretrained(root / "model")
    return pipeline


def first_clip(root):
    record = read_manifest(root / "corpus")[0]
    return read_video(root / "corpus" / record.video)[0], root / "corpus" / record.audio


def test_training_leaves_a_log_a_model_and_a_report(root):
    report = json.loads((root / "face/report/report.json").read_text())
    assert report["region"] == "face"
    assert "auc/generated_530" in report["scores"]
    assert "needs" in report["shift_curves_absent"] or "has" in report["shift_curves_absent"]  # clips of 1 s
    line = json.loads((root / "face/stats.jsonl").read_text().splitlines()[-1])
    assert {"accuracy", "auc/shifted_0"} <= line.keys()


def test_a_guided_video_is_written_and_its_settings_are_remembered(root, pipeline, tmp_path):
    image, sound = first_clip(root)
    save_png(tmp_path / "a.png", image)
    by_hand = replace(BY_HAND, guidance=Guidance.dg, reuse_deep=True, redetect_face=1).choice(FACE)
    assert by_hand is not None
    assert by_hand.options.share_deep
    said = []
    guided = guide(SampleOptions(steps=2), pipeline, image, by_hand, say=said.append)
    assert "found by hand" in said[0]
    out = animate(pipeline, tmp_path / "a.png", sound, tmp_path / "a.mp4", guided, num_frames=7, progress=False)
    assert len(read_video(out)) == 7
    plain = SampleOptions()
    other = guide(plain, pipeline, image, BY_HAND.choice(FACE))
    assert other.guidance_settings != guided.guidance_settings
    assert guide(plain, pipeline, image, None) == plain
    assert GuidanceFlags().choice() is None
    assert GuidanceFlags(Guidance.sg, guidance_scales="0,0").choice() is None


def test_guidance_that_would_guide_no_step_is_refused(root, pipeline):
    image, _ = first_clip(root)
    choice = BY_HAND.choice(FACE)
    assert choice is not None
    first_alone = replace(choice, options=replace(choice.options, skip_first=True, rate=0.5))
    with pytest.raises(PahaError, match="none of the 2 steps would be guided"):
        guide(SampleOptions(steps=2), pipeline, image, first_alone)
    assert guide(SampleOptions(steps=3), pipeline, image, first_alone).steps == 3
    few = replace(first_alone, options=replace(first_alone.options, rate=0.3))  # of the preset's three steps
    of_paper = guide(SampleOptions(), pipeline, image, few)
    assert (of_paper.steps, of_paper.cfg_scale) == (30, 1)


def test_scales_not_given_are_those_of_the_models_preset(root, pipeline, tmp_path):
    image, _ = first_clip(root)
    shutil.copytree(root / "model", tmp_path / "m")
    own = {"guidance_scales": (20.0, 0.0, 0.5), "guidance_skip_first": True, "guidance_smoothing": 1.5}
    config = pipeline.preset.model_copy(update={"sample": pipeline.preset.sample.model_copy(update=own)})
    configuration.dump(config, tmp_path / "m/paha.yaml")
    other = PahaPipeline.from_pretrained(tmp_path / "m")
    found = guide(SampleOptions(steps=4), other, image, BY_HAND.choice(FACE)).guidance_settings
    names = ("non_face_scale", "face_scale", "diff_scale", "skip_first", "smoothing")
    assert [found[name] for name in names] == [20, 0, 0.5, True, 1.5]
    by_hand = replace(BY_HAND, guidance_scales="2,3", guidance_smoothing=0.0).choice(FACE)
    given = guide(SampleOptions(steps=4), other, image, by_hand).guidance_settings
    assert [given[name] for name in names] == [2, 3, 0.5, True, 0]


def test_a_model_without_classifiers_says_so(root, tmp_path):
    bare = PahaPipeline.from_pretrained(root / "univdm/model")
    image, _ = first_clip(root)
    with pytest.raises(PahaError, match=r"no classifier_non_face/.*paha train classifier --region non_face"):
        guide(SampleOptions(), bare, image, GuidanceChoice(GuidanceOptions(kind="sg")))
    shutil.copytree(root / "univdm/model", tmp_path / "m")
    shutil.copytree(root / "face/model", tmp_path / "m/classifier_non_face")
    with pytest.raises(PahaError, match="holds the face classifier"):
        PahaPipeline.from_pretrained(tmp_path / "m").classifier("non_face")


class Enough(Exception):  # noqa: N818
    """The guided steps are done."""


def test_growth_and_leak_of_dg_on_trained_networks(root, pipeline):
    """Deviation of the latents after the guided steps against unguided, and how far the face classifier alone moves
    the rest of the frame over the face: only `compensate` neither grows nor mixes a region with the unguided one."""
    image, sound = first_clip(root)
    scene = pipeline.encode_inputs(image, sound, num_frames=4)
    mask = face_mask(grow_box(torch.tensor([[0.36, 0.19, 0.64, 0.44]])), height=4, width=4)

    def after_guided_steps(options):
        seen = []

        def keep(_pipeline, step, _t, tensors):
            seen.append(tensors["latents"].clone())
            if len(seen) == 4:  # half of the eight are guided
                raise Enough

        guidance = None
        if options is not None:
            guidance, _ = build_guidance(pipeline, image, options)
        with pytest.raises(Enough):
            list(pipeline.generate(scene, SampleOptions(steps=8, guidance=guidance), callback_on_step_end=keep))
        return seen[3]

    plain = after_guided_steps(None)
    scales: dict[str, Any] = {"non_face_scale": 30.0, "face_scale": 30.0}
    face_only: dict[str, Any] = scales | {"non_face_scale": 0.0}
    growth, leak = {}, {}
    for form in ("compensate", "literal"):
        both = after_guided_steps(GuidanceOptions(kind="dg", dg_form=form, **scales))
        growth[form] = float(both.std() / plain.std())
        alone = after_guided_steps(GuidanceOptions(kind="dg", dg_form=form, **face_only)) - plain
        leak[form] = float((alone * (1 - mask)).norm() / (alone * mask).norm())
    sequential = after_guided_steps(GuidanceOptions(kind="sg", **face_only)) - plain
    leak["sg"] = float((sequential * (1 - mask)).norm() / (sequential * mask).norm())
    assert growth["compensate"] == pytest.approx(1, abs=0.05)
    assert growth["literal"] > 1.5
    assert leak["compensate"] < leak["sg"] < leak["literal"]


def test_classifiers_travel_with_the_model_folder(pipeline, tmp_path):
    for region in ("face", "non_face"):
        pipeline.classifier(region)
    pipeline.save_pretrained(tmp_path)
    again = PahaPipeline.from_pretrained(tmp_path)
    for region in ("face", "non_face"):
        own, loaded = (p.classifier(region).state_dict() for p in (pipeline, again))
        assert all(torch.equal(value, loaded[key]) for key, value in own.items())


@pytest.mark.slow
@pytest.mark.parametrize("number", ["2", "3"])
def test_tables_run_on_models_trained_here(root, pipeline, tmp_path, number):
    data = root / "corpus"
    run = AblationRun(
        data=data,
        records=pick_records(data, start=0, clips=2),
        pipelines={"whole": pipeline},
        absent={"no_par": "its model was not given (--no-par-model)"},
        base=GuidanceOptions(kind="dg", non_face_scale=1.0, face_scale=1.0),
        sample=SampleOptions(steps=2),
        workers=1,
    )
    instruments = load_instruments(pose="presenter", real=data)
    table = run_ablation(number, run, instruments, tmp_path, say=lambda _: None)
    text = (tmp_path / f"table_{number}.md").read_text()
    assert (tmp_path / f"table_{number}.json").is_file()
    videos = {path.name for path in (tmp_path / "videos").iterdir()}
    if number == "2":
        assert [row.x for row in table.rows] == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1]
        assert "(2052.95)" in text
        assert len(videos) == 9  # both unguided rows share their videos
        first, second = table.rows[:2]
        assert first.measured == second.measured
    else:
        absent = {row.name for row in table.rows if row.absent}
        assert absent == {"w/o PAR", "w/o PAR+two classifiers", "w/o augmentation"}
        assert "w/o PAR: absent, its model was not given (--no-par-model)" in text
        assert "100.917" in text
        assert len(videos) == 3
    measured = next(row for row in reversed(table.rows) if row.paper).measured
    cost = measured["tc"]
    assert isinstance(cost, Interval)
    assert np.isfinite(cost.mean)
    assert isinstance(measured["fvd"], str)
    if number == "3":  # a second call goes on with what is there
        made = {path: path.stat().st_mtime_ns for path in (tmp_path / "videos").rglob("*.mp4")}
        run_ablation(number, run, instruments, tmp_path, say=lambda _: None)
        assert all(path.stat().st_mtime_ns == then for path, then in made.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guidance_scales": "1"}, "two or three numbers"),
        ({"guidance_scales": "1,a"}, "NON_FACE,FACE"),
        ({"guidance_rate": 2.0}, "0 to 1"),
    ],
)
def test_bad_options_are_one_line(changes, message):
    with pytest.raises(PahaError, match=message):
        GuidanceFlags(Guidance.sg, **changes).choice()


@pytest.mark.parametrize(("box", "message"), [("1,2,3", "X0,Y0,X1,Y1"), ("5,5,5,9", "empty")])
def test_bad_boxes_are_one_line(box, message):
    with pytest.raises(PahaError, match=message):
        AnimateOptions(face_box=box).reference()


@pytest.mark.parametrize(
    ("lengths", "part", "message"), [("a", "0/1", "--lengths"), ("4", "2/2", "--part"), (None, "x", "--part")]
)
def test_bad_options_of_negatives_are_one_line(lengths, part, message):
    with pytest.raises(PahaError, match=message):
        NegativesFlags(lengths=lengths, part=part).options()
