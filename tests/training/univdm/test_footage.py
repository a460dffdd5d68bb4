"""Filmed people as motion latents: what a film shows is what is trained on."""

import json

import numpy as np
import pytest
import torch
from people import gentle_motion, keypoints, scores
from typer.testing import CliRunner

from paha.cli.main import app
from paha.dataset.manifest import ClipAnnotations, save_annotations, write_manifest
from paha.dataset.synth.motion_dataset import MotionDataset, clip_tensors
from paha.errors import PahaError
from paha.media.audio_io import write_wav
from paha.motion.geometry import Geometry
from paha.motion.motion_codec import PersonGrid
from paha.motion.person import measure, move_points
from paha.presets import preset
from paha.training.univdm.footage import IN_STEP, FootageDataset, FootageMix, filled
from paha.training.univdm.motion_probe import lip_scores
from paha.types import FACE, LEFT_HAND, ClipRecord, Keypoints

CONFIG = preset("presenter")
FRAMES = 60


def make_film(folder, *, clips=2, num_frames=FRAMES, change=lambda points, scores: None, in_step=False):
    """A dataset as `paha prepare` leaves it (but for the picture, which nobody reads): people who move gently."""
    records = []
    for number in range(clips):
        name = f"film-{number}"
        points = move_points(keypoints(), gentle_motion(num_frames, seed=number)).astype(np.float32)
        seen = np.repeat(scores()[None], num_frames, 0)
        change(points, seen)
        stem = folder / "clips" / name
        save_annotations(
            stem.with_suffix(".safetensors"), ClipAnnotations(Keypoints(points, seen), np.zeros((num_frames, 4)))
        )
        noise = np.random.default_rng(number).normal(0, 0.1, num_frames * 640).astype(np.float32)
        if in_step:
            noise *= np.repeat(measure(points).mouth_open, 640).astype(np.float32) * 20
        write_wav(stem.with_suffix(".wav"), noise.clip(-1, 1), 16_000)
        stem.with_suffix(".mp4").write_bytes(name.encode())
        records.append(
            ClipRecord(
                clip_id=name,
                identity="me",
                source="film",
                video=f"clips/{name}.mp4",
                audio=f"clips/{name}.wav",
                annotations=f"clips/{name}.safetensors",
                num_frames=num_frames,
                width=600,
                height=900,
            )
        )
    write_manifest(folder, records)
    return folder


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_film(tmp_path_factory.mktemp("film"))


def test_latents_of_a_film_hold_the_person_s_own_motion(film):
    dataset = FootageDataset([film], config=CONFIG)
    clip = dataset.clips[0]
    window = dataset.window(clip, 10, 3)
    grid = PersonGrid(Geometry.of(window.points, window.scores))
    made = grid.read(clip_tensors(window)["latents"])
    true = gentle_motion(FRAMES, seed=0)
    true = true.frames(slice(10, 10 + CONFIG.num_frames)).relative_to(true.frames(slice(3, 4)))
    for name in ("mouth_open", "head_shift", "head_rotation", "parts"):
        a, b = (getattr(motion, name).reshape(CONFIG.num_frames, -1) for motion in (true, made))
        moving = a.std(0) > 1e-3
        r = [np.corrcoef(a[:, k], b[:, k])[0, 1] for k in np.flatnonzero(moving)]
        assert min(r) > 0.9, name  # fitted over time, as a film's points are
        assert np.allclose(a, b, atol=0.1), name


def test_batches_are_those_of_a_seed_and_look_like_the_stream_s(film):
    dataset = FootageDataset([film], config=CONFIG)
    one, two = (dataset.batch(torch.Generator().manual_seed(3), 5) for _ in range(2))
    assert one.clip_ids == two.clip_ids
    assert torch.equal(one.latents, two.latents)
    assert one.latents.shape == (5, CONFIG.num_frames, 12, 8, 8)
    assert one.audio.shape == (5, CONFIG.num_frames, 5, CONFIG.model.audio_layers, CONFIG.model.audio_dim)
    assert one.latents.std() < 3
    assert torch.isfinite(one.latents).all()
    assert not one.ref_latent.any()
    other = dataset.batch(torch.Generator().manual_seed(4), 5)
    assert not torch.equal(one.latents, other.latents)


