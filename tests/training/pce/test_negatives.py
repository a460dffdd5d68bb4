"""Self-generated negatives (Fig. 5)."""

import json

import pytest
import torch
from tiny_features import write_features
from toy import toy_pipeline, toy_univdm

from paha.dataset.dataset import FeatureDataset
from paha.errors import PahaError
from paha.presets import preset
from paha.sampling.target import to_target
from paha.training.pce import negatives_job
from paha.training.pce.negatives import (
    clips_by_id,
    generate_pairs,
    load_negatives,
    make_shard,
    pair_lengths,
    plan_pairs,
    read_pairs,
    shard_path,
    shards_of,
)
from paha.training.pce.negatives_job import NegativesOptions, format_negatives_plan, make_negatives, plan_negatives

DEBUG = preset("debug")
LENGTHS = (3, 7)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return write_features(tmp_path_factory.mktemp("features") / "key", DEBUG)


@pytest.fixture(scope="module")
def dataset(features):
    return FeatureDataset(features, config=DEBUG)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    toy_pipeline(DEBUG).save_pretrained(folder)
    return folder


def generate(dataset, pairs, **changes):
    options = {"config": DEBUG, "image_encoder": dataset.image_encoder, "steps": 2} | changes
    return generate_pairs(toy_univdm(DEBUG), pairs, clips_by_id(dataset), **options)


def test_lengths_are_the_papers_at_its_size():
    assert pair_lengths(32) == (30, 60, 90, 120)
    assert pair_lengths(16) == (15, 30, 45, 60)
    assert pair_lengths(4) == (3, 7, 11, 15)


def test_a_pair_is_a_function_of_the_seed_and_its_number(dataset):
    few, many = (plan_pairs(dataset.clips, n, lengths=LENGTHS, seed=4) for n in (5, 40))
    assert many[:5] == few
    assert plan_pairs(dataset.clips, 40, lengths=LENGTHS, seed=5) != many
    assert {pair.num_frames for pair in many} == set(LENGTHS)
    assert {pair.clip_id for pair in many} == {"clip0", "clip1", "clip2"}
    lengths = {clip.clip_id: clip.num_frames for clip in dataset.clips}
    for pair in many:
        assert 0 <= pair.start <= lengths[pair.clip_id] - pair.num_frames
        assert 0 <= pair.ref_frame < lengths[pair.clip_id]
        assert (pair.audio_clip_id, pair.audio_start) == (pair.clip_id, pair.start)  # one-to-one (5.1)
    assert len({pair.noise_seed for pair in many}) == 40


def test_augmentation_and_random_audio_are_options(dataset):
    plain = plan_pairs(dataset.clips, 20, lengths=(4,), random_reference=False)
    assert all(pair.ref_frame == pair.start and pair.num_frames == 4 for pair in plain)
    other = plan_pairs(dataset.clips, 40, lengths=LENGTHS, random_audio=True)
    assert any(pair.audio_clip_id != pair.clip_id for pair in other)
    with pytest.raises(PahaError, match="no clip has 50 frames"):
        plan_pairs(dataset.clips, 2, lengths=(50,))


def test_a_negative_starts_with_the_real_first_frame_and_is_generated_after_it(dataset):
    pairs = [pair for pair in plan_pairs(dataset.clips, 30, lengths=LENGTHS) if pair.num_frames == 7][:2]
    for pair, latents in zip(pairs, generate(dataset, pairs), strict=True):
        real = clips_by_id(dataset)[pair.clip_id].tensors["latents"][pair.start : pair.start + 7].float()
        assert latents.shape == real.shape
        torch.testing.assert_close(latents[0], real[0], atol=1e-5, rtol=1e-5)
        assert not torch.allclose(latents[1:], real[1:], atol=0.1)


def test_a_negative_does_not_depend_on_its_batch(dataset):
    pairs = [pair for pair in plan_pairs(dataset.clips, 30, lengths=LENGTHS) if pair.num_frames == 7][:3]
    together = generate(dataset, pairs)
    alone = [generate(dataset, [pair])[0] for pair in pairs]
    torch.testing.assert_close(torch.stack(together), torch.stack(alone), atol=1e-3, rtol=1e-3)


