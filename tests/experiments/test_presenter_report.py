import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import toy_pipeline

from experiments.presenter import (
    presenter_clips,
    presenter_drift,
    presenter_measures,
    presenter_pictures,
    presenter_tables,
)
from experiments.presenter import presenter_report as command
from paha.dataset.manifest import read_manifest
from paha.errors import PahaError
from paha.extractors.pose import PoseTrack, PresenterPose
from paha.media.image_io import save_png
from paha.motion.keypoint_estimator import PoseReader
from paha.types import LEFT_HAND, Keypoints

SIZE = 32  # the debug preset's


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two drawn presenters of half a second."""
    pytest.importorskip("espeakng_loader")
    from paha.dataset.synth.corpus import make_corpus

    folder = tmp_path_factory.mktemp("report") / "heldout"
    make_corpus(folder, clips=2, seed=900_000, size=SIZE, seconds=(0.5, 0.6), workers=1, progress=False)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A debug model with random weights and its reader."""
    folder = tmp_path_factory.mktemp("report_model")
    toy_pipeline().save_pretrained(folder)
    torch.manual_seed(0)
    reader = PoseReader(widths=(8, 8, 8), face_widths=(8, 8, 8), face_hidden=8)
    reader.half().save_pretrained(folder / "pose_reader")
    return folder


@pytest.fixture(scope="module")
def truths(data, model):
    return command.load_truths(data, model, clips=2, start=0)


class TrueReader(PresenterPose):
    """Reads of a clip's own frames what is true of them; of other frames a mouth at rest."""

    def __init__(self, truth) -> None:
        self.truth = truth

    def detect(self, frames):
        same = len(frames) == len(self.truth.images) and np.array_equal(frames, self.truth.images)
        mouth = self.truth.mouth if same else np.zeros(len(frames), np.float32)
        return track(np.zeros((len(frames), 133, 2)), np.zeros((len(frames), 133)), mouth)


def track(points, scores, mouth=None) -> PoseTrack:
    mouth = np.zeros(len(points), np.float32) if mouth is None else mouth
    keypoints = Keypoints(points.astype(np.float32), scores.astype(np.float32))
    return PoseTrack(keypoints, np.zeros((len(points), 4), np.float32), mouth)


def waving(*, swing: float, score: float = 1.0) -> PoseTrack:
    points, scores = np.zeros((50, 133, 2)), np.zeros((50, 133))
    for part in (LEFT_HAND, 9):
        points[:, part, 0] = (swing * np.sin(np.arange(50))).reshape((50,) + (1,) * (points[:, part, 0].ndim - 1))
        scores[:, part] = score
    return track(points, scores)


def test_true_frames_get_full_marks_and_a_still_image_none(truths):
    truth, codec = truths[0], toy_pipeline().codec
    row, _ = presenter_measures.measure_clip(truth, truth.images, TrueReader(truth), codec)
    assert row["lip r generated"] == pytest.approx(1)
    assert row["lip r still image"] == 0
    assert row["best lag"] == 0
    assert row["torso colour error generated"] == 0
    assert row["background PSNR generated"] > 100 > row["background PSNR still image"] > 30
    assert row["background PSNR round trips"] < 20  # a random codec
    still = np.repeat(truth.images[:1], len(truth.images), 0)
    held, _ = presenter_measures.measure_clip(truth, still, TrueReader(truth), codec)
    assert held["lip r generated"] == held["mouth std"] == 0
    assert held["background PSNR generated"] == row["background PSNR still image"]


def test_the_renderer_marks_the_background_that_the_clip_shows(truths):
    for truth in truths:
        share = truth.background.mean()
        assert 0.1 < share < 0.9
        always = truth.background.all(0)
        moving = truth.images.astype(float).std(0).mean(-1)
        assert moving[always].max() < moving.max()
        assert not (truth.background & (np.indices(always.shape)[0] == SIZE - 1)).all()


def test_lips_that_lag_or_belong_to_another_clip_are_told_apart(truths):
    truth = truths[0]
    late = np.roll(truth.mouth, 2)
    curves = {"truth": truth.mouth, "generated": late, "renderings": truth.mouth}
    assert presenter_measures.lip_row(truth, curves)["best lag"] == 2
    rng = np.random.default_rng(0)
    others = {name: {"truth": rng.random(400), "generated": np.zeros(0)} for name in "ab"}
    others["a"]["generated"], others["b"]["generated"] = others["a"]["truth"], others["a"]["truth"]
    rows = {"a": {}, "b": {}}
    presenter_measures.add_other_clips(rows, others)
    assert rows["b"]["lip r other clips"] == pytest.approx(1)
    assert abs(rows["a"]["lip r other clips"]) < 0.2
    assert rows["a"]["lip r other clips"] == pytest.approx(rows["a"]["lip r truth, other clips"])
    lone = {"a": {}}
    presenter_measures.add_other_clips(lone, {"a": others["a"]})
    assert math.isnan(lone["a"]["lip r other clips"])


