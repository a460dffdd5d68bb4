"""A kept measurement counts only for the very files it was made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_videos import SIZE, make_dataset, sound

from paha.dataset.manifest import ClipAnnotations, load_annotations, save_annotations
from paha.evaluation.metrics.clips import find_clips
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.measure import measured
from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder
from paha.media.audio_io import write_wav
from paha.types import Keypoints


@pytest.fixture
def clips(tmp_path):
    return find_clips(make_dataset(tmp_path / "data", clips=2, num_frames=12))


@pytest.fixture(scope="module")
def exact():
    torch.manual_seed(0)
    return Instruments(None, "exact", "", PoseAutoencoder().eval(), absent={"i3d": "none", "syncnet": "none"})


def change_keypoints(clip):
    """Move every point of the clip by one pixel."""
    kept = load_annotations(clip.annotations)
    moved = Keypoints(kept.keypoints.points + 1, kept.keypoints.scores)
    save_annotations(clip.annotations, ClipAnnotations(moved, kept.face_box, kept.rig))


def test_exact_keypoints_that_changed_are_read_again(clips, exact, tmp_path):
    path = tmp_path / "kept.safetensors"
    before = measured(clips[0], exact, path).keypoints.points
    change_keypoints(clips[0])
    np.testing.assert_allclose(measured(clips[0], exact, path).keypoints.points, before + 1, atol=1e-4)


def test_a_sound_that_changed_is_measured_again_and_an_unchanged_clip_is_not(clips, exact, tmp_path):
    path = tmp_path / "kept.safetensors"
    measured(clips[0], exact, path)
    first = path.stat().st_mtime_ns
    measured(clips[0], exact, path)
    assert path.stat().st_mtime_ns == first
    write_wav(clips[0].audio, sound(np.ones(12, np.float32)), 16_000)
    measured(clips[0], exact, path)
    assert path.stat().st_mtime_ns != first


def test_errors_against_a_truth_are_measured_again_where_its_keypoints_changed(clips, exact, tmp_path):
    """They say which pixels are the face's and the hands'."""
    truth, made = clips
    truth_path, path = tmp_path / "true.safetensors", tmp_path / "made.safetensors"

    def hands_psnr_db() -> float:
        measured(truth, exact, truth_path)
        return float(measured(made, exact, path, truth=truth, truth_path=truth_path).errors["hands"][0])

    before = hands_psnr_db()
    kept = load_annotations(truth.annotations)
    points = kept.keypoints.points.copy()
    points[:, 91:133] = SIZE / 2 + 0.2 * (points[:, 91:133] - SIZE / 2)
    moved = replace(kept, keypoints=Keypoints(points, kept.keypoints.scores))
    save_annotations(truth.annotations, moved)
    assert hands_psnr_db() != pytest.approx(before, abs=1e-6)


def test_videos_are_brought_to_the_size_that_is_asked_for_and_exact_points_with_them(clips, exact, tmp_path):
    whole = measured(clips[0], exact, tmp_path / "whole.safetensors")
    half = measured(clips[0], replace(exact, size=SIZE // 2), tmp_path / "whole.safetensors")
    assert (whole.height, half.height, half.width) == (SIZE, SIZE // 2, SIZE // 2)
    np.testing.assert_allclose(half.keypoints.points, whole.keypoints.points / 2, atol=1e-4)
    np.testing.assert_allclose(half.face_box, whole.face_box / 2, atol=1e-4)
    assert half.flicker == pytest.approx(whole.flicker, rel=0.5)