def test_reference_and_audio_reach_the_negative(dataset):
    (pair,) = plan_pairs(dataset.clips, 1, lengths=(4,), seed=1)
    latents = generate(dataset, [pair])[0]
    moved = pair.__class__(**{**pair.__dict__, "audio_clip_id": "clip2", "audio_start": 8})
    assert not torch.equal(generate(dataset, [moved])[0][1:], latents[1:])
    assert to_target(latents[None], latents[:1], DEBUG.diffusion).shape == (1, 4, 4, 4, 4)


def options(**changes):
    values = {"count": 7, "lengths": LENGTHS, "steps": 2, "shard_size": 3, "batch_size": 2}
    return NegativesOptions(**(values | changes))


def test_shards_are_resumed_extended_and_the_same_in_parts(features, model, tmp_path):
    out = tmp_path / "negatives"
    assert make_negatives(model, features, out, options(part=(0, 2))) == 2
    first = shard_path(out, 0).read_bytes()
    assert make_negatives(model, features, out, options(part=(1, 2))) == 1
    assert make_negatives(model, features, out, options()) == 0
    shard_path(out, 0).unlink()
    assert make_negatives(model, features, out, options()) == 1
    assert shard_path(out, 0).read_bytes() == first
    pairs, latents = load_negatives(out)
    assert [pair.number for pair in pairs] == list(range(7))
    assert all(len(latents[pair.number]) == pair.num_frames for pair in pairs)
    assert read_pairs(out) == pairs
    settings = json.loads((out / "negatives.json").read_text())
    assert (settings["count"], settings["steps"], settings["random_audio"]) == (7, 2, False)
    assert make_negatives(model, features, out, options(count=9)) == 1  # the last shard had room
    assert len(load_negatives(out)[0]) == 9
    with pytest.raises(PahaError, match="'steps' was 2 and is now 3"):
        make_negatives(model, features, out, options(steps=3))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_workers_make_the_same_videos(features, model, tmp_path, engine):
    if engine == "ray":
        pytest.importorskip("ray", reason="ray is not installed: pip install 'paha[scale]'")
    made = []
    for name, own in {"alone": {}, "many": {"workers": 2, "engine": engine}}.items():
        assert make_negatives(model, features, tmp_path / name, options(count=2, shard_size=1, **own)) == 2
        made.append(load_negatives(tmp_path / name)[1])
    assert made[0].keys() == made[1].keys() == {0, 1}
    for number, latents in made[0].items():
        torch.testing.assert_close(latents, made[1][number], atol=1e-2, rtol=1e-2)


def test_a_shard_that_fails_is_named_and_the_others_are_made(features, model, tmp_path, monkeypatch):
    def fail(out, index, *args, **kwargs):
        if index == 0:
            raise PahaError("the disk is full")
        make_shard(out, index, *args, **kwargs)

    monkeypatch.setattr(negatives_job, "make_shard", fail)
    with pytest.raises(PahaError, match="1 of 2 shards failed, the others are done: shard 0: the disk is full"):
        make_negatives(model, features, tmp_path, options(count=2, shard_size=1))
    assert not shard_path(tmp_path, 0).exists()
    assert shard_path(tmp_path, 1).is_file()


def test_a_damaged_shard_and_an_empty_folder_are_named(tmp_path, features, model):
    with pytest.raises(PahaError, match="no negatives in"):
        load_negatives(tmp_path)
    make_negatives(model, features, tmp_path, options(count=1, shard_size=1))
    shard_path(tmp_path, 0).write_bytes(b"broken")
    with pytest.raises(PahaError, match=r"00000.safetensors is damaged"):
        load_negatives(tmp_path)


def test_shards_hold_pairs_of_one_length_together(dataset):
    shards = shards_of(plan_pairs(dataset.clips, 10, lengths=LENGTHS), 4)
    assert [len(shard) for shard in shards] == [4, 4, 2]
    assert all([p.num_frames for p in shard] == sorted(p.num_frames for p in shard) for shard in shards)


def test_the_plan_of_the_papers_50k_pairs():
    plan = plan_negatives(preset("paper"), 50_000, seconds=0.5)
    assert (plan.frames, plan.segments) == (3_750_000, 125_000)  # 30, 60, 90, 120 frames: 1, 2, 3, 4 segments of 32
    assert plan.evaluations == 3_750_000
    assert plan.disk_bytes == 3_750_000 * 4 * 64 * 64 * 2
    assert "122.9 GB" in format_negatives_plan(plan)
    assert "65.1 h on 8 processes" in format_negatives_plan(plan, processes=8)