def test_mouths_in_pauses_need_pauses(truths):
    mouth = np.array([0.0] * 4 + [1.0] * 6, np.float32)
    speaking = (mouth > 0).astype(np.float32)
    truth = replace(truths[0], mouth=mouth, speaking=speaking)
    curves = {"truth": mouth, "generated": mouth / 2, "renderings": mouth}
    row = presenter_measures.lip_row(truth, curves)
    assert (row["mouth in pauses generated"], row["mouth in speech generated"]) == (0, 0.5)
    row = presenter_measures.lip_row(replace(truth, speaking=np.ones_like(speaking)), curves)
    assert math.isnan(row["mouth in pauses generated"])


def test_hands_that_move_half_as_far_have_half_of_everything_and_unseen_ones_nothing():
    half = presenter_measures.hand_row(waving(swing=2), waving(swing=4))
    for key in ("hand spread", "wrist speed", "wrist jerk"):
        assert half[key] / half[f"{key} true"] == pytest.approx(0.5)
    assert half["wrist jerk true"] > half["wrist speed true"] > 0
    gone = presenter_measures.hand_row(waving(swing=2, score=0.1), waving(swing=4))
    assert gone["hand spread"] == gone["wrist speed"] == gone["hands seen"] == 0
    nothing = presenter_measures.hand_row(waving(swing=2), waving(swing=4, score=0.1))
    assert math.isnan(nothing["hand spread"])


def test_colours_are_compared_where_no_arm_is():
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    others, covered = frames + np.uint8(10), np.zeros((2, 8, 8), bool)
    others[:, :, 4:], covered[:, :, 4:] = 200, True
    box = np.array([0, 0, 8, 8])
    assert presenter_measures.colour_error(frames, others, box, covered) == 10
    assert math.isnan(presenter_measures.colour_error(frames, others, box, np.ones_like(covered)))


def test_what_could_not_be_measured_counts_for_nothing_and_small_divisors_for_little():
    rows = {"a": {"x": 1.0, "y": 2.0}, "b": {"x": math.nan, "y": 1.0}, "c": {"x": 0.01, "y": 0.0001}}
    lines = (("mean", "x", "", ""), ("ratio", "x", "y", ""), ("none", "z", "", ""))
    means = presenter_tables.summary(rows, lines)
    assert means["mean"].num == 2
    assert means["ratio"].mean == pytest.approx(1.01 / 2.0001)
    assert means["none"] is None
    assert "| none | - |" in presenter_tables.markdown(means, lines)
    with pytest.raises(PahaError, match="no clips"):
        presenter_tables.write_report({}, lines, {}, None)


def test_videos_of_a_batch_are_those_of_the_pipeline_and_finished_ones_are_kept(truths, model, tmp_path, monkeypatch):
    tasks = [
        presenter_clips.Task(t.clip_id, t.images[0], t.sound, 16_000, length, seed)
        for seed, (t, length) in enumerate(zip(truths, (9, 5), strict=True))
    ]
    sampling = presenter_clips.Sampling(model, "cpu", steps=2)
    presenter_clips.make_videos(tasks, sampling, tmp_path, batch_size=2)
    pipeline = sampling.load()
    for task in tasks:
        alone = pipeline(task.image, (task.sound, 16_000), num_frames=task.num_frames, seed=task.seed).frames
        frames, seconds = presenter_clips.load_video(tmp_path, task.name)
        assert frames.shape == (task.num_frames, SIZE, SIZE, 3)
        assert np.abs(frames.astype(int) - alone.astype(int)).max() <= 1
        assert seconds > 0
    made = []
    monkeypatch.setattr(presenter_clips, "make_batch", lambda _, batch, *__: made.extend(batch) or len(batch))
    presenter_clips.make_videos(tasks, sampling, tmp_path)
    assert made == []
    (tmp_path / f"{tasks[0].name}.npz").write_bytes(b"half")
    presenter_clips.make_videos(tasks, sampling, tmp_path)
    assert [task.name for task in made] == [tasks[0].name]
    presenter_clips.make_videos(tasks[1:], presenter_clips.Sampling(model, "cpu", steps=3), tmp_path)
    assert len(made) == 2


