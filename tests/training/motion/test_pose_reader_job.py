"""Training of the pose reader."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from toy_corpus import make_toy_corpus

from paha import presets
from paha.dataset.manifest import read_manifest
from paha.errors import PahaError
from paha.extractors.pixel_codec import PixelCodec
from paha.extractors.pose import PresenterPose
from paha.extractors.pose_reader import PoseReader, PoseReading
from paha.training.loop import fit
from paha.training.motion.augment import blockify, blur, dct_matrix, degrade
from paha.training.motion.frames import load_clip, load_frames
from paha.training.motion.pose_reader_job import (
    CODED_SHARE,
    POSE_READER_TRAIN,
    augment,
    box_iou,
    code,
    codec_transform,
    evaluate_reader,
    frame_errors,
    jitter_box,
    pose_reader_job_on,
    reader_errors,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_toy_corpus(tmp_path_factory.mktemp("corpus") / "toy", clips=3, num_frames=8)


@pytest.fixture(scope="module")
def frames(corpus):
    return load_frames(corpus, every=1, size=128)


@pytest.fixture
def reader():
    torch.manual_seed(0)
    return PoseReader(widths=(8, 16, 16), face_widths=(8, 8, 8), face_hidden=16)


@pytest.fixture(scope="module")
def codec():
    torch.manual_seed(0)
    return PixelCodec.from_codec_config(presets.DEBUG.codec).eval()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def perfect(frames):
    side = frames.images.shape[1]
    sure = np.zeros(len(frames.scores), np.float32)
    return PoseReading(frames.points * side, frames.scores, frames.face_box * side, frames.mouth_open, sure)


def test_box_overlap_closed_forms():
    a = np.array([[0.0, 0, 2, 2]] * 3)
    b = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]])
    np.testing.assert_allclose(box_iou(a, b), [1, 1 / 3, 0])


def test_a_perfect_reading_has_no_errors_and_a_shifted_one_its_shift(frames):
    errors = frame_errors(perfect(frames), frames)
    assert errors["box_iou"] == pytest.approx(1)
    assert all(value == pytest.approx(0, abs=1e-4) for name, value in errors.items() if name != "box_iou")
    shifted = replace(perfect(frames), points=perfect(frames).points + np.array([3, 4]))
    assert frame_errors(shifted, frames)["px_face"] == pytest.approx(5, abs=1e-3)


def test_points_that_nobody_sees_count_nowhere(frames):
    blind = replace(frames, scores=np.zeros_like(frames.scores))
    assert np.isnan(frame_errors(perfect(frames), blind)["px_all"])


def test_the_truth_moves_with_the_frames(frames):
    """Augmented: the mean colour inside the true face box stays the face's."""
    x, truth = augment(frames, codec=None, generator=generator(3))
    assert x.shape == (len(frames), 3, 128, 128)
    assert x.abs().max() <= 1
    for picture, box in zip(x, (truth.face_box * 128).round().int(), strict=True):
        x0, y0, x1, y1 = box.clamp(0, 127).tolist()
        inner = picture[0, y0 + 20 : y0 + 26, (x0 + x1) // 2 - 3 : (x0 + x1) // 2 + 3].mean()
        assert inner > picture[0, :6, :6].mean() + 0.1
        assert y1 > y0


def test_augmentation_is_a_function_of_the_generator(frames, codec):
    batches = [augment(frames.pick(slice(0, 4)), codec=codec, generator=generator(s))[0] for s in (1, 1, 2)]
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])


def test_only_the_stated_share_is_coded(frames, codec):
    x = torch.rand(10, 3, 128, 128) * 2 - 1
    coded = code(x, codec, generator=generator())
    changed = (coded != x).flatten(1).any(1)
    assert changed.tolist() == [True] * round(10 * CODED_SHARE) + [False] * (10 - round(10 * CODED_SHARE))


def test_the_dct_is_orthonormal_and_fine_steps_change_nothing():
    torch.testing.assert_close(dct_matrix() @ dct_matrix().mT, torch.eye(8), atol=1e-6, rtol=0)
    x = torch.rand(2, 3, 16, 24, generator=generator()) * 2 - 1
    torch.testing.assert_close(blockify(x, 1e-5), x, atol=1e-3, rtol=0)
    assert (blockify(x, 0.3) - x).abs().mean() > 0.05


def test_blur_keeps_the_mean_and_lowers_the_contrast():
    x = torch.rand(1, 3, 32, 32, generator=generator())
    soft = blur(x, 1.5)
    assert soft.mean() == pytest.approx(float(x.mean()), abs=0.02)
    assert soft.std() < 0.5 * x.std()
    flat = torch.full((1, 3, 16, 16), 0.3)
    torch.testing.assert_close(blur(flat, 1.0), flat)


def test_degraded_frames_stay_in_range_and_some_stay_whole():
    x = torch.rand(40, 3, 16, 16, generator=generator()) * 2 - 1
    worse = degrade(x, generator=generator(1))
    assert worse.abs().max() <= 1
    whole = (worse == x).flatten(1).all(1).float().mean()
    assert 0.05 < whole < 0.8


def test_jittered_boxes_stay_near(frames):
    box = torch.from_numpy(frames.face_box)
    moved = jitter_box(box, generator=generator())
    assert 0 < (moved - box).abs().max() <= 0.05 + 1e-6


def test_unknown_mouths_and_unseen_points_cost_nothing(frames, reader):
    x, truth = augment(frames.pick(slice(0, 4)), codec=None, generator=generator())
    output = reader.eval()(x)
    unknown = replace(truth, mouth_open=torch.full((4,), torch.nan), score_logits=torch.zeros(4, 133))
    errors = reader_errors(output, unknown)
    assert errors["mouth"] == errors["coarse"] == errors["points"] == 0
    assert reader_errors(output, truth)["mouth"] > 0


def test_a_short_training_learns_is_saved_and_reads_better(corpus, frames, reader, codec, tmp_path):
    before = cast(dict[str, Any], evaluate_reader(reader.eval(), corpus))
    job = pose_reader_job_on(reader, frames, batch_size=6, codec=codec)
    train = POSE_READER_TRAIN.model_copy(
        update={"steps": 30, "warmup_steps": 3, "ema_decay": 0.8, "mixed_precision": "no", "sample_every": 30}
    )
    fit(job, train.model_copy(update={"learning_rate": 5e-3}), tmp_path, progress=False)
    pose = PresenterPose.load(tmp_path / "model")
    after = cast(dict[str, Any], evaluate_reader(pose.reader, corpus))
    assert after["px_all"] < 0.7 * before["px_all"]
    assert after["box_iou"] > before["box_iou"]
    assert set(after["mouth_r_clips"]) == {"clip0", "clip1", "clip2"}
    assert after["mouth_r"] == pytest.approx(np.mean(list(after["mouth_r_clips"].values())))
    assert (tmp_path / "samples" / "000030.png").stat().st_size > 1000
    clip = load_clip(corpus, read_manifest(corpus)[0])
    track = pose.detect(clip.images)
    assert track.keypoints.points.shape == (8, 133, 2)
    assert track.face_box.shape == (8, 4)
    assert track.mouth_open is not None


def test_frames_can_be_coded_before_they_are_read(corpus, reader, codec):
    coded = evaluate_reader(reader.eval(), corpus, transform=codec_transform(codec))
    plain = evaluate_reader(reader, corpus)
    assert coded["px_all"] != plain["px_all"]


def test_a_folder_without_a_reader_is_named(tmp_path):
    with pytest.raises(PahaError, match="paha train pose-reader"):
        PresenterPose.load(tmp_path)
