"""Training of the autoencoder of poses behind FGD."""

import json

import pytest
import torch
from toy_videos import make_dataset

from paha.errors import PahaError
from paha.evaluation.metrics.gestures import load_autoencoder
from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder
from paha.training.loop import fit
from paha.training.pose_autoencoder import POSE_AUTOENCODER_TRAIN, load_windows, pose_autoencoder_job


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data") / "d", clips=4)


def test_training_learns_and_leaves_a_folder_that_loads(data, tmp_path):
    job = pose_autoencoder_job(data, batch_size=8)
    config = POSE_AUTOENCODER_TRAIN.model_copy(
        update={"steps": 60, "batch_size": 8, "learning_rate": 3e-3, "ema_decay": 0.5, "sample_every": 30}
    )
    fit(job, config, tmp_path, progress=False)
    stats = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert stats[-1]["loss"] < 0.5 * stats[0]["loss"]
    assert {"error", "error_mean_pose"} <= set(stats[-1])
    model = load_autoencoder(tmp_path / "model")
    assert model.sha256() == load_autoencoder(tmp_path / "model").sha256()
    assert torch.isfinite(model(torch.zeros(1, 34, 94))).all()
    assert abs(model.mean).max() <= 1


def test_the_clock_is_an_option(data):
    job = pose_autoencoder_job(data, batch_size=8, fps=25.0)
    assert isinstance(job.model, PoseAutoencoder)
    assert job.model.config["fps"] == 25.0
    assert job.fingerprint["windows"] == 4 * 5
    assert len(load_windows(data, fps=15, num_frames=34, stride=10, min_score=0.3)) == 4 * 2


def test_bad_settings_are_one_line(data):
    with pytest.raises(PahaError, match="--fps 0"):
        pose_autoencoder_job(data, batch_size=8, fps=0)
    with pytest.raises(PahaError, match="--frames 4"):
        pose_autoencoder_job(data, batch_size=8, num_frames=4)
    with pytest.raises(PahaError, match=r"no clip of .* lasts 26.67 s"):
        pose_autoencoder_job(data, batch_size=8, num_frames=400)
