"""FGD and Diversity."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import numpy as np
import pytest
import torch
from toy_videos import keypoints_of, loudness

from paha.errors import PahaError
from paha.evaluation.metrics.gestures import (
    BONES,
    MID_SHOULDER,
    POSE_DIM,
    Diversity,
    bone_directions,
    gesture_features,
    load_autoencoder,
    pair_distances,
    pose_windows,
)
from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder
from paha.types import LEFT_HAND, Keypoints


def clip(number=0, frames=100):
    return keypoints_of(loudness(number, frames), number)


@pytest.fixture(scope="module")
def autoencoder():
    torch.manual_seed(0)
    return PoseAutoencoder().eval()


def test_the_bones_are_a_tree_over_head_arms_and_fingers():
    assert len(BONES) == 47
    assert POSE_DIM == 94
    ends = BONES[:, 1].tolist()
    assert len(set(ends)) == len(ends)
    assert set(BONES[:7, 0]) == {MID_SHOULDER, 5, 6, 7, 8}
    assert [tuple(b) for b in BONES[7:11]] == [(91, 92), (92, 93), (93, 94), (94, 95)]


def test_directions_are_unit_vectors_whatever_the_place_and_size():
    keypoints = clip()
    directions = bone_directions(keypoints)
    lengths = np.linalg.norm(directions.reshape(len(directions), -1, 2), axis=-1)
    assert np.isclose(lengths, 1).all() | np.isclose(lengths, 0).any()
    moved = Keypoints(3 * keypoints.points + 7, keypoints.scores)
    np.testing.assert_allclose(bone_directions(moved), directions, atol=1e-4)


def test_an_unseen_hand_has_no_direction():
    keypoints = clip()
    scores = keypoints.scores.copy()
    scores[:, LEFT_HAND] = 0
    directions = bone_directions(Keypoints(keypoints.points, scores)).reshape(100, 47, 2)
    assert not directions[:, 7:27].any()
    assert directions[:, 27:].any()


def test_windows_follow_the_clock():
    assert pose_windows(clip(frames=100)).shape == (3, 34, 94)  # 60 frames at 15 fps, starts 0, 10, 20
    assert pose_windows(clip(frames=100), window_fps=25).shape == (7, 34, 94)
    assert pose_windows(clip(frames=50)).shape == (0, 34, 94)
    slow = pose_windows(clip(frames=100), window_fps=25, num_frames=12, stride=1)[:, 0]
    np.testing.assert_allclose(slow, bone_directions(clip(frames=100))[: len(slow)], atol=1e-5)


def test_the_encoder_has_the_published_layers(autoencoder):
    assert [m.in_features for m in autoencoder.encoder if isinstance(m, torch.nn.Linear)] == [384, 256, 128]
    x = torch.randn(5, 34, 94)
    assert autoencoder(x).shape == x.shape
    assert autoencoder.encode(x.numpy()).shape == (5, 128)
    assert autoencoder.encode(np.zeros((0, 34, 94))).shape == (0, 128)


def test_the_hash_names_weights_and_configuration(autoencoder):
    torch.manual_seed(0)
    same = PoseAutoencoder()
    assert same.sha256() == autoencoder.sha256()
    with torch.no_grad():
        same.state_dict()["encoder.0.bias"][0] += 1
    assert same.sha256() != autoencoder.sha256()
    torch.manual_seed(0)
    assert PoseAutoencoder(fps=25.0).sha256() != autoencoder.sha256()


def test_features_of_a_short_clip_are_none(autoencoder):
    assert gesture_features(autoencoder, clip(frames=40)).shape == (0, 128)
    assert gesture_features(autoencoder, clip(frames=100)).shape == (3, 128)


def test_the_shipped_autoencoder_is_there_and_beats_the_mean_pose():
    model = load_autoencoder()
    assert model.config["num_frames"] == 34
    assert model.config["fps"] == 15.0
    assert abs(np.array(model.config["mean_pose"])).max() <= 1


def test_a_missing_autoencoder_is_one_line(tmp_path):
    with pytest.raises(PahaError, match="paha train pose-autoencoder"):
        load_autoencoder(tmp_path)


def test_diversity_of_a_known_set():
    diversity = Diversity()
    for point in ([0.0, 0], [3.0, 4], [0.0, 4]):
        diversity.add(np.array([point]))
    # Pairs: (3, 4), (0, 4), (3, 0).
    assert diversity.interval(1).mean == pytest.approx((7 + 4 + 3) / 3)
    assert diversity.interval(2).mean == pytest.approx((5 + 4 + 3) / 3)
    assert diversity.interval(1).num == 3


def test_diversity_of_equal_windows_is_zero_and_of_one_is_none():
    diversity = Diversity()
    diversity.add(np.ones((1, 4)))
    assert diversity.interval(1) is None
    diversity.add(np.ones((3, 4)))
    assert diversity.interval(2).mean == 0


def test_a_sample_of_many_windows_has_the_diversity_of_all():
    x = np.random.default_rng(0).normal(size=(3000, 5))
    sampled, whole = Diversity(max_samples=500), pair_distances(x, norm=1)
    for part in np.split(x, 300):
        sampled.add(part)
    assert len(sampled._kept) == 500
    assert sampled.interval(1).mean == pytest.approx(whole.sum() / (3000 * 2999), rel=0.05)


def test_linear_slope_1_makes_the_linear_layers_linear_as_ha2g_s_code_is():
    torch.manual_seed(0)
    published = PoseAutoencoder(linear_slope=1.0).eval()
    own = PoseAutoencoder().eval()
    own.load_state_dict(published.state_dict())
    a, b = torch.randn(2, 5, 384)
    tails = [model.encoder[11:] for model in (published, own)]  # behind the convolutions
    mixed = [torch.allclose(tail(a) + tail(b), tail(a + b) + tail(torch.zeros(5, 384)), atol=1e-5) for tail in tails]
    assert mixed == [True, False]
    assert published.sha256() != own.sha256()
