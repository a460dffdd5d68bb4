"""Table 1 with methods, models and baselines."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy import toy_pipeline
from toy_videos import keypoints_of, loudness, make_dataset, make_method

from paha.dataset.manifest import read_manifest
from paha.errors import PahaError
from paha.evaluation.metrics.clips import find_clips
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder
from paha.evaluation.tables.adapters import find_method_clips, pair_method, sdt_measured, sdt_set
from paha.evaluation.tables.baselines import mel_distance, other_clip, retrieval, speech_features, still_image
from paha.evaluation.tables.table1 import Method, Model, Table1Run, parse_method, run_table_1
from paha.extractors.pose import PoseTrack
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.media.audio_io import read_audio
from paha.media.video_io import read_video, write_video
from paha.pipeline.options import SampleOptions
from paha.runtime.statistics import Interval
from paha.types import LEFT_HAND


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data") / "d", clips=3, num_frames=60)


class Reader:
    """A pose extractor of the toy drawing: its known points, and the mouth from the darkness below the middle."""

    def detect(self, frames):
        mouth = 1 - frames[:, 22:26, 18:26].mean((1, 2, 3)) / 255
        keypoints = keypoints_of(mouth, 0)
        return PoseTrack(keypoints, np.tile(np.array([10.0, 8, 34, 32], np.float32), (len(frames), 1)), mouth)


@pytest.fixture(scope="module")
def instruments():
    torch.manual_seed(0)
    return Instruments(
        Reader(), "toy", "", PoseAutoencoder().eval(), absent={"i3d": "no I3D", "syncnet": "no SyncNet"}, replicates=8
    )


def test_baselines_are_what_they_say(data, tmp_path):
    clips = find_clips(data)
    assert not still_image(clips, tmp_path / "still", say=lambda _: None)
    assert not other_clip(clips, tmp_path / "other", say=lambda _: None)
    still, other = read_video(tmp_path / "still/clip0.mp4"), read_video(tmp_path / "other/clip0.mp4")
    true = [read_video(clip.video).astype(int) for clip in clips]
    assert len(still) == len(other) == 60
    assert np.abs(still[-1].astype(int) - true[0][0]).mean() < 4
    assert np.abs(other.astype(int) - true[1]).mean() < np.abs(other.astype(int) - true[0]).mean()
    samples, _ = read_audio(tmp_path / "other/clip0.mp4")
    reference, _ = read_audio(clips[0].audio)
    assert np.corrcoef(np.abs(samples[: len(reference), 0]), np.abs(reference[: len(samples), 0]))[0, 1] > 0.9


def test_retrieval_finds_the_same_speech_under_another_name(data, tmp_path):
    clips = find_clips(data)
    library = find_clips(make_dataset(tmp_path / "library", clips=3, num_frames=60))
    assert mel_distance(speech_features(clips[1]), speech_features(library[1])) == 0
    retrieval(clips[:2], library, tmp_path / "out", say=lambda _: None)
    made, wanted = read_video(tmp_path / "out/clip1.mp4").astype(int), read_video(library[1].video).astype(int)
    assert np.abs(made - wanted).mean() < 4


def test_a_clip_is_never_given_its_own_video(data, tmp_path):
    clips = find_clips(data)[:1]
    failed = retrieval(clips, clips, tmp_path, say=lambda _: None)
    assert "--retrieve-from" in failed["clip0"]


def test_the_table_has_baselines_methods_and_the_paper(data, instruments, tmp_path):
    method = make_method(tmp_path / "s2g", clips=3, num_frames=60, shift=4)
    run = Table1Run({"toy": data}, [Method("S2G", {"toy": method})], [], [], workers=2)
    table = run_table_1(run, instruments, tmp_path / "out", say=lambda _: None)
    rows: dict[str, Any] = {row.name: row for row in table.rows}
    assert list(rows)[:4] == ["real (floor)", "still image", "retrieval by audio", "real video of another clip"]
    assert rows["still image"].measured["toy.bas"].mean <= rows["real (floor)"].measured["toy.bas"].mean
    assert rows["S2G"].paper["PATS.fvd"] == 2118.41
    assert rows["S2G"].measured["toy.lip_r"].mean < 0.9
    assert rows["PAHA-DG"].absent
    assert rows["PAHA-DG"].paper["CNAS.sync_c"] == 4.092
    assert "CNAS.fvd" not in rows["ANGIE"].paper
    assert rows["S2G"].measured["toy.fvd"] == "no I3D"
    headings = [column.heading for column in table.columns]
    assert headings[:5] == ["toy FVD", "toy BAS", "toy FGD", "toy Sync-C", "toy Div."]
    assert headings[-1] == "CNAS Div."
    assert json.loads((tmp_path / "out/table_1.json").read_text())["provenance"]["clips"]["toy"][0] == "clip0"


def test_methods_by_text():
    assert parse_method("S2G@CNAS=s2g:out/x", ["PATS", "CNAS"]) == ("S2G", "CNAS", "s2g", Path("out/x"))
    assert parse_method("Mine=out", ["PATS"])[1:3] == ("PATS", "videos")
    for text, match in (("out", "give NAME"), ("A@B=x", "no dataset 'B'")):
        with pytest.raises(PahaError, match=match):
            parse_method(text, ["PATS"])


def test_folders_of_s2g_and_mm_diffusion(tmp_path):
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    write_video(tmp_path / "s2g/clip0.mp4", frames)
    write_video(tmp_path / "s2g/clip0_audio.mp4", frames)
    for part in ("gt", "reconstruct", "sr"):
        write_video(tmp_path / f"mmd/model.pt/{part}/ddpm_samples_0_0_0.mp4", frames)
    assert [(c.clip_id, c.video.name) for c in find_method_clips(tmp_path / "s2g", "s2g")] == [
        ("clip0", "clip0_audio.mp4")
    ]
    found = find_method_clips(tmp_path / "mmd", "mmd")
    assert [c.video.parent.name for c in found] == ["sr"]
    (tmp_path / "mmd/pairs.csv").write_text("real,fake\nclip0,ddpm_samples_0_0_0\n")
    real = find_method_clips(tmp_path / "s2g", "s2g")
    assert pair_method(real, found, tmp_path / "mmd")["ddpm_samples_0_0_0"].clip_id == "clip0"
    for kind, match in (("sdtx", "unknown kind"), ("s2g", "holds no output of s2g")):
        with pytest.raises(PahaError, match=match):
            find_method_clips(tmp_path / "mmd", kind)


def sdt_pose(frames=36):
    """A clip as SDT writes it, (T, 2, 121) at 15 fps: our points, in their order."""
    points = keypoints_of(loudness(0, frames), 0).points
    pose = np.zeros((frames, 121, 2))
    pose[:, [4, 1, 5, 2, 6, 3]] = points[:, [5, 6, 7, 8, 9, 10]]
    pose[:, 9:77], pose[:, 79:100], pose[:, 100:] = points[:, 23:91], points[:, 91:112], points[:, 112:]
    return pose.transpose(0, 2, 1), points


def test_sdt_s_points_find_their_places():
    pose, points = sdt_pose()
    made = sdt_measured("a", pose)
    assert len(made.mouth) == 59  # 36 frames at 15 fps last to 2.33 s
    np.testing.assert_allclose(made.keypoints.points[0, 5:11], points[0, 5:11], atol=1e-4)
    np.testing.assert_allclose(made.keypoints.points[50, LEFT_HAND], points[30, LEFT_HAND], atol=1e-4)
    assert made.keypoints.scores[0, [5, 10, 40, 100]].tolist() == [1, 1, 1, 1]
    assert made.keypoints.scores[0, 11:23].max() == 0


def test_sdt_is_measured_by_its_keypoints(data, instruments, tmp_path):
    (tmp_path / "results").mkdir()
    np.savez(tmp_path / "results/epoch0-TEST-step1.npz", poses_pred_batch=np.stack([sdt_pose()[0]] * 2))
    run = Table1Run({"toy": data}, [Method("SDT", {"toy": tmp_path}, "sdt")], [], [], workers=2)
    table = run_table_1(run, instruments, tmp_path / "out", say=lambda _: None)
    row = next(row for row in table.rows if row.name == "SDT").measured
    for name in ("toy.bas", "toy.fgd"):
        value = row[name]
        assert isinstance(value, Interval), name
        assert value.num == 2, name
    assert row["toy.frd_hands"] == "never seen"


def test_foreign_sdt_files_are_one_line(data, tmp_path):
    clips = find_clips(data)
    with pytest.raises(PahaError, match="no results of SDT"):
        sdt_set(tmp_path, clips, tmp_path / "m")
    np.savez(tmp_path / "a.npz", poses_pred_batch=np.zeros((1, 4, 2, 99)))
    with pytest.raises(PahaError, match="121"):
        sdt_set(tmp_path, clips, tmp_path / "m")
    np.savez(tmp_path / "a.npz", poses_pred_batch=np.array([{}], dtype=object))
    with pytest.raises(PahaError, match="is no result of SDT"):
        sdt_set(tmp_path, clips, tmp_path / "m")


def test_models_make_their_own_rows(data, instruments, tmp_path):
    records = read_manifest(data)[:2]
    models = [
        Model("PAHA without classifiers", toy_pipeline(), GuidanceOptions()),
        Model("PAHA-SG", None, GuidanceOptions(kind="sg"), "no face classifier"),
    ]
    run = Table1Run({"toy": data}, [], models, records, limit=2, sample=SampleOptions(steps=2), workers=2)
    table = run_table_1(run, instruments, tmp_path, say=lambda _: None)
    rows: dict[str, Any] = {row.name: row for row in table.rows}
    made = rows["PAHA without classifiers"].measured
    assert made["toy.bas"].num == 2
    assert made["toy.tc"].mean > 0
    assert rows["PAHA-SG"].absent == "no face classifier"
    assert rows["PAHA-SG"].paper["PATS.bas"] == 0.1561
    assert (tmp_path / "videos/toy/PAHA-without-classifiers/clip1.mp4").is_file()
