"""Folders of clips to be measured."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import numpy as np
import pytest
from toy_videos import make_dataset, make_method

from paha.errors import PahaError
from paha.evaluation.metrics.clips import find_clips, pair_clips, speech
from paha.evaluation.metrics.cost import record_cost, time_cost, time_cost_per_second
from paha.media.audio_io import write_wav
from paha.media.video_io import write_video
from paha.runtime.statistics import Interval


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    return make_dataset(root / "real", clips=2, num_frames=8), make_method(root / "fake", clips=2, num_frames=8)


def test_datasets_and_folders_of_videos(folders):
    real, fake = (find_clips(folder) for folder in folders)
    assert [clip.clip_id for clip in real] == ["clip0", "clip1"]
    assert real[0].annotations is not None
    assert fake[0].audio == fake[0].video
    assert fake[0].annotations is None
    assert len(speech(fake[0])) == 8 * 640


def test_sound_beside_a_silent_video(tmp_path):
    write_video(tmp_path / "a.mp4", np.zeros((4, 16, 16, 3), np.uint8))
    assert find_clips(tmp_path)[0].audio.name == "a.mp4"
    write_wav(tmp_path / "a.wav", np.zeros(1000), 16_000)
    assert find_clips(tmp_path)[0].audio.name == "a.wav"


def test_folders_without_videos_are_refused(tmp_path):
    with pytest.raises(PahaError, match="is no folder"):
        find_clips(tmp_path / "none")
    with pytest.raises(PahaError, match="holds no videos"):
        find_clips(tmp_path)
    for name in ("a.mp4", "a.mov"):
        (tmp_path / name).touch()
    with pytest.raises(PahaError, match="two videos called 'a'"):
        find_clips(tmp_path)


def test_pairs_by_name_and_by_list(folders, tmp_path):
    real, fake = (find_clips(folder) for folder in folders)
    assert {name: clip.clip_id for name, clip in pair_clips(real, fake).items()} == {"clip0": "clip0", "clip1": "clip1"}
    (tmp_path / "pairs.csv").write_text("real,fake\nclip1,clip0.mp4\n")
    assert {n: c.clip_id for n, c in pair_clips(real, fake, pairs=tmp_path / "pairs.csv").items()} == {"clip0": "clip1"}


@pytest.mark.parametrize(
    ("text", "match"), [("real,made\n", "real,fake"), ("real,fake\nclip0,clip9\n", "row 2: there is no clip 'clip9'")]
)
def test_bad_lists_name_the_row(folders, tmp_path, text, match):
    (tmp_path / "pairs.csv").write_text(text)
    real, fake = (find_clips(folder) for folder in folders)
    with pytest.raises(PahaError, match=match):
        pair_clips(real, fake, pairs=tmp_path / "pairs.csv")


def mean(cost: Interval | str) -> float:
    assert isinstance(cost, Interval), cost
    return cost.mean


def test_time_cost_is_kept_beside_the_videos(tmp_path):
    assert "no cost.json" in str(time_cost(tmp_path))
    record_cost(tmp_path, "a", seconds=10, video_seconds=4)
    record_cost(tmp_path, "b", seconds=20, video_seconds=4)
    assert mean(time_cost(tmp_path)) == 15
    assert mean(time_cost_per_second(tmp_path)) == pytest.approx(3.75)
    # Of a folder that holds more videos than are looked at, those alone count.
    assert mean(time_cost(tmp_path, {"b"})) == 20
    assert mean(time_cost_per_second(tmp_path, ["a"])) == 2.5
    assert "no cost.json" in str(time_cost(tmp_path, {"c"}))
    (tmp_path / "cost.json").write_text("[]")
    with pytest.raises(PahaError, match="seconds by clip name"):
        time_cost(tmp_path)
