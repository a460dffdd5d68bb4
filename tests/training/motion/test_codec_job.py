"""Training of the autoencoder of pixels."""

import numpy as np
import pytest
import torch
from toy_corpus import MOUTH, keypoints, make_toy_corpus

from paha import presets
from paha.dataset.manifest import write_manifest
from paha.errors import PahaError
from paha.extractors.codec import load_codec
from paha.extractors.pixel_codec import PixelCodec
from paha.training.job import StepContext
from paha.training.loop import fit
from paha.training.motion.augment import inside, pixel_shifts, warp, warp_points
from paha.training.motion.codec_job import (
    CODEC_TRAIN,
    PARTS,
    augment,
    codec_job,
    codec_loss,
    draw_latent_noise,
    evaluate_codec,
    part_mask,
    part_weight,
    weighted_mean,
)
from paha.training.motion.frames import load_frames, to_images, to_pixels

CONTEXT = StepContext(step=0, micro=0, seed=0, rank=0, world_size=1, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_toy_corpus(tmp_path_factory.mktemp("corpus") / "toy", clips=3, num_frames=8)


@pytest.fixture(scope="module")
def frames(corpus):
    return load_frames(corpus, every=1)


def toy_points(count=1):
    points, scores = keypoints(size=1, x=0.5, y=0.5, mouth_open=0.5)
    return torch.from_numpy(points).expand(count, -1, -1), torch.from_numpy(scores).expand(count, -1)


def test_frames_come_with_normalised_annotations(frames):
    assert len(frames) == 24
    assert frames.images.shape == (24, 32, 32, 3)
    assert 0 <= frames.points.min() <= frames.points.max() <= 1
    np.testing.assert_allclose(frames.face_box[:, 2] - frames.face_box[:, 0], 0.5, atol=1e-5)
    assert frames.clip.tolist() == [0] * 8 + [1] * 8 + [2] * 8


def test_fewer_frames_are_read_from_every_clip_to_fit_the_limit(corpus):
    few = load_frames(corpus, every=3, max_frames=6)
    assert len(few) == 6
    assert set(few.clip) == {0, 1, 2}


def test_frames_can_be_resized(corpus, frames):
    large = load_frames(corpus, every=8, size=64)
    assert large.images.shape[1:] == (64, 64, 3)
    np.testing.assert_allclose(large.points[0], frames.points[0])


def test_a_folder_without_clips_is_named(tmp_path):
    write_manifest(tmp_path, [])
    with pytest.raises(PahaError, match=r"no clips.*paha synth"):
        load_frames(tmp_path)


def test_pixels_and_images_are_inverse(frames):
    assert np.array_equal(to_images(to_pixels(frames.images)), frames.images)


def test_a_mouth_pixel_weighs_most_and_an_unseen_hand_nothing():
    points, scores = toy_points()
    size = {"height": 32, "width": 32}
    weight = part_weight(points, scores, **size)
    mouth = part_mask(points, scores, "mouth", **size)
    assert weight.shape == (1, 1, 32, 32)
    assert (weight[mouth] == PARTS["mouth"][1]).all()
    assert 0 < mouth.float().mean() < 0.1
    assert weight[..., 0, 0] == 1
    scores = torch.zeros_like(scores)
    assert (part_weight(points, scores, **size) == 1).all()


def test_equal_weights_give_the_plain_mean_and_unequal_ones_count():
    error = torch.zeros(1, 3, 4, 4)
    error[..., 0, 0] = 1
    assert weighted_mean(error, torch.full((1, 1, 4, 4), 5.0)) == pytest.approx(1 / 16)
    weight = torch.ones(1, 1, 4, 4)
    weight[..., 0, 0] = 17
    assert weighted_mean(error, weight) == pytest.approx(17 / 32)


def test_points_move_with_the_picture():
    x = torch.full((6, 3, 32, 32), -1.0)
    x[:, :, 20, 9] = 1
    theta = pixel_shifts(6, pixels=4, size=32, flip=True, generator=torch.Generator().manual_seed(1))
    moved = warp_points(torch.tensor([[[9.5, 20.5]]]).expand(6, -1, -1) / 32, theta)
    brightest = warp(x, theta)[:, 0].flatten(1).argmax(1)
    expected = torch.stack([brightest % 32, brightest // 32], 1) + 0.5
    torch.testing.assert_close(moved[:, 0] * 32, expected, atol=1e-3, rtol=0)
    assert len({tuple(p) for p in expected.tolist()}) > 3
    assert inside(moved).all()


def test_augmented_batches_are_a_function_of_the_generator(frames):
    first, second = (augment(frames, generator=torch.Generator().manual_seed(5))[0] for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(frames, generator=torch.Generator().manual_seed(6))[0])


def test_latent_noise_differs_in_strength_from_frame_to_frame():
    std = draw_latent_noise(torch.Size((64, 4, 8, 8)), generator=torch.Generator().manual_seed(0)).std((1, 2, 3))
    assert std.min() < 0.05
    assert 0.15 < std.max() < 0.25


def test_the_loss_falls_on_the_mouth_first_if_only_the_mouth_is_wrong(frames):
    """The gradient of a decoder's last layer is larger for an error at the mouth than for the same one elsewhere."""
    picked = frames.pick(slice(0, 1))
    points, scores = torch.from_numpy(picked.points), torch.from_numpy(picked.scores)
    weight = part_weight(points, scores, height=32, width=32)
    x, y = (picked.points[0, MOUTH].mean(0) * 32).astype(int)
    error = torch.zeros(1, 3, 32, 32, requires_grad=True)
    weighted_mean((error + 0.1).abs(), weight).backward()
    assert error.grad is not None
    assert error.grad[0, 0, y, x] > 10 * error.grad[0, 0, 0, 0] > 0


def test_a_short_training_learns_and_its_model_loads(corpus, frames, tmp_path):
    config = presets.DEBUG
    torch.manual_seed(0)
    job = codec_job(config, corpus, every=2)
    assert isinstance(job.model, PixelCodec)
    before = evaluate_codec(job.model.eval(), frames)
    changes = {"steps": 200, "batch_size": 4, "warmup_steps": 5, "ema_decay": 0.9, "sample_every": 200}
    fit(job, CODEC_TRAIN.model_copy(update=changes), tmp_path, progress=False)
    codec = load_codec(config.codec, tmp_path / "model")
    assert isinstance(codec, PixelCodec)
    after = evaluate_codec(codec, frames)
    assert after["psnr"] > before["psnr"] + 0.1
    assert after.keys() == {"psnr", "psnr_face", "psnr_eyes", "psnr_mouth", "psnr_hands"}
    z = torch.cat([codec.encode(x) for x in load_frames(corpus, every=2).pixel_batches(8)])
    torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(4), atol=0.1, rtol=0)
    assert (tmp_path / "samples" / "000200.png").stat().st_size > 1000


def test_a_better_refiner_leaves_cached_features_valid(corpus, frames):
    from paha.dataset.features import features_key

    codec = codec_job(presets.DEBUG, corpus, every=2).model
    assert isinstance(codec, PixelCodec)
    key = features_key(presets.DEBUG, [codec])
    torch.nn.init.normal_(codec.refiner.conv_out.weight)
    assert features_key(presets.DEBUG, [codec]) == key
    codec.analysis.weight[0, 0, 0, 0] += 1
    assert features_key(presets.DEBUG, [codec]) != key


def test_the_loss_is_finite_in_low_precision_too(frames):
    torch.manual_seed(0)
    model = PixelCodec.from_codec_config(presets.DEBUG.codec).train()

    def loss():
        return codec_loss(model, CONTEXT, codec=model, frames=frames, batch_size=4)

    exact, _ = loss()
    with torch.autocast("cpu", torch.bfloat16):
        low, scalars = loss()
    assert scalars.keys() == {"pixel", "square"}
    assert low.item() == pytest.approx(exact.item(), rel=0.05)