def test_a_point_that_is_lost_for_a_moment_is_drawn_between(film):
    points, seen = np.zeros((9, 133, 2), np.float32), np.ones((9, 133), np.float32)
    points[:, 10, 0] = np.arange(9)
    points[3:6, 10], seen[3:6, 10] = 500, 0
    fixed = filled(Keypoints(points, seen))
    assert np.abs(fixed.points[3:6, 10, 0] - [3, 4, 5]).max() < 0.5
    assert (fixed.scores[:, 10] == 1).all()


def test_what_a_film_never_shows_is_no_motion(tmp_path):
    def without_hands(points, seen):
        seen[:, 9:11] = seen[:, LEFT_HAND.start :] = 0

    dataset = FootageDataset([make_film(tmp_path, clips=1, change=without_hands)], config=CONFIG)
    window = dataset.window(dataset.clips[0], 0, 0)
    made = PersonGrid(Geometry.of(window.points, window.scores)).read(clip_tensors(window)["latents"])
    assert not made.parts[:, 4:6].any()
    assert not made.hand_rotation.any()
    assert made.parts[:, 0].any()


def test_clips_without_a_face_or_too_short_are_left_out_and_told(tmp_path):
    def faceless(points, seen):
        seen[:20, FACE] = 0

    folder = make_film(tmp_path, clips=1, change=faceless)
    with pytest.raises(PahaError, match="its face is seen in less than 90%"):
        FootageDataset([folder], config=CONFIG)
    with pytest.raises(PahaError, match="shorter than 32 frames"):
        FootageDataset([make_film(tmp_path / "short", clips=1, num_frames=20)], config=CONFIG)


def test_a_film_with_another_s_sound_is_told_from_its_own(film, tmp_path):
    own = make_film(tmp_path, in_step=True)
    assert FootageDataset([film], config=CONFIG).lips_r < IN_STEP < 0.5 < FootageDataset([own], config=CONFIG).lips_r


@pytest.mark.parametrize(("share", "filmed"), [(0.5, 2), (0.0, 1), (0.3, 1), (1.0, 4)])
def test_the_share_of_a_batch_that_is_filmed(film, share, filmed):
    stream = MotionDataset(CONFIG, workers=0)
    assert FootageMix(FootageDataset([film], config=CONFIG), stream, share=share).num_filmed(4) == filmed


def test_fine_tuning_starts_from_the_shipped_model_and_notes_the_film(film, tmp_path):
    out = tmp_path / "me"
    words = ["train", "univdm", "--preset", "presenter", "--data", film, "--init", "shipped", "--footage-share", "1"]
    words += ["--steps", "1", "--set", "train.batch_size=1", "--set", "train.sample_every=0", "--out", out]
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    assert "footage: 2 clips, 5 s, of 1 people" in result.output
    assert "warning: the mouths hardly follow the sound" in result.output
    note = json.loads((out / "model/training_data.json").read_text())["datasets"][0]
    assert note["clips"].keys() == {"film-0", "film-1"}
    assert (out / "model/univdm/diffusion_pytorch_model.safetensors").is_file()


def test_the_probe_compares_with_what_was_filmed(film):
    held_out = FootageDataset([film], config=CONFIG).held_out(3)
    assert len(held_out.true) == len(held_out.grids) == len(held_out.batch.latents) == 2
    read = [grid.read(z) for grid, z in zip(held_out.grids, held_out.batch.latents, strict=True)]
    assert lip_scores(held_out.true, read)["probe/lips_r"] > 0.99
