"""`paha inspect --par`: what it writes, and the one line that it ends in where something is wrong."""

import json

import numpy as np
import pytest
from toy_corpus import make_toy_corpus

from paha.config import ParConfig
from paha.dataset.inspect import COMMENT, SHEET_MOMENTS
from paha.dataset.manifest import load_annotations, read_manifest, save_annotations
from paha.dataset.par_overlay import weigh_clip
from paha.dataset.posed_clips import VideoReader
from paha.extractors.weights import FOLDER_VARIABLE
from paha.media.image_io import read_image
from paha.media.video_io import read_video, write_video

TAUS = ["configured", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]


@pytest.fixture
def data(tmp_path):
    return make_toy_corpus(tmp_path / "data", clips=3, num_frames=6)


def test_a_dataset_gets_overlays_of_some_clips_and_statistics_of_all(paha, data, tmp_path):
    out = tmp_path / "seen"
    ended = paha("inspect", data, "--par", "-o", out, "--clips", 2, "--set", "par.radius=20")
    assert "| 0.8 | face | 100.0% | 100.0% |" in ended.done()
    made = sorted(path.name for path in out.iterdir())
    overlays = [f"clip{n}_par.{ending}" for n in (0, 2) for ending in ("mp4", "png")]
    assert made == sorted([*overlays, "par_stats.json", "par_stats.md", "par_stats.png"])
    video, sheet = read_video(out / "clip0_par.mp4"), read_image(out / "clip0_par.png")
    assert len(video) == 6
    assert video.shape[2] == sheet.shape[1]
    assert sheet.shape[0] > (SHEET_MOMENTS - 1) * video.shape[1]
    stats = json.loads((out / "par_stats.json").read_text())
    assert (stats["frames"], stats["par"]["radius"]) == (18, 20)
    assert [row["tau"] for row in stats["rows"][::4]] == TAUS
    for rows in (stats["rows"][i : i + 4] for i in range(0, 32, 4)):
        assert sum(row["loss_share"] for row in rows) == pytest.approx(1)
    assert stats["rows"][1]["frames_half"] == 1  # the right hand is always seen, the left one never
    assert stats["rows"][1]["points"] == pytest.approx(0.5)


def test_a_clip_of_a_dataset_is_drawn_with_its_annotations_and_an_extractor_may_be_chosen(paha, data, tmp_path):
    video = data / "clips" / "clip1.mp4"
    assert (
        "points: the dataset's annotations" not in (ended := paha("inspect", video, "--par", "-o", tmp_path / "a")).err
    )
    assert "6 frames, keypoints from the dataset's annotations" in ended.done()
    ended = paha("inspect", video, "--par", "-o", tmp_path / "b", "--pose", "presenter", "--seconds", 0.12)
    assert "3 frames, keypoints from the presenter pose reader" in ended.done()
    assert "drawn presenters only" in ended.err


def test_without_mediapipes_models_the_presenter_reader_reads_and_says_so(paha, tmp_path, monkeypatch):
    empty = tmp_path / "no_weights"
    empty.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(empty))
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty))
    write_video(tmp_path / "raw.mp4", np.full((3, 48, 64, 3), 90, np.uint8))
    ended = paha("inspect", tmp_path / "raw.mp4", "--par", "-o", tmp_path / "out")
    assert "keypoints from the presenter pose reader" in ended.done()
    assert FOLDER_VARIABLE in ended.err
    assert COMMENT.encode() in (tmp_path / "out" / "raw_par.mp4").read_bytes()


def test_it_goes_on_after_a_damaged_clip_and_names_it(paha, data, tmp_path):
    (data / "clips" / "clip0.mp4").write_bytes(b"no video")
    ended = paha("inspect", data, "--par", "-o", tmp_path / "out")
    assert "clip0" in ended.last_error
    assert "1 clips failed" in ended.last_error
    assert (tmp_path / "out" / "clip1_par.mp4").is_file()
    assert (tmp_path / "out" / "par_stats.json").is_file()


def test_annotations_shorter_than_the_video_are_refused(paha, data, tmp_path):
    record = read_manifest(data)[0]
    path = data / record.annotations
    known = load_annotations(path)
    short = type(known.keypoints)(known.keypoints.points[:3], known.keypoints.scores[:3])
    save_annotations(path, type(known)(short, known.face_box[:3]))
    ended = paha("inspect", data / record.video, "--par", "-o", tmp_path / "out")
    assert "more frames than its annotations" in ended.last_error


def test_mistakes_end_in_one_line(paha, data, tmp_path):
    paha("inspect", data, "-o", tmp_path / "out").error("--par")
    paha("inspect", tmp_path / "nowhere.mp4", "--par", "-o", tmp_path / "out").error("nowhere.mp4")
    paha("inspect", data, "--par", "-o", tmp_path / "out", "--pose", "guess").error("guess")
    (tmp_path / "file").write_text("")
    paha("inspect", data, "--par", "-o", tmp_path / "file").error(tmp_path / "file")


def centre(mask):
    """(x, y) in [0, 1] of a mask (H, W)."""
    y, x = np.nonzero(mask)
    return (x.mean() + 0.5) / mask.shape[1], (y.mean() + 0.5) / mask.shape[0]


@pytest.fixture
def mediapipe(shared, monkeypatch):
    """MediaPipe with the models of ../shared/weights."""
    pytest.importorskip("mediapipe")
    if not (shared / "weights" / "hand_landmarker.task").is_file():
        pytest.skip("no MediaPipe models: ../shared/weights is missing")
    monkeypatch.setenv(FOLDER_VARIABLE, str(shared / "weights"))
    return shared / "media" / "clips"


def test_face_hands_and_body_of_a_real_clip_are_where_they_are(mediapipe):
    with VideoReader("mediapipe") as reader:
        clip = reader.load(mediapipe / "latentsync_demo1.mp4", seconds=0.2)
    weights = weigh_clip(clip, ParConfig(hand_threshold=0.3), downsample=8)
    # As a person sees them in the picture: a seated woman, her hands in her lap.
    assert centre(weights.face[-1]) == pytest.approx((0.55, 0.38), abs=0.05)
    assert centre(weights.body[-1]) == pytest.approx((0.58, 0.66), abs=0.06)
    hands = weights.hand.any(0)
    if hands.any():
        assert centre(hands) == pytest.approx((0.53, 0.78), abs=0.06)
    assert weights.M[0][:100].max() == 1  # the sky


def test_the_face_of_a_grid_clip_is_where_it_is(mediapipe):
    with VideoReader("mediapipe") as reader:
        clip = reader.load(mediapipe / "grid_bbaf2n.mpg", seconds=0.12)
    weights = weigh_clip(clip, ParConfig(), downsample=8)
    assert centre(weights.face[0]) == pytest.approx((0.43, 0.67), abs=0.05)
    assert not weights.hand.any()
