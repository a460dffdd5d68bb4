"""A second run into the same folder counts the clips that it was asked for, and never mixes noise or sources."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from toy import toy_pipeline
from toy_videos import keypoints_of, make_dataset

from paha.dataset.manifest import read_manifest
from paha.errors import PahaError
from paha.evaluation.metrics.clips import find_clips
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder
from paha.evaluation.tables.ablations import AblationRun, run_ablation
from paha.evaluation.tables.baselines import other_clip, retrieval, still_image
from paha.evaluation.tables.table1 import Model, Table1Run, run_table_1
from paha.evaluation.tables.videos import make_videos
from paha.extractors.pose import PoseTrack
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.media.video_io import read_video
from paha.pipeline.options import SampleOptions

ONE_STEP = SampleOptions(steps=1)


def quietly(line: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data") / "d", clips=4, num_frames=30)


class Reader:
    """A pose extractor of the toy drawing: its known points, and the mouth from the darkness below the middle."""

    def detect(self, frames):
        mouth = 1 - frames[:, 22:26, 18:26].mean((1, 2, 3)) / 255
        box = np.tile(np.array([10.0, 8, 34, 32], np.float32), (len(frames), 1))
        return PoseTrack(keypoints_of(mouth, 0), box, mouth)


@pytest.fixture(scope="module")
def instruments():
    torch.manual_seed(0)
    absent = {"i3d": "no I3D", "syncnet": "no SyncNet"}
    return Instruments(Reader(), "toy", "", PoseAutoencoder().eval(), absent=absent, replicates=8)


def test_fewer_clips_into_the_same_folder_are_fewer_clips_in_table_1(data, instruments, tmp_path):
    records = read_manifest(data)
    model = Model("PAHA without classifiers", toy_pipeline(), GuidanceOptions())

    def rows(count: int) -> dict[str, Any]:
        run = Table1Run({"toy": data}, [], [model], records[:count], limit=count, sample=ONE_STEP, workers=1)
        return {row.name: row for row in run_table_1(run, instruments, tmp_path, say=quietly).rows}

    assert rows(4)["PAHA without classifiers"].measured["toy.tc"].num == 4
    fewer = rows(2)
    for name in ("PAHA without classifiers", "still image", "retrieval by audio", "real video of another clip"):
        assert fewer[name].measured["toy.bas"].num == 2, name
    assert fewer["PAHA without classifiers"].measured["toy.tc"].num == 2


def test_fewer_clips_into_the_same_folder_are_fewer_clips_in_the_ablations(data, instruments, tmp_path):
    records = read_manifest(data)

    def row(count: int) -> Mapping[str, Any]:
        run = AblationRun(data, records[:count], {"no_par": toy_pipeline()}, {}, GuidanceOptions("dg"), ONE_STEP, 1)
        table = run_ablation("3", run, instruments, tmp_path, say=quietly)
        return next(row for row in table.rows if row.name == "w/o PAR+two classifiers").measured

    assert row(4)["bas"].num == 4
    fewer = row(2)
    assert (fewer["bas"].num, fewer["tc"].num) == (2, 2)


def test_a_run_that_starts_elsewhere_does_not_take_videos_of_other_noise(data, tmp_path):
    """Clip 1 has the second noise of a run from clip 0 on, and the first of one from itself on."""
    records, pipeline = read_manifest(data), toy_pipeline()
    make_videos(pipeline, data, records[:2], tmp_path, GuidanceOptions(), ONE_STEP, say=quietly)
    with pytest.raises(PahaError, match="another first clip"):
        make_videos(pipeline, data, records[1:3], tmp_path, GuidanceOptions(), ONE_STEP, say=quietly)
    make_videos(pipeline, data, records[:3], tmp_path, GuidanceOptions(), ONE_STEP, say=quietly)
    assert sorted(path.stem for path in tmp_path.glob("*.mp4")) == ["clip0", "clip1", "clip2"]


def test_videos_of_another_scale_of_classifier_free_guidance_are_not_taken(data, tmp_path):
    records, pipeline = read_manifest(data)[:1], toy_pipeline()
    make_videos(pipeline, data, records, tmp_path, GuidanceOptions(), ONE_STEP, say=quietly)
    other = SampleOptions(steps=1, cfg_scale=2.0)
    with pytest.raises(PahaError, match="another cfg_scale"):
        make_videos(pipeline, data, records, tmp_path, GuidanceOptions(), other, say=quietly)


def distance(path, clip) -> float:
    """Mean difference in grey values of a made video and a real one."""
    return float(np.abs(read_video(path).astype(int) - read_video(clip.video)).mean())


def test_baselines_of_other_clips_are_made_again(data, tmp_path):
    """The next clip of the last one is the first of the set."""
    clips = find_clips(data)
    other_clip(clips, tmp_path, say=quietly)
    assert distance(tmp_path / "clip1.mp4", clips[2]) < 4
    other_clip(clips[:2], tmp_path, say=quietly)
    assert distance(tmp_path / "clip1.mp4", clips[0]) < 4 < distance(tmp_path / "clip1.mp4", clips[2])


def test_baselines_of_the_same_clips_are_kept(data, tmp_path):
    clips = find_clips(data)
    for make in (other_clip, still_image, lambda c, folder, say: retrieval(c, clips, folder, say=say)):
        folder = tmp_path / f"{id(make)}"
        make(clips, folder, say=quietly)
        then = {path: path.stat().st_mtime_ns for path in folder.glob("*.mp4")}
        assert len(then) == 4
        make(clips, folder, say=quietly)
        assert all(path.stat().st_mtime_ns == at for path, at in then.items())
