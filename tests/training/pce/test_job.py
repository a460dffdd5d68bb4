"""Training of a PCE classifier."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import json
import re
import signal
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from classifier_toys import toy_classifier
from safetensors.torch import load_file, save_file
from tiny_features import write_features
from toy import toy_univdm

from paha.errors import PahaError
from paha.pce.classifier import PCEClassifier, bce_loss
from paha.pce.regions import Region
from paha.pipeline.model_folder import load_part
from paha.presets import preset
from paha.sampling.schedule import Schedule
from paha.training.loop import fit
from paha.training.pce.classifier_fit import fit_after_pretraining
from paha.training.pce.job import classifier_job, classifier_loss, classifier_run
from paha.training.pce.pairs import PairDataset
from paha.training.pce.report import SHIFTS, ShiftCurve, auc, auc_by_bucket, shift_curve, write_report
from paha.training.pce.sync_pretraining import clip_loss, frame_loss

DEBUG = preset("debug")
SCHEDULE = Schedule(DEBUG.diffusion)
HARD = {"pairs.hard_prob": 1.0, "pairs.lengths": [5], "pairs.held_out": 0.4, "probe_pairs": 6}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return write_features(tmp_path_factory.mktemp("f") / "key", DEBUG, lengths=(60, 61, 62, 63, 64, 65))


def job(features, region: Region = "face", /, **changes):
    run = classifier_run(DEBUG, HARD | changes)
    return run, classifier_job(DEBUG, toy_univdm(DEBUG), features, None, region=region, run=run)


def test_presets_are_the_papers():
    run = classifier_run(preset("paper"))
    assert (run.train.batch_size, run.train.steps, run.train.warmup_steps) == (16, 100_000, 5000)
    assert run.train.learning_rate == 1e-4
    assert run.pairs.lengths == (30, 60, 90, 120)
    assert (run.mask_prob, run.pairs.hard_prob) == (0.8, 0.0)
    with pytest.raises(PahaError, match=r"unknown option .pairs\.nothing"):
        classifier_run(DEBUG, {"pairs.nothing": 1})
    with pytest.raises(PahaError, match=r"train\.steps"):
        classifier_run(DEBUG, {"train.steps": 0})


def test_both_members_are_noised_and_masked_alike(features):
    """With one audio for both, a hard pair's members are the same input: the loss is log 2 whatever the model says."""
    from paha.dataset.dataset import FeatureDataset

    run = classifier_run(DEBUG, HARD)
    pairs = PairDataset(FeatureDataset(features, config=DEBUG), None, config=DEBUG, pairs=run.pairs)
    batch = pairs.batch(torch.Generator().manual_seed(0), 3, kind="shifted")
    seen = []

    def model(z, time, audio):
        seen.append((z, time))
        return torch.full((len(z),), 0.7)

    options: dict[str, Any] = {"model": model, "region": "face", "run": run, "config": DEBUG, "schedule": SCHEDULE}
    loss, scalars = classifier_loss(batch=batch, **options, generator=torch.Generator().manual_seed(1))
    z, time = seen[0]
    assert torch.equal(z[:3], z[3:])
    assert torch.equal(time[:3], time[3:])
    logit = torch.tensor(0.7)
    expected = (torch.nn.functional.softplus(-logit) + torch.nn.functional.softplus(logit)) / 2
    torch.testing.assert_close(loss, expected)
    assert scalars["accuracy"] == 0.5


@pytest.mark.parametrize("region", ["face", "non_face"])
def test_masking_follows_its_probability(features, region):
    from paha.dataset.dataset import FeatureDataset

    shares = []
    for probability in (0.0, 1.0):
        run = classifier_run(DEBUG, HARD | {"mask_prob": probability, "network.face_crop": 0})
        pairs = PairDataset(FeatureDataset(features, config=DEBUG), None, config=DEBUG, pairs=run.pairs)
        zeros = []
        classifier_loss(
            lambda z, time, audio, zeros=zeros: zeros.append(float((z == 0).float().mean())) or torch.zeros(len(z)),  # pyright: ignore[reportArgumentType]
            pairs.batch(torch.Generator().manual_seed(0), 4),
            region=region,
            run=run,
            config=DEBUG,
            schedule=SCHEDULE,
            generator=torch.Generator().manual_seed(1),
        )
        shares.append(zeros[0])
    assert shares[0] == 0
    assert shares[1] == pytest.approx(12 / 16 if region == "face" else 4 / 16)  # of 4 x 4 cells, the face has 2 x 2


