"""Nobody in the picture: no instrument answers, no score is 0, nothing is best."""

from pathlib import Path

import numpy as np
import pytest
from toy_videos import make_dataset, sound

import paha
from paha.dataset.manifest import read_manifest, write_manifest
from paha.evaluation.metrics.evaluate import evaluate_videos
from paha.evaluation.metrics.instruments import load_instruments
from paha.evaluation.tables.evaluation_report import tables
from paha.evaluation.tables.render import to_markdown
from paha.extractors.choose import pose_extractor
from paha.media.image_io import read_image
from paha.media.video_io import write_video

SEEN = ("bas", "bas_motion", "lip_r", "lip_loudness_r", "lip_lag", "hand_motion", "hkv", "jerk", "fgd", "motion_beats")


def circles(num_frames: int, seed: int) -> np.ndarray:
    """(T, 96, 96, 3) uint8: five coloured circles that bounce off the border."""
    rng, size = np.random.default_rng(seed), 96
    y, x = np.mgrid[:size, :size] + 0.5
    place, speed, radius = rng.uniform(15, 80, (5, 2)), rng.normal(0, 3, (5, 2)), rng.uniform(6, 18, 5)
    colours, frames = rng.integers(0, 256, (5, 3)), np.empty((num_frames, size, size, 3), np.uint8)
    frames[:] = rng.integers(0, 256, 3)
    for frame in frames:
        place += speed
        speed = np.where((place < 8) | (place > 88), -speed, speed)
        for (cx, cy), r, colour in zip(place, radius, colours, strict=True):
            frame[(x - cx) ** 2 + (y - cy) ** 2 < r**2] = colour
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("circles")
    for number in range(2):
        loud = np.abs(np.sin(np.arange(60) / 4)).astype(np.float32)
        write_video(folder / f"{number}.mp4", circles(60, number), audio=(sound(loud), 16_000), crf=10)
    return folder


def test_the_presenter_reader_finds_a_presenter_and_no_one_in_circles():
    reader = pose_extractor("presenter")
    person = read_image(Path(paha.__file__).parent / "assets/presenter_images/chen.png")
    assert reader.detect(person[None]).keypoints.scores.max() > 0.9
    scores = reader.detect(circles(30, 0)).keypoints.scores
    assert (scores.max(1) == 0).mean() > 0.9


@pytest.mark.parametrize("pose", ["presenter", "auto"])
def test_circles_have_no_score_of_a_person_and_nothing_is_bold(folder, tmp_path, monkeypatch, pose):
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))  # no weights: auto must not take the presenter reader
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    instruments = load_instruments(pose=pose, real=folder, replicates=5)
    assert instruments.pose_name == {"presenter": "presenter", "auto": "none"}[pose]
    found = evaluate_videos(folder, folder, tmp_path / "out", instruments, say=lambda _: None, workers=1)
    for row in found.rows:
        told = {name: row.values.get(name, "absent") for name in SEEN}
        assert all(isinstance(value, str) for value in told.values()), told
    assert isinstance(found.rows[0].values["psnr_face"], str)  # told, not a dash
    assert found.rows[0].values["arms_seen"].mean == pytest.approx(0, abs=0.1)  # pyright: ignore
    text = "".join(to_markdown(table) for table in tables(found))
    assert "**" not in text
    assert "N 2" in text
    assert ("keypoints read by presenter" if pose == "presenter" else "no keypoints") in text


def test_few_clips_are_warned_of(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    instruments = load_instruments(real=folder, replicates=5)
    found = evaluate_videos(folder, folder, tmp_path / "o", instruments, say=lambda _: None, ceilings=False, workers=1)
    assert "N = 2: below 30" in found.warnings[0]


def test_a_photographed_corpus_is_not_read_by_the_reader_of_drawn_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = make_dataset(tmp_path / "d", clips=1, num_frames=10)
    assert load_instruments(real=data).pose_name == "presenter"
    write_manifest(data, [r.model_copy(update={"identity": "still-em2"}) for r in read_manifest(data)])
    assert load_instruments(real=data).pose_name == "none"
