"""The reference classifier that is fed true movements."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_features import write_features

from experiments.guidance.signal_classifier import ARMS, LIPS, Reference, SignalStore
from paha.dataset.dataset import FeatureDataset
from paha.presets import preset
from paha.training.pce.job import classifier_run

DEBUG = preset("debug")
CHANGES = {
    "pairs.hard_prob": 1.0,
    "pairs.lengths": [8],
    "pairs.held_out": 0.4,
    "train.steps": 60,
    "train.batch_size": 64,
    "train.learning_rate": 3e-3,
    "network.frame_similarity": True,
}


def gesturing_features(folder):
    """Clips whose wrists rise by as much as their audio says; everything else is noise."""
    write_features(folder, DEBUG, lengths=(70, 71, 72, 73, 74, 75))
    generator = torch.Generator().manual_seed(3)
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        loudness = torch.randn(len(tensors["audio"]), 1, 1, generator=generator)
        tensors["points"][:, 9:11, 1:] = 0.6 - 0.1 * loudness
        tensors["audio"] = loudness.expand(tensors["audio"].shape).half().contiguous()
        save_file(tensors, path, metadata={"source": path.stem})
    return folder


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return gesturing_features(tmp_path_factory.mktemp("f") / "key")


def test_true_movements_tell_what_is_in_step_on_other_identities(features, tmp_path):
    run = classifier_run(DEBUG, CHANGES)
    reference = Reference(DEBUG, FeatureDataset(features, config=DEBUG), "non_face", run)
    reference.train(tmp_path, progress=False)
    report = reference.report(tmp_path, clips=4)
    assert report["region"] == "non_face"
    assert report["scores"]["auc/swapped_530"] > 0.9
    assert report["scores"]["auc/swapped_530"] == report["scores"]["auc/swapped_0"]
    assert "auc/generated_0" not in report["scores"]
    assert [curve["peak"] for curve in report["shift_curves"]] == [0, 0]
    assert json.loads((tmp_path / "report/report.json").read_text())["clips"] == 4


def test_the_store_holds_the_points_of_its_region(features):
    clip = FeatureDataset(features, config=DEBUG).clips[0]
    clip.tensors["points"][5, ARMS[0]] = float("nan")
    arms = SignalStore("non_face").latents([(clip, 3)], 4)
    assert arms.shape == (1, 4, 2 * len(ARMS), 1, 1)
    assert arms.isfinite().all()
    lips = SignalStore("face").latents([(clip, 3), (clip, 0)], 2)
    wanted = clip.tensors["points"][3:5, list(LIPS)].clamp(-1, 2).flatten(1) / 0.005
    torch.testing.assert_close(lips[0, :, :, 0, 0], wanted)