def test_it_learns_to_hear_whether_sound_and_picture_fit(tmp_path):
    """Where the face moves as the audio says, a short training tells in sync from not, on other identities."""
    features = talking_features(tmp_path / "key")
    changes = {"train.steps": 50, "train.batch_size": 32, "train.learning_rate": 2e-3, "train.sample_every": 50}
    run, classifier = job(features, **changes, **{"train.checkpoint_every": 50, "pairs.lengths": [8]})
    assert fit(classifier, run.train, tmp_path / "run", progress=False) == 50
    lines = [json.loads(line) for line in (tmp_path / "run/stats.jsonl").read_text().splitlines()]
    assert np.mean([line["loss"] for line in lines[-10:]]) < 0.65 < np.mean([line["loss"] for line in lines[:5]])
    assert lines[-1]["auc/swapped_0"] > 0.7
    assert {"auc/shifted_530", "accuracy/shifted_700", "accuracy_shifted"} <= set().union(*lines)
    assert load_part(PCEClassifier, tmp_path / "run/model").region == "face"


def talking_features(folder):
    """Clips whose latents move along one direction, by as much as their audio says."""
    write_features(folder, DEBUG, lengths=(60, 61, 62, 63, 64, 65))
    generator = torch.Generator().manual_seed(3)
    direction = torch.randn(4, 4, 4, generator=generator)
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        loudness = torch.randn(len(tensors["audio"]), 1, 1, generator=generator)
        still = torch.randn(4, 4, 4, generator=generator)
        tensors["latents"] = (still + 1.5 * loudness[..., None] * direction).half()
        tensors["audio"] = loudness.expand(tensors["audio"].shape).half().contiguous()
        save_file(tensors, path, metadata={"source": path.stem})
    return folder


def test_a_head_start_tells_sounds_apart(tmp_path, capsys):
    """After it the classifier knows a clip's own sound among others better than one that heard nothing (log 2)."""
    features = talking_features(tmp_path / "key")
    changes = {
        "train.batch_size": 32,
        "train.learning_rate": 2e-3,
        "pairs.lengths": [8],
        "sync_pretraining_steps": 40,
        "network.frame_similarity": True,
    }
    run = classifier_run(DEBUG, HARD | changes)
    made = classifier_job(
        DEBUG, toy_univdm(DEBUG), features, None, region="face", run=run, pretrain=torch.device("cpu")
    )
    frames, clips = re.search(r"frames ([\d.]+), of clips ([\d.]+)", capsys.readouterr().err).groups()
    assert float(clips) < 0.6
    assert float(frames) < np.log(16 * 8) - 0.5
    cold = classifier_job(DEBUG, toy_univdm(DEBUG), features, None, region="face", run=run)
    assert any(not torch.equal(a, b) for a, b in zip(made.model.parameters(), cold.model.parameters(), strict=True))


def hearing(features, **changes):
    """A short training with a pretraining of many steps: what its `fit_after_pretraining` needs."""
    own = {"sync_pretraining_steps": 1000, "train.steps": 3, "train.checkpoint_every": 100, "probe_pairs": 0}
    run = classifier_run(DEBUG, HARD | own | changes)

    def make_job(stopped):
        options = {"region": "face", "run": run, "pretrain": torch.device("cpu"), "stopped": stopped}
        return classifier_job(DEBUG, toy_univdm(DEBUG), features, None, **options)

    return make_job, run.train


