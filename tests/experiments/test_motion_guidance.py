"""Guidance in motion latents, at toy size: what the experiment samples and what its report says."""

from typing import Any

import numpy as np
import pytest
import torch
from toy_people import FRAMES, PROTOCOL, SEED, TINY, toy_people, toy_pipeline

from experiments.guidance import motion_guidance as command
from experiments.guidance import motion_report, sync_instrument
from experiments.guidance.rig_people import conditioning_of, signals_of
from experiments.presenter.videos import sample_latents
from paha.errors import PahaError
from paha.pipeline.loading import SHIPPED_MODEL
from paha.runtime.statistics import loudness_lips
from paha.sampling.long_video import plan_segments


@pytest.fixture(scope="module")
def people():
    return toy_people()


@pytest.fixture(scope="module")
def pipeline():
    return toy_pipeline()


def made(pipeline, people, text, scales="30,30,0.5"):
    options, oracle = command.setting_of(text, scales)
    return command.generate(pipeline, people, options, PROTOCOL, oracle=oracle)


def test_people_speak_show_hands_and_are_heard(people):
    for person in people:
        assert person.shows_hands
        assert len(person.samples) == FRAMES * 640
        assert person.keypoints().points.shape == (FRAMES, 133, 2)
    own, other = ([_heard(people[i], people[(i + k) % 3]) for i in range(3)] for k in (0, 1))
    assert np.mean(own) > np.mean(other) + 0.2
    assert len({person.samples.tobytes() for person in people}) == 3


def _heard(seen, heard):
    loud, mouth = loudness_lips(heard.samples, FRAMES), seen.motion().mouth_open
    return np.corrcoef(loud, mouth)[0, 1]


def test_unguided_is_what_the_presenters_report_samples(pipeline, people):
    segments = plan_segments(FRAMES, TINY.num_frames)
    told = lambda segment: conditioning_of(pipeline, people, segment)  # noqa: E731
    own = {"seeds": range(SEED, SEED + 3), "steps": 4, "cfg_scale": 1.0}
    other = sample_latents(pipeline, told, segments, **own)
    torch.testing.assert_close(made(pipeline, people, "none"), other, atol=1e-5, rtol=1e-5)


def test_an_oracle_brings_the_truth_nearer_and_a_classifier_changes_something(pipeline, people):
    truth = torch.stack([person.tensors["latents"] for person in people])
    plain, known = made(pipeline, people, "none"), made(pipeline, people, "oracle/nf=0.3/face=0.3/rate=1.0")
    assert float((known - truth).square().mean()) < 0.9 * float((plain - truth).square().mean())
    assert not torch.equal(made(pipeline, people, "sg"), plain)


def test_a_setting_has_the_runs_scales_unless_it_names_its_own():
    options, oracle = command.setting_of("sg/face=1", "7,5,0.5")
    assert (options.non_face_scale, options.face_scale, options.diff_scale, oracle) == (7, 1, 0.5, False)
    for text, kind in {"oracle/nf=0": "sg", "oracle-dg": "dg"}.items():
        options, oracle = command.setting_of(text, "7,5,0.5")
        assert (options.kind, oracle) == (kind, True)
    with pytest.raises(PahaError, match="no option of the guidance"):
        command.setting_of("sg/speed=1", "7,5,0.5")


def test_leaks_are_distances_to_each_regions_own_guidance(people):
    """Latents made by hand: `both` is the face's guidance in the face, and half as much again outside."""
    shape = people[0].tensors["latents"].shape
    boxes = torch.stack([person.tensors["face_box"] for person in people])
    mask = motion_report.face_mask(motion_report.grow_box(boxes), height=8, width=8)
    none = torch.zeros(3, *shape)
    face, rest = none + mask, none + 2 * (1 - mask)
    both = face + 1.5 * rest
    latents = {"none": none, "sg/nf=0": face, "sg/face=0": rest, "sg": both, "oracle": both}
    found = motion_report.changes(people, "sg", latents)
    np.testing.assert_allclose(found["leak face"], 0, atol=1e-6)
    np.testing.assert_allclose(found["leak rest"], 0.5, rtol=1e-5)
    np.testing.assert_allclose(found["moved face"], 1, rtol=1e-5)
    np.testing.assert_allclose(found["moved rest"], 3, rtol=1e-5)
    for text in ("sg/nf=0", "oracle", "none"):  # an oracle's own regions alone are not there
        assert "leak face" not in motion_report.changes(people, text, latents)


def test_true_motion_scores_as_the_truth(people, tmp_path):
    instrument = sync_instrument.train(people * 4, "face", steps=3)
    sync_instrument.save(instrument, tmp_path, ears=sync_instrument.ears_of(SHIPPED_MODEL))
    loaded = sync_instrument.load(tmp_path, model=SHIPPED_MODEL)
    signals, audio = signals_of(people[0].motion(), "face"), people[0].clip.audio_windows
    assert loaded.score(signals, audio) == instrument.score(signals, audio)
    truth = torch.stack([person.tensors["latents"] for person in people])
    protocol = {"protocol": vars(PROTOCOL), "settings": {"none": {"cpu_seconds": 1.0}}}
    text = motion_report.write_report(tmp_path, people, {"none": truth}, protocol, loaded)
    assert "| true motion | 1.000 |" in text
    assert (tmp_path / "report.json").is_file()
    with pytest.raises(PahaError, match="no instrument in"):
        sync_instrument.load(tmp_path / "nowhere", model=SHIPPED_MODEL)


def test_a_setting_goes_on_with_the_people_that_it_has_not(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "PART", 2)
    asked: list[int] = []

    def make(chosen, start):
        asked.append(start)
        return torch.full((len(chosen), 1), float(start))

    people: list[Any] = [None] * 5
    latents, seconds = command.in_parts(tmp_path / "parts", {"scale": 1}, people, make)
    assert latents[:, 0].tolist() == [0, 0, 2, 2, 4]
    assert seconds >= 0
    (tmp_path / "parts" / "0002.npz").unlink()
    again, _ = command.in_parts(tmp_path / "parts", {"scale": 1}, people, make)
    np.testing.assert_array_equal(again, latents)
    assert asked == [0, 2, 4, 2]
    command.in_parts(tmp_path / "parts", {"scale": 2}, people, make)
    assert asked[4:] == [0, 2, 4]
