"""Train and test clips stay apart, from splits.json to the batches and the note in a trained model."""

import json

import pytest
import torch
from tiny_features import write_features
from toy_corpus import make_toy_corpus

from paha.dataset.dataset import FeatureDataset
from paha.dataset.features import INDEX
from paha.dataset.joint import JointDataset
from paha.dataset.splits import read_splits, split_records, splits_digest
from paha.dataset.training_data import seen_in_training, trained_clips, write_training_data
from paha.errors import PahaError
from paha.presets import preset

CONFIG = preset("debug")


def split(folder, **parts):
    (folder / "splits.json").write_text(json.dumps(parts))


def ids(folder, name):
    return [record.clip_id for record in split_records(folder, name)]


def test_a_split_is_part_of_the_manifest_and_no_file_is_all_of_it(tmp_path):
    make_toy_corpus(tmp_path, clips=3)
    assert ids(tmp_path, "train") == ids(tmp_path, "test") == ids(tmp_path, "all") == ["clip0", "clip1", "clip2"]
    split(tmp_path, train=["clip2", "clip0"], test=["clip1"])
    assert (ids(tmp_path, "train"), ids(tmp_path, "test")) == (["clip0", "clip2"], ["clip1"])
    assert len(ids(tmp_path, "all")) == 3
    digest = splits_digest(read_splits(tmp_path))
    split(tmp_path, train=["clip0", "clip2"], test=["clip1"])  # the same parts in another order
    assert splits_digest(read_splits(tmp_path)) == digest
    split(tmp_path, train=["clip0"], test=["clip1", "clip2"])
    assert splits_digest(read_splits(tmp_path)) != digest


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ({"train": ["clip0"]}, "no lists"),
        ({"train": ["clip0", "clip1"], "test": ["clip1"]}, "1 clips twice"),
        ({"train": ["clip0"], "test": []}, "does not name clip 'clip1'"),
    ],
)
def test_a_bad_split_is_refused(tmp_path, parts, match):
    make_toy_corpus(tmp_path, clips=2)
    split(tmp_path, **parts)
    with pytest.raises(PahaError, match=match):
        split_records(tmp_path, "train")


def test_an_empty_part_is_refused(tmp_path):
    make_toy_corpus(tmp_path, clips=2)
    split(tmp_path, train=["clip0", "clip1"], test=[])
    with pytest.raises(PahaError, match="no clip for --split test"):
        split_records(tmp_path, "test")


def features_of(tmp_path, name, *parts, lengths=(20, 20, 20)):
    folder = write_features(tmp_path / name / "key", CONFIG, lengths=lengths)
    index = json.loads((folder / INDEX).read_text())
    for clip, part in zip(index["clips"], parts, strict=True):
        clip["split"] = part
    index["splits_sha256"] = "abc"
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def test_batches_hold_the_split_alone_and_the_run_says_so(tmp_path):
    folder = features_of(tmp_path, "a", "train", "test", "train")
    dataset = FeatureDataset(folder, config=CONFIG)
    batch = dataset.batch(torch.Generator().manual_seed(0), 64)
    assert set(batch.clip_ids) == {"clip0", "clip2"}
    assert dataset.fingerprint["split"] == "train"
    assert dataset.fingerprint["splits_sha256"] == "abc"
    assert dataset.records[0]["clips"].keys() == {"clip0", "clip2"}
    held_out = FeatureDataset(folder, config=CONFIG, split="test")
    assert [clip.clip_id for clip in held_out.clips] == ["clip1"]
    assert len(FeatureDataset(folder, config=CONFIG, split="all").clips) == 3


def test_features_that_do_not_know_the_split_are_refused(tmp_path):
    folder = write_features(tmp_path / "key", CONFIG)
    index = json.loads((folder / INDEX).read_text())
    del index["clips"][1]["split"]
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(PahaError, match="which clips are for testing"):
        FeatureDataset(folder, config=CONFIG)


def renamed(folder, prefix):
    index = json.loads((folder / INDEX).read_text())
    for clip in index["clips"]:
        (folder / f"{clip['clip_id']}.safetensors").rename(folder / f"{prefix}{clip['clip_id']}.safetensors")
        clip["clip_id"] = prefix + clip["clip_id"]
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def test_joint_batches_are_balanced_whatever_the_datasets_lengths(tmp_path):
    large = FeatureDataset(write_features(tmp_path / "a/key", CONFIG, lengths=(60,) * 6), config=CONFIG)
    small = FeatureDataset(renamed(write_features(tmp_path / "b/key", CONFIG, lengths=(20,)), "b"), config=CONFIG)
    joint = JointDataset([large, small])
    generator = torch.Generator().manual_seed(0)
    for size in (8, 5):
        batch = joint.batch(generator, size)
        few = sum(name.startswith("b") for name in batch.clip_ids)
        assert abs(2 * few - size) <= 1
        assert len(batch.latents) == len(batch.audio) == len(batch.clip_ids) == size
    odd = [joint.batch(generator, 1).clip_ids[0].startswith("b") for _ in range(40)]
    assert 5 < sum(odd) < 35
    assert len(joint.records) == len(joint.fingerprint["datasets"]) == 2
    with pytest.raises(PahaError, match="clip called 'clip0'"):
        JointDataset([large, large])


def test_a_trained_clip_is_known_by_its_content(tmp_path):
    from paha.dataset.features import source_hash

    records = split_records(make_toy_corpus(tmp_path / "data", clips=2), "all")
    for record in records:
        (tmp_path / "data" / record.audio).write_bytes(record.clip_id.encode())
    seen = source_hash(tmp_path / "data", records[1])[:16]
    write_training_data(tmp_path / "model", [{"data": "d", "split": "train", "clips": {"another name": seen}}])
    assert trained_clips(tmp_path / "model") == {seen}
    assert seen_in_training(tmp_path / "model", tmp_path / "data", records) == ["clip1"]
    assert seen_in_training(tmp_path / "data", tmp_path / "data", records) == []
