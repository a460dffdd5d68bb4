"""The presenter corpus: a function of its seeds, resumable, and what it says on disk is what was drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paha.dataset.manifest import load_annotations, read_manifest
from paha.dataset.synth.clip import ClipPlan, plan_scene
from paha.dataset.synth.corpus import HELD_OUT_SEED, make_corpus, plan_corpus
from paha.dataset.synth.speech import speak
from paha.errors import PahaError
from paha.media.audio_io import read_audio, write_wav
from paha.media.video_io import read_image, read_video

OPTIONS = {"size": 64, "seconds": (0.4, 0.6), "workers": 1, "progress": False}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    make_corpus(out, clips=3, seed=7, **OPTIONS)
    return out


def contents(out: Path) -> dict[str, bytes]:
    """All files but the pictures: x264 makes of the same pixels now and then other bytes, a hair apart when decoded."""
    files = (p for p in sorted(out.rglob("*")) if p.is_file() and p.suffix not in (".mp4", ".png"))
    return {str(p.relative_to(out)): p.read_bytes() for p in files}


def pictures(out: Path) -> np.ndarray:
    return np.concatenate([read_video(out / record.video) for record in read_manifest(out)]).astype(np.float32)


def test_files_agree_with_the_manifest(corpus: Path) -> None:
    records = read_manifest(corpus)
    assert [r.seed for r in records] == [7, 8, 9]
    assert len({r.identity for r in records}) == 3
    for record in records:
        frames = read_video(corpus / record.video)
        annotations = load_annotations(corpus / record.annotations)
        samples, rate_hz = read_audio(corpus / record.audio)
        assert frames.shape == (record.num_frames, 64, 64, 3)
        assert annotations.keypoints.points.shape == (record.num_frames, 133, 2)
        assert samples.shape == (record.num_frames * 640, 1)
        assert rate_hz == 16_000
        assert set(annotations.rig) >= {"mouth_open", "left_wrist", "speaking"}
        assert record.text
        assert record.language in ("en", "cmn")
    assert read_image(corpus / "sheet.png").shape[1] > 64 * 5
    assert not list(corpus.rglob("*.partial"))


def test_the_face_box_holds_the_face(corpus: Path) -> None:
    for record in read_manifest(corpus):
        annotations = load_annotations(corpus / record.annotations)
        centre = annotations.keypoints.points[:, 23:91].mean(axis=1)
        x0, y0, x1, y1 = annotations.face_box.T
        assert ((centre[:, 0] > x0) & (centre[:, 0] < x1) & (centre[:, 1] > y0) & (centre[:, 1] < y1)).all()


def test_a_lost_clip_is_made_again_as_it_was(corpus: Path) -> None:
    before, shown = contents(corpus), pictures(corpus)
    lost = corpus / "clips/synth-000008.mp4"
    kept = (corpus / "clips/synth-000007.mp4").stat().st_mtime_ns
    lost.unlink()
    make_corpus(corpus, clips=3, seed=7, **OPTIONS)
    assert contents(corpus) == before
    assert np.abs(pictures(corpus) - shown).mean() < 0.5
    assert (corpus / "clips/synth-000007.mp4").stat().st_mtime_ns == kept


def test_workers_make_the_same_corpus(corpus: Path, tmp_path: Path) -> None:
    make_corpus(tmp_path, clips=3, seed=7, **{**OPTIONS, "workers": 2})
    assert contents(tmp_path) == contents(corpus)
    assert np.abs(pictures(tmp_path) - pictures(corpus)).mean() < 0.5


def test_a_folder_keeps_to_its_options(corpus: Path) -> None:
    with pytest.raises(PahaError, match="begun with other options"):
        make_corpus(corpus, clips=3, seed=7, **{**OPTIONS, "size": 32})


def test_a_dataset_of_another_making_is_left_as_it_is(corpus: Path, tmp_path: Path) -> None:
    manifest = (corpus / "manifest.jsonl").read_bytes()
    (tmp_path / "manifest.jsonl").write_bytes(manifest)
    with pytest.raises(PahaError, match="did not make"):
        make_corpus(tmp_path, clips=1, **OPTIONS)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("manifest.jsonl", manifest)]


def test_scenes_follow_their_seed_and_begin_anywhere() -> None:
    plans = plan_corpus(clips=4, seconds=(1.0, 2.0))
    scenes = [plan_scene(plan) for plan in plans]
    assert len({scene.text for scene in scenes}) == 4
    np.testing.assert_array_equal(scenes[2].samples, plan_scene(plans[2]).samples)
    for scene in scenes:
        assert 25 <= len(scene.rig) <= 50
        assert len(scene.samples) == 640 * len(scene.rig)


def test_a_small_cast_plays_many_clips() -> None:
    plans = plan_corpus(clips=7, seed=20, characters=3)
    assert [plan.character_seed for plan in plans] == [20, 21, 22, 20, 21, 22, 20]
    assert len({plan.seed for plan in plans}) == 7


def test_recordings_are_used_by_about_half_of_the_clips(tmp_path: Path) -> None:
    talk = speak("Nobody believed the young doctor, but the bridge remained perfectly stable.", voice="en-us")
    write_wav(tmp_path / "talk.wav", talk.samples, 16_000)
    plans = plan_corpus(clips=12, seconds=(0.5, 0.6), recordings=[tmp_path / "talk.wav"])
    scenes = [plan_scene(plan) for plan in plans]
    recorded = [scene for scene in scenes if scene.source == "talk.wav"]
    assert 3 <= len(recorded) <= 9
    assert all(scene.text == "" and scene.rig.mouth_open.max() > 0.1 for scene in recorded)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 0}, "at least 1"),
        ({"clips": 2, "characters": 0}, "at least 1"),
        ({"clips": 2, "seed": HELD_OUT_SEED - 1}, "held-out"),
        ({"clips": 2, "seed": -1}, "held-out"),
        ({"clips": 2, "size": 33}, "even number"),
        ({"clips": 2, "seconds": (3.0, 1.0)}, "shortest"),
        ({"clips": 2, "seconds": (1e9, 1e9)}, "0.2 to 600"),
        ({"clips": 2, "seconds": (float("inf"), float("inf"))}, "0.2 to 600"),
        ({"clips": 2, "seconds": (1.0, float("nan"))}, "0.2 to 600"),
        ({"clips": 2, "languages": ("en", "fr")}, "some of en, cmn"),
    ],
)
def test_senseless_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(PahaError, match=message):
        plan_corpus(**options)


def test_training_and_held_out_seeds_are_both_allowed() -> None:
    assert plan_corpus(clips=2, seed=HELD_OUT_SEED)[0].seed == HELD_OUT_SEED
    last = plan_corpus(clips=2, seed=HELD_OUT_SEED - 2)[-1]
    assert isinstance(last, ClipPlan)
    assert last.seed == HELD_OUT_SEED - 1