def test_a_head_start_leaves_half_the_time_for_the_training(features, tmp_path, capsys, monkeypatch):
    """By a clock that goes on by a second each time it is read."""
    seconds, given = count(), []
    monkeypatch.setattr("paha.training.pce.classifier_fit.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    monkeypatch.setattr("paha.training.pce.sync_pretraining.TELL_EVERY_S", 0)
    spy = lambda *args, **options: given.append(options["stop_after_s"]) or fit(*args, **options)  # noqa: E731
    monkeypatch.setattr("paha.training.pce.classifier_fit.fit", spy)
    make_job, train = hearing(features)
    assert fit_after_pretraining(make_job, train, tmp_path, stop_after_s=20) == 3
    assert given == [20 - 12]
    told = capsys.readouterr().err
    assert "stopped at step 10 of 1000" in told
    assert re.search(r"step 9 of 1000, frames [\d.]+, clips [\d.]+, \d+ s", told)


def test_a_signal_in_the_head_start_saves_its_weights(features, tmp_path, capsys):
    make_job, train = hearing(features, **{"train.warmup_steps": 1000})
    calls = count(1)

    def killed(stopped):
        """A SIGTERM after three steps."""
        return make_job(lambda: (next(calls) == 4 and signal.raise_signal(signal.SIGTERM)) or stopped())

    with pytest.raises(SystemExit) as ended:
        fit_after_pretraining(killed, train, tmp_path)
    assert ended.value.code == 128 + signal.SIGTERM
    told = capsys.readouterr().err
    assert "stopped by SIGTERM before the training" in told
    assert "stopped at step 3 of 1000" in told
    warm = make_job(lambda: next(calls) == 8).model.state_dict()
    saved, cold = load_file(tmp_path / "model/diffusion_pytorch_model.safetensors"), job(features)[1].model.state_dict()
    far = {key: float((saved[key] - cold[key]).norm()) for key in cold if cold[key].is_floating_point()}
    near = {key: float((saved[key] - warm[key]).norm()) for key in far}
    assert sum(near.values()) < 0.1 * sum(far.values())  # one step of the training away, which ends with a save
    assert fit(make_job(lambda: True), train, tmp_path, progress=False) == 3
    assert "going on from step 1 of 3" in capsys.readouterr().err


def test_a_video_is_judged_with_a_handful_of_sounds():
    """The loss is that of its own sound against those others, by hand; the cost grows with P, not with its square."""
    heard = []

    class Judge:
        def logits(self, video, audio):
            heard.append(len(video))
            return (video * audio).sum((1, 2))

    generator = torch.Generator().manual_seed(0)
    video, audio, other = torch.randn(3, 12, 2, 3, generator=generator)
    judge: Any = Judge()
    loss = clip_loss(judge, video, audio, other, others=3)
    assert heard == [12 * 4]
    wrong = [other, audio[[*range(1, 12), 0]], audio[[*range(2, 12), 0, 1]]]
    right = bce_loss((video * audio).sum((1, 2)), torch.ones(12))
    wrongs = torch.stack([bce_loss((video * sound).sum((1, 2)), torch.zeros(12)) for sound in wrong])
    torch.testing.assert_close(loss, (right + wrongs.mean()) / 2)
    clip_loss(judge, video[:2], audio[:2], other[:2], others=8)
    assert heard[1] == 2 * 3  # its own, the one that does not fit, and the only other one


def test_frames_of_a_clip_that_sound_alike_do_not_count():
    """Two clips of six frames with tokens that are all apart: of the 11 wrong ones, 8 count on average."""
    tokens = torch.eye(12).reshape(2, 6, 12)
    assert float(frame_loss(tokens, tokens)) == pytest.approx(np.log(1 + 8 * np.exp(-10)), rel=1e-3)


def test_a_stopped_training_goes_on_to_the_same_weights(features, tmp_path):
    changes = {"train.steps": 4, "train.checkpoint_every": 2, "probe_pairs": 0}
    run, whole = job(features, **changes)
    fit(whole, run.train, tmp_path / "whole", progress=False)
    for steps in (2, 4):
        train = run.train.model_copy(update={"steps": steps})
        fit(job(features, **changes)[1], train, tmp_path / "parts", progress=False)
    first, second = (load_part(PCEClassifier, tmp_path / name / "model").state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_no_negatives_and_no_hard_ones_is_an_error(features):
    with pytest.raises(PahaError, match="give --negatives"):
        job(features, **{"pairs.hard_prob": 0.5})


def test_auc_counts_pairs_and_halves_ties():
    assert auc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5
    assert auc(np.array([0.0, 2.0]), np.array([1.0])) == 0.5
    assert np.isnan(auc(np.array([]), np.array([1.0])))


def test_a_curve_knows_its_peak():
    shifts = np.arange(-25, 26)
    logits = -np.abs(shifts - 1.0)[None].repeat(3, 0)
    curve = ShiftCurve(600, shifts, logits)
    assert curve.peak == 1
    assert curve.auc() == 1
    assert curve.auc_at(1) == 0.5  # one frame late it scores higher, one frame early lower
    assert curve.auc_at(5) == 1
    assert curve.mean[shifts == 1] == pytest.approx(0.5)


def test_report_measures_held_out_clips_and_draws_the_curve(features, tmp_path):
    from paha.dataset.dataset import FeatureDataset

    run = classifier_run(DEBUG, HARD)
    dataset = FeatureDataset(features, config=DEBUG)
    held_out = PairDataset(dataset, None, config=DEBUG, pairs=run.pairs, split="held_out")
    classifier = toy_classifier("face")
    report = write_report(classifier, held_out, tmp_path, schedule=SCHEDULE, num_clips=2, length=5)
    assert {"report.json", "report.md", "shift_curve.png"} <= {path.name for path in tmp_path.iterdir()}
    assert len(report["shift_curves"]) == 2
    assert len(report["shift_curves"][0]["mean"]) == len(SHIFTS)
    assert set(report["shift_curves"][0]["auc_by_shift"]) == {"2", "5", "10", "25"}
    assert "auc/shifted_530" in report["scores"]
    assert "auc/generated_530" not in report["scores"]
    scores = auc_by_bucket(classifier, held_out, schedule=SCHEDULE, num_pairs=4)
    assert scores == auc_by_bucket(classifier, held_out, schedule=SCHEDULE, num_pairs=4)
    curve = shift_curve(classifier, held_out, schedule=SCHEDULE, t=10, num_clips=1, length=5)
    assert curve.logits.shape == (1, len(SHIFTS))
    long = write_report(classifier, held_out, tmp_path / "long", schedule=SCHEDULE, num_clips=2, length=16)
    assert "has 66 frames" in long["shift_curves_absent"]
