"""The audio pretraining learns what speech tells, is the same every time, and leaves a frozen projection."""

import pytest
import torch
from tiny_features import write_features

from paha import presets
from paha.dataset.dataset import FeatureDataset
from paha.training.univdm.audio_pretraining import LIPS, coarse_spectrum, lip_shapes, pretrain_audio
from paha.training.univdm.job import build_univdm, univdm_job

DEBUG = presets.preset("debug")
WARM = DEBUG.model_copy(update={"train": DEBUG.train.model_copy(update={"audio_pretraining_steps": 30})})


@pytest.fixture
def speaking(tmp_path):
    """Clips whose lips open with the loudness of their own frame."""
    folder = write_features(tmp_path / "features", DEBUG, lengths=(60, 60))
    dataset = FeatureDataset(folder, config=DEBUG)
    for clip in dataset.clips:
        points = torch.full((60, 133, 2), 0.5)
        points[:, LIPS.start - 48, 0], points[:, LIPS.start - 32, 0] = 0.3, 0.7
        points[:, LIPS.start + 9, 1] += 0.1 * clip.tensors["audio"].float().mean(dim=(1, 2))
        clip.tensors["points"] = points
    return dataset


def warmed(dataset, *, steps=150, seed=0):
    model = build_univdm(DEBUG)
    explained = pretrain_audio(model, dataset, steps=steps, seed=seed)
    return model.audio_projection, explained


def test_lip_shapes_know_nothing_of_where_the_head_is():
    points = torch.rand(7, 133, 2)
    moved = points + torch.rand(7, 1, 2)
    torch.testing.assert_close(lip_shapes(points), lip_shapes(moved), atol=1e-5, rtol=0)
    torch.testing.assert_close(lip_shapes(points), lip_shapes(3 * points), atol=1e-5, rtol=0)
    assert not torch.allclose(lip_shapes(points)[0], lip_shapes(points)[1])


def test_coarse_spectrum_averages_layers_and_neighbouring_bands():
    windows = torch.arange(16.0).expand(2, 5, 3, 16)
    expected = torch.arange(0.5, 16, 2).repeat(5)
    torch.testing.assert_close(coarse_spectrum(windows)[0], expected)


def test_lips_are_learned_from_the_audio(speaking):
    _, explained = warmed(speaking)
    assert explained > 0.5
    shuffled = torch.Generator().manual_seed(0)
    for clip in speaking.clips:
        clip.tensors["points"] = clip.tensors["points"][torch.randperm(60, generator=shuffled)]
        clip.tensors["audio"] = torch.randn(clip.tensors["audio"].shape, generator=shuffled)
    _, by_chance = warmed(speaking, steps=30)
    assert by_chance < explained - 0.2


def test_the_same_seed_gives_the_same_bits(speaking):
    (first, _), (second, _), (other, _) = (warmed(speaking, steps=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.linear_1.weight, second.linear_1.weight)
    assert not torch.equal(first.linear_1.weight, other.linear_1.weight)


def test_the_job_warms_up_when_asked_and_freezes_the_projection(tmp_path):
    folder = write_features(tmp_path / "features", DEBUG)
    fresh = build_univdm(WARM).audio_projection
    cold = univdm_job(WARM, folder, probe_batches=1).model
    warm = univdm_job(WARM, folder, probe_batches=1, pretrain=True).model
    assert torch.equal(cold.audio_projection.linear_1.weight, fresh.linear_1.weight)
    assert not torch.equal(warm.audio_projection.linear_1.weight, fresh.linear_1.weight)
    for model in (cold, warm):
        assert not any(p.requires_grad for p in model.audio_projection.parameters())
        assert model.conv_in.weight.requires_grad
