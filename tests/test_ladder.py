import json
import math

import numpy as np
import pytest
import torch
from toy import toy_audio, toy_pipeline
from toy_corpus import make_toy_corpus

from benchmarks import ladder
from paha.data.audio_io import write_wav
from paha.data.manifest import read_manifest
from paha.errors import PahaError
from paha.extractors.pose import PoseTrack, PresenterPose
from paha.models.pose_reader import PoseReader
from paha.training.frames import load_clip
from paha.types import LEFT_HAND, Keypoints


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = make_toy_corpus(tmp_path_factory.mktemp("ladder") / "data", clips=2, num_frames=6)
    for number in range(2):
        write_wav(folder / "clips" / f"clip{number}.wav", *toy_audio(0.5, number))
    return folder


@pytest.fixture(scope="module")
def reader_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("reader")
    PoseReader(widths=(8, 8, 8), face_widths=(8, 8, 8), face_hidden=8).half().save_pretrained(folder)
    return folder


class TrueLips(PresenterPose):
    """Reads off each frame what the toy corpus drew: the more dark pixels, the wider the mouth."""

    def __init__(self) -> None:
        pass

    def detect(self, frames):
        mouth = (frames[..., 0] < 120).mean((1, 2)).astype(np.float32)
        points, scores = np.zeros((len(frames), 133, 2), np.float32), np.zeros((len(frames), 133), np.float32)
        return PoseTrack(Keypoints(points, scores), np.zeros((len(frames), 4), np.float32), mouth)


def hands(*, swing: float, score: float = 1.0) -> PoseTrack:
    points, scores = np.zeros((50, 133, 2), np.float32), np.zeros((50, 133), np.float32)
    points[:, LEFT_HAND, 0] = swing * np.sin(np.arange(50))[:, None]
    scores[:, LEFT_HAND] = score
    return PoseTrack(Keypoints(points, scores), np.zeros((50, 4)), np.zeros(50))


def test_hands_that_move_half_as_far_have_half_the_spread_and_unseen_hands_none():
    assert ladder.hand_spread_ratio(hands(swing=2), hands(swing=4)) == pytest.approx(0.5)
    assert ladder.hand_spread_ratio(hands(swing=0), hands(swing=4)) == 0
    assert math.isnan(ladder.hand_spread_ratio(hands(swing=2, score=0.1), hands(swing=4)))


def test_true_frames_get_full_marks_and_a_still_image_none(data):
    records = read_manifest(data)
    clip = load_clip(data, records[0])
    codec, sound = toy_pipeline().codec, toy_audio(0.5)[0][:, 0]
    other = ladder.other_truth(data, records, 0)

    def measure(frames):
        return ladder.generated_row(clip, frames, TrueLips(), codec, sound, other)

    true, still = measure(clip.images), measure(clip.images[[0] * len(clip)])
    assert true["lip_r generated"] == true["lip_r renderings"] > 0.8
    assert true["lip_r other clip"] < true["lip_r generated"]
    assert true["amplitude"] == 1
    assert still["lip_r generated"] == still["lip_r other clip"] == still["amplitude"] == 0
    assert still["lip_r renderings"] == true["lip_r renderings"]


def test_the_last_clip_is_compared_with_the_first_and_a_lone_one_with_none(data):
    records = read_manifest(data)
    assert np.array_equal(ladder.other_truth(data, records, 1), load_clip(data, records[0]).mouth_open)
    assert ladder.other_truth(data, records[:1], 0) is None


def test_what_could_not_be_measured_counts_for_nothing():
    means = ladder.summary({"a": {"x": 1.0, "y": math.nan}, "b": {"x": math.nan, "y": math.nan}})
    assert (means["x"].mean, means["x"].num, means["y"]) == (1.0, 1, None)
    with pytest.raises(PahaError, match="no clips"):
        ladder.report({}, {}, None)


def test_both_rungs_run_from_folders(data, reader_folder, tmp_path, capsys):
    toy_pipeline().save_pretrained(tmp_path / "model")
    ladder.round_trip(data, tmp_path / "model", reader_folder, tmp_path / "a.png", tmp_path / "a.json")
    assert "| lip_r round trips |" in capsys.readouterr().out
    ladder.generate(
        data,
        tmp_path / "model",
        clips=2,
        start=0,
        steps=1,
        seed=0,
        cfg_scale=None,
        device="cpu",
        pose_reader=reader_folder,
        picture=tmp_path / "b.png",
        out=tmp_path / "b.json",
    )
    written = json.loads((tmp_path / "b.json").read_text())
    assert list(written["clips"]) == ["clip0", "clip1"]
    assert written["means"]["lip_r loudness"]["num"] == 2
    assert (tmp_path / "a.png").is_file()
    assert (tmp_path / "b.png").is_file()
