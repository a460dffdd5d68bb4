"""Clips with keypoints for inspection: their own, or an extractor's."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import numpy as np
import pytest
from toy_corpus import make_toy_corpus

from paha.dataset.manifest import load_annotations, read_manifest
from paha.dataset.posed_clips import VideoReader, dataset_of, load_annotated
from paha.errors import PahaError
from paha.media.video_io import read_video, write_video


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_toy_corpus(tmp_path_factory.mktemp("posed") / "data", clips=2, num_frames=6)


def test_a_dataset_and_its_videos_are_known_with_their_annotations(data):
    records = read_manifest(data)
    assert dataset_of(data) == (data, records)
    found = dataset_of(data / records[1].video)
    assert found is not None
    folder, own = found
    assert own == [records[1]]
    clip = load_annotated(folder, records[1], seconds=0.16)
    truth = load_annotations(data / records[1].annotations).keypoints
    assert len(clip.frames) == len(clip.points) == len(clip.scores) == 4
    assert np.allclose(clip.points * records[1].width, truth.points[:4], atol=1e-4)


def test_a_video_of_no_dataset_is_read_by_the_extractor_in_its_own_pixels(tmp_path):
    video = tmp_path / "some.mp4"
    write_video(video, np.full((20, 48, 80, 3), 90, np.uint8))
    assert dataset_of(video) is None
    with VideoReader("presenter") as reader:
        clip = reader.load(video, seconds=0.72)
    assert clip.frames.shape == (18, 48, 80, 3)
    assert clip.points.shape == (18, 133, 2)
    assert clip.origin == reader.origin == "the presenter pose reader"
    whole = reader.load(video, seconds=10)
    assert len(whole.frames) == len(read_video(video)) == 20
    assert np.allclose(whole.points[:18], clip.points, atol=1e-3)


def test_bad_sources_are_named(tmp_path):
    with pytest.raises(PahaError, match="nowhere"):
        dataset_of(tmp_path / "nowhere.mp4")
    with pytest.raises(PahaError, match="manifest"):
        dataset_of(tmp_path)
    (tmp_path / "manifest.jsonl").write_text("")
    with pytest.raises(PahaError, match="lists no clips"):
        dataset_of(tmp_path)
