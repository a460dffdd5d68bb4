"""UniVDM on motion latents: its batches, its audio's pretraining, its job. espeak-ng alone, tiny networks."""

import json

import pytest
import torch

from paha.config import override
from paha.dataset.synth.motion_dataset import MotionDataset
from paha.errors import PahaError
from paha.pipeline.pipeline import PahaPipeline
from paha.presets import PRESENTER
from paha.training.loop import fit
from paha.training.univdm import motion_job
from paha.training.univdm.audio_pretraining import SpeechFrames, pretrain_audio
from paha.training.univdm.job import build_univdm
from paha.training.univdm.motion_probe import HeldOut, lip_scores

TINY = override(
    PRESENTER,
    {
        "model.block_out_channels": (16, 16),
        "model.num_attention_heads": (2, 2),
        "model.audio_hidden_dim": 64,
        "model.audio_token_dim": 32,
        "num_frames": 12,
        "train.batch_size": 2,
        "train.steps": 4,
        "train.checkpoint_every": 2,
        "train.sample_every": 4,
        "train.log_every": 1,
        "train.audio_pretraining_steps": 5,
        "sample.steps": 1,
    },
)


@pytest.fixture(scope="module")
def dataset():
    return MotionDataset(TINY, workers=0)


def test_a_batch_depends_on_its_number_alone(dataset):
    again = MotionDataset(TINY, workers=0)
    skipped = again.batch(3, 2)
    in_order = [dataset.batch(number, 2) for number in range(4)]
    assert torch.equal(in_order[3].latents, skipped.latents)
    assert torch.equal(in_order[3].audio, skipped.audio)
    assert not torch.equal(in_order[3].latents, in_order[2].latents)


def test_a_short_training_pays_no_long_pretraining(capsys, monkeypatch):
    monkeypatch.setattr(motion_job, "HELD_OUT_CLIPS", 2)
    config = override(TINY, {"train.steps": 1, "train.audio_pretraining_steps": 5000})
    motion_job.motion_job(config, workers=0)
    assert "2/2" in capsys.readouterr().err


def test_what_the_network_is_told_of_a_reference(dataset):
    batch = dataset.batch(0, 2)
    assert batch.latents.shape == (2, 12, 12, 8, 8)
    assert batch.ref_latent.abs().max() == 0
    assert batch.ref_channels is not None
    assert batch.ref_channels.abs().amax((1, 2, 3)).min() > 0.1
    x0, y0, x1, y1 = batch.face_box.T
    assert ((x0 > 0.3) & (x1 < 0.7) & (y0 > 0.05) & (y1 < 0.5)).all()


def test_latents_are_of_about_unit_size_where_the_face_is(dataset):
    latents = torch.cat([dataset.batch(number, 8).latents for number in range(4)])
    deviation = latents[:, :, 2:10, 1:3, 3:5].std((0, 1, 3, 4))
    assert deviation.min() > 0.05
    assert deviation.max() < 3


def test_pretraining_reads_lips_off_speech_and_freezes_the_projection(dataset):
    model = build_univdm(TINY)
    frames = SpeechFrames.of(dataset.clips, 8)
    explained = pretrain_audio(model, frames, steps=150, seed=0)  # pyright: ignore[reportArgumentType]
    assert explained > 0.3
    assert not any(p.requires_grad for p in model.audio_projection.parameters())  # pyright: ignore


def test_the_job_trains_resumes_and_writes_a_model_that_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(motion_job, "HELD_OUT_CLIPS", 6)
    monkeypatch.setattr("paha.training.univdm.audio_pretraining.SPEECHES", 2)
    first = motion_job.motion_job(TINY, workers=0)
    fit(first, TINY.train, tmp_path / "run", progress=False, stop_after_s=0)
    fit(motion_job.motion_job(TINY, workers=0, pretrain=False), TINY.train, tmp_path / "run", progress=False)
    lines = [json.loads(line) for line in (tmp_path / "run/stats.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 4
    assert "probe/lips_r" in lines[-1]
    assert (tmp_path / "run/samples/000004.png").is_file()
    loaded = PahaPipeline.from_pretrained(tmp_path / "run/model")
    assert loaded.codec.latent_channels == 12


def test_the_truth_scores_one():
    held_out = HeldOut.of(MotionDataset(TINY, held_out=True, workers=0), 6)
    scores = lip_scores(held_out.true, held_out.true)
    assert scores["probe/lips_r"] == pytest.approx(1)
    assert scores["probe/lips_amplitude"] == pytest.approx(1)


def test_a_folder_without_speech_is_named(tmp_path):
    with pytest.raises(PahaError, match=str(tmp_path)):
        MotionDataset(TINY, speech=str(tmp_path))