@pytest.mark.slow
def test_worker_processes_make_the_same_videos(truths, model, tmp_path):
    tasks = [presenter_clips.Task(t.clip_id, t.images[0], t.sound, 16_000, 6, 0) for t in truths]
    for workers in (1, 2):
        sampling = presenter_clips.Sampling(model, "cpu", steps=1)
        presenter_clips.make_videos(tasks, sampling, tmp_path / str(workers), workers=workers)
    for task in tasks:
        one, two = (presenter_clips.load_video(tmp_path / str(n), task.name)[0].astype(int) for n in (1, 2))
        assert np.abs(one - two).max() <= 1


def test_report_and_round_trip_run_from_folders(data, model, tmp_path, capsys):
    save_png(tmp_path / "photo_in.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    options = {"model": model, "steps": 1, "device": "cpu", "workers": 1, "batch_size": 2}
    command.report(data, tmp_path / "r", clips=2, photo=tmp_path / "photo_in.png", shown=2, **options)
    assert "| lip r, generated, lag 0 |" in capsys.readouterr().out
    written = json.loads((tmp_path / "r" / "report.json").read_text())
    names = [record.clip_id for record in read_manifest(data)]
    assert list(written["clips"]) == names
    assert written["means"]["lip r, loudness-only lips"]["num"] == 2
    assert len(written["curves"][names[0]]["generated"]) == len(written["curves"][names[0]]["truth"])
    assert written["protocol"]["steps"] == 1
    for name in ("report.md", "comparison.png", "faces.png", "curves.png", "photo.png", f"{names[0]}.mp4"):
        assert (tmp_path / "r" / name).stat().st_size > 0
    command.round_trip(data, tmp_path / "a", model)
    assert json.loads((tmp_path / "a" / "report.json").read_text())["clips"][names[1]]["psnr"] > 0
    assert (tmp_path / "a" / "round_trip.png").is_file()
    with pytest.raises(PahaError, match="no clips"):
        command.report(data, tmp_path / "r", start=5, **options)


def test_drift_runs_and_compares_settings(data, model, tmp_path, capsys):
    options = {"model": model, "steps": 1, "device": "cpu", "workers": 1, "batch_size": 2}
    command.drift(data, tmp_path, seconds=1.0, presenters=2, first_frame_timesteps="0,50", **options)
    assert "| t' = 50 |" in capsys.readouterr().out
    written = json.loads((tmp_path / "drift.json").read_text())
    assert written["t' = 50"]["protocol"]["first_frame_timestep"] == 50
    assert [row["segment"] for row in written["t' = 0"]["segments"]] == list(range(8))  # 25 frames, 3 new ones each
    assert written["t' = 0"]["segments"] != written["t' = 50"]["segments"]
    assert (tmp_path / "drift.png").is_file()
    assert len(list(tmp_path.glob("*.mp4"))) == 4
    for bad in ("x", "0,1000", ""):
        with pytest.raises(PahaError, match="first-frame-timesteps"):
            command.parse_timesteps(bad)


def test_drift_sees_what_drifts(truths):
    truth = truths[0]
    still = np.repeat(truth.images[:1], 10, 0)
    fading = np.clip(still * np.linspace(1, 0.5, 10)[:, None, None, None], 0, 255).astype(np.uint8)
    pose = TrueReader(truth)
    kept = presenter_drift.segment_rows(truth, still, np.zeros(10), pose, segment_frames=4)
    faded = presenter_drift.segment_rows(truth, fading, np.zeros(10), pose, segment_frames=4)
    assert [row["background PSNR"] for row in kept] == [pytest.approx(kept[0]["background PSNR"])] * 3
    assert kept[-1]["sharpness"] == pytest.approx(1)
    assert faded[-1]["background PSNR"] < faded[0]["background PSNR"] < kept[0]["background PSNR"]
    assert faded[-1]["mean colour shift"] < faded[0]["mean colour shift"] < 0
    assert faded[-1]["torso colour error"] > faded[0]["torso colour error"]
    assert presenter_drift.ends(faded, "seconds") == (0, faded[-1]["seconds"])


def test_other_datasets_are_refused(data, tmp_path):
    record = read_manifest(data)[0].model_copy(update={"source": "footage"})
    with pytest.raises(PahaError, match="no presenter corpus"):
        presenter_measures.load_truth(data, record, size=SIZE)


def test_pictures_show_best_and_worst_and_moving_lips():
    rows = {name: {"lip r generated": value} for name, value in zip("abcde", (0.1, 0.9, 0.5, 0.2, 0.7), strict=True)}
    assert presenter_pictures.choose_shown(rows, 3) == ["b", "c", "a"]
    mouth = np.zeros(30)
    mouth[[4, 17, 25]] = 1
    assert {4, 17, 25} <= set(presenter_pictures.moments(mouth))
    assert len(presenter_pictures.moments(np.zeros(2))) == presenter_pictures.MOMENTS
