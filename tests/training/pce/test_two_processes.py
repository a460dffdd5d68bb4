"""`paha train classifier` under torchrun: what is the same for all processes is done once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from pathlib import Path

import pytest
import torch
from tiny_features import write_features
from toy import toy_audio, toy_pipeline, toy_univdm
from toy_corpus import make_toy_corpus
from two_processes import in_two

from paha.cli.classifier import ClassifierOptions, Region, train_classifier
from paha.dataset import features
from paha.media.audio_io import write_wav
from paha.presets import preset
from paha.training.pce import job as pce_job
from paha.training.pce.job import classifier_job, classifier_run

DEBUG = preset("debug")
HARD = {"pairs.lengths": [4], "pairs.held_out": 0.5, "pairs.hard_prob": 1.0, "probe_pairs": 0}


def counted(module, name: str) -> list[str]:
    """Note every call of a function, which is made as ever."""
    calls, true = [], getattr(module, name)

    def spy(*args, **kwargs):
        calls.append(name)
        return true(*args, **kwargs)

    setattr(module, name, spy)
    return calls


def pretrained(folder: Path) -> str:
    """[how often this process pretrained, a hash of the weights that the training would start from]."""
    calls = counted(pce_job, "pretrain_sync")
    run = classifier_run(DEBUG, HARD | {"sync_pretraining_steps": 2})
    device = torch.device("cpu")
    job = classifier_job(DEBUG, toy_univdm(DEBUG), folder / "features", None, region="face", run=run, pretrain=device)
    digest = hashlib.sha256()
    for _, value in sorted(job.model.state_dict().items()):
        digest.update(value.numpy().tobytes())
    return json.dumps([len(calls), digest.hexdigest()])


def test_one_process_pretrains_and_all_start_from_its_weights(tmp_path):
    write_features(tmp_path / "features", DEBUG, lengths=(12,) * 8)
    answers = [json.loads(answer) for answer in in_two(pretrained, tmp_path, timeout_s=300)]
    assert [count for count, _ in answers] == [1, 0]
    assert answers[0][1] == answers[1][1]


def trained(folder: Path) -> str:
    """[clips whose features this process computed, what it printed]."""
    calls, said = counted(features, "clip_features"), io.StringIO()
    settings = [f"{name}={json.dumps(value)}" for name, value in HARD.items()]
    options = ClassifierOptions(
        Region.face,
        folder / "corpus",
        folder / "out",
        folder / "model",
        steps=1,
        settings=[*settings, "train.num_micro_batches=2", "train.sample_every=0"],
        report_clips=2,
    )
    with contextlib.redirect_stdout(said):
        train_classifier(options)
    return json.dumps([len(calls), said.getvalue()])


@pytest.mark.slow
def test_features_and_report_are_made_once(tmp_path):
    make_toy_corpus(tmp_path / "corpus", clips=8)
    for clip in range(8):
        write_wav(tmp_path / f"corpus/clips/clip{clip}.wav", *toy_audio(8 / 25, seed=clip))
    toy_pipeline().save_pretrained(tmp_path / "model")
    main, other = (json.loads(answer) for answer in in_two(trained, tmp_path, timeout_s=500))
    assert main[0] == 8
    assert "|" in main[1]
    assert other == [0, ""]
    assert (tmp_path / "out/report").is_dir()
