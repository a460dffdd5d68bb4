"""What is held out, with many people and with few."""

from collections import Counter

import pytest
from tiny_features import write_features

from paha.dataset.dataset import ClipFeatures, FeatureDataset
from paha.presets import preset
from paha.training.pce.hold_out import held_out_ids
from paha.training.pce.pairs import PairConfig, PairDataset

DEBUG = preset("debug")
PATS = ("jon", "chemistry", "oliver", "seth")
CNAS = ("anchor0", "anchor1", "anchor2", "anchor3", "anchor4")


def clips_of(identities, each):
    return [ClipFeatures(f"{who}_{i:04d}", who, {}) for who in identities for i in range(each)]


@pytest.mark.parametrize("people", [PATS, CNAS])
def test_of_few_people_each_is_trained_on_and_each_is_measured(people):
    clips = clips_of(people, 1200)
    held_out = held_out_ids(clips, 0.1)
    by_person = Counter(clip.identity for clip in clips if clip.clip_id in held_out)
    assert set(by_person) == set(people)
    assert all(90 < count < 150 for count in by_person.values())


def test_of_many_people_whole_ones_are_held_out():
    clips = clips_of([f"presenter-{i}" for i in range(1000)], 3)
    held_out = held_out_ids(clips, 0.3)
    by_person = Counter(clip.identity for clip in clips if clip.clip_id in held_out)
    assert set(by_person.values()) == {3}
    assert 250 < len(by_person) < 350


@pytest.mark.parametrize("count", range(2, 30))
def test_neither_part_is_ever_empty(count):
    """Eight people of one clip each were refused: none of their names fell into a tenth."""
    clips = clips_of([f"person-{count}-{i}" for i in range(count)], 1)
    assert 0 < len(held_out_ids(clips, 0.1)) < count
    assert 0 < len(held_out_ids(clips, 0.95)) < count


def test_more_clips_move_none_from_one_part_to_the_other():
    before, after = clips_of(PATS, 400), clips_of(PATS, 500)
    old = {clip.clip_id for clip in before}
    assert held_out_ids(after, 0.1) & old == held_out_ids(before, 0.1)
    assert held_out_ids(reversed(after), 0.1) == held_out_ids(after, 0.1)


def test_a_person_of_one_clip_among_few_is_trained_on():
    clips = [*clips_of(("jon",), 20), *clips_of(("oliver",), 1)]
    held_out = held_out_ids(clips, 0.1)
    assert held_out
    assert "oliver_0000" not in held_out


def test_nothing_is_held_out_unless_asked():
    assert held_out_ids(clips_of(PATS, 10), 0.0) == set()


def test_eight_people_train_and_are_measured(tmp_path):
    dataset = FeatureDataset(write_features(tmp_path / "key", DEBUG, lengths=(12,) * 8), config=DEBUG)
    options = PairConfig(lengths=(3,), held_out=0.1, hard_prob=1.0)
    parts = [
        {clip.clip_id for clip in PairDataset(dataset, None, config=DEBUG, pairs=options, split=split).clips}
        for split in ("train", "held_out")
    ]
    assert [len(part) for part in parts] == [7, 1]
