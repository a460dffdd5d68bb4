"""Pairs of real and negative clips for the classifiers."""

import pytest
import torch
from tiny_features import write_features
from toy import toy_pipeline

from paha.dataset.dataset import FeatureDataset
from paha.errors import PahaError
from paha.presets import preset
from paha.sampling.target import from_target
from paha.training.pce.hold_out import Split
from paha.training.pce.negatives import load_negatives
from paha.training.pce.negatives_job import NegativesOptions, make_negatives
from paha.training.pce.pair_store import DeviceStore, gather
from paha.training.pce.pairs import PairConfig, PairDataset

DEBUG = preset("debug")
PAIRS = PairConfig(lengths=(3, 7), held_out=0.0, min_shift=2, max_shift=5)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """(dataset, folder of negatives): clips of 12, 30 and 20 frames."""
    root = tmp_path_factory.mktemp("data")
    features = write_features(root / "key", DEBUG, lengths=(12, 30, 20))
    toy_pipeline(DEBUG).save_pretrained(root / "model")
    options = NegativesOptions(count=6, lengths=(3, 7), steps=2)
    make_negatives(root / "model", features, root / "negatives", options)
    return FeatureDataset(features, config=DEBUG), root / "negatives"


def pairs_of(data, *, generated=True, split: Split = "train", **changes):
    dataset, negatives = data
    options = PAIRS.model_copy(update=changes)
    return PairDataset(dataset, negatives if generated else None, config=DEBUG, pairs=options, split=split)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_generated_pairs_share_audio_box_and_first_frame(data):
    pairs = pairs_of(data)
    for seed in range(4):
        batch = pairs.batch(generator(seed), 3)
        assert batch.real.shape == batch.fake.shape
        assert batch.real.shape[1] in (3, 7)
        assert batch.kinds == ("generated",) * 3
        assert torch.equal(batch.audio, batch.fake_audio)
        assert not torch.equal(batch.real, batch.fake)
        assert batch.box.shape == (3, 4)
    again = [pairs.batch(generator(1), 2) for _ in range(2)]
    assert torch.equal(again[0].fake, again[1].fake)


def test_a_generated_pair_is_the_window_it_was_made_for(data):
    pairs = pairs_of(data)
    batch = pairs.batch(generator(2), 8, length=3)
    found, latents = load_negatives(data[1])
    windows = [(pair, offset) for pair in found for offset in range(pair.num_frames - 2)]
    clips = {clip.clip_id: clip for clip in pairs.clips}

    def fits(real, fake, pair, offset):
        tensors, start = clips[pair.clip_id].tensors, pair.start + offset
        ref = tensors["latents"][pair.ref_frame].float()[None]
        made, true = (from_target(x[None], ref, DEBUG.diffusion)[0] for x in (fake, real))
        expected = latents[pair.number][offset : offset + 3].float(), tensors["latents"][start : start + 3].float()
        return torch.allclose(made, expected[0], atol=1e-4) and torch.allclose(true, expected[1], atol=1e-4)

    for real, fake in zip(batch.real, batch.fake, strict=True):
        assert sum(fits(real, fake, *window) for window in windows) == 1


def test_hard_negatives_are_the_same_video_with_audio_out_of_step(data):
    pairs = pairs_of(data, generated=False)
    for kind in ("shifted", "swapped"):
        batch = pairs.batch(generator(3), 6, kind=kind)
        assert torch.equal(batch.real, batch.fake)
        differ = (batch.audio != batch.fake_audio).flatten(1).any(1)
        assert differ.all()
    shifted = pairs.batch(generator(3), 6, kind="shifted", length=3)
    centre = 2
    for own, other in zip(shifted.audio, shifted.fake_audio, strict=True):
        (clip,) = [c for c in pairs.clips if any(torch.equal(own[0, centre], a) for a in c.tensors["audio"].float())]
        features = clip.tensors["audio"].float()
        starts = [next(i for i, a in enumerate(features) if torch.equal(a, x[0, centre])) for x in (own, other)]
        assert 2 <= abs(starts[0] - starts[1]) <= 5


def test_the_mixture_is_as_asked(data):
    pairs = pairs_of(data, hard_prob=0.5, swap_prob=0.5)
    kinds = [kind for seed in range(30) for kind in pairs.batch(generator(seed), 4).kinds]
    share = {kind: kinds.count(kind) / len(kinds) for kind in set(kinds)}
    assert share["generated"] == pytest.approx(0.5, abs=0.15)
    assert share["shifted"] == pytest.approx(0.25, abs=0.12)
    assert share["swapped"] == pytest.approx(0.25, abs=0.12)


def test_a_clip_too_short_to_shift_hears_another_one(data):
    pairs = pairs_of(data, generated=False, min_shift=100, max_shift=101)
    assert pairs.batch(generator(), 3, kind="shifted").kinds == ("swapped",) * 3


def test_a_part_is_held_out(data):
    splits: tuple[Split, ...] = ("train", "held_out")
    found = {n: pairs_of(data, split=n, held_out=0.6).clips for n in splits}
    assert all(found.values())
    assert len(found["train"]) + len(found["held_out"]) == 3
    assert {c.identity for c in found["train"]}.isdisjoint({c.identity for c in found["held_out"]})
    with pytest.raises(PahaError, match="no clip of the data falls into the held_out part"):
        pairs_of(data, split="held_out")


def test_lengths_that_no_negative_has_are_an_error(data):
    with pytest.raises(PahaError, match="has 9 frames"):
        pairs_of(data, lengths=(9,)).batch(generator(), 2)


def test_the_reference_may_be_the_windows_first_frame(data):
    batch = pairs_of(data, generated=False, random_reference=False).batch(generator(), 3)
    assert (batch.real[:, 0] == 0).all()  # the residual to itself


def test_a_store_on_a_device_gives_the_same_batches(data):
    """What a GPU holds in flat tensors is what the clips hold, frame by frame (here both on the CPU)."""
    pairs = pairs_of(data, hard_prob=0.6, swap_prob=0.5)
    known = {clip.clip_id: clip for clip in data[0].clips}
    flat = DeviceStore(list(known.values()), load_negatives(data[1])[1], "cpu")
    seen = set()
    for seed in range(6):
        draw, length = generator(seed), (3, 7)[seed % 2]
        members = [pairs._member(pairs._draw_kind(draw), length, draw) for _ in range(5)]
        own, other = (gather(store, members, length, DEBUG) for store in (pairs._store, flat))
        for name in ("real", "fake", "audio", "fake_audio", "box"):
            assert torch.equal(getattr(own, name), getattr(other, name))
        assert own.kinds == other.kinds
        seen |= set(own.kinds)
    assert seen == {"generated", "shifted", "swapped"}
