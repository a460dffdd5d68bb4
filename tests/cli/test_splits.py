"""A PATS of four speakers, in the small: nothing that is tested was trained on, through every verb."""

import json
import shutil

import pytest
from toy import toy_codec
from toy_videos import make_dataset, make_method
from typer.testing import CliRunner

from paha.cli.main import app
from paha.dataset.manifest import read_manifest, write_manifest
from paha.dataset.training_data import TrainedOnWarning, trained_clips
from paha.presets import preset
from paha.training.pce.negatives import read_pairs

SPEAKERS = ("jon", "chemistry", "oliver", "seth")
TEST = [f"clip{2 * i}" for i in range(4)]
TRAIN = [f"clip{2 * i + 1}" for i in range(4)]


def paha(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """data/ with two clips of each speaker, one for testing; run/ of a UniVDM trained on it; negatives/ of that."""
    root = tmp_path_factory.mktemp("pats")
    data = make_dataset(root / "data", clips=8, num_frames=30)
    records = [r.model_copy(update={"identity": SPEAKERS[i // 2]}) for i, r in enumerate(read_manifest(data))]
    write_manifest(data, records)
    (data / "splits.json").write_text(json.dumps({"train": TRAIN, "test": TEST}))
    toy_codec(preset("debug")).save_pretrained(root / "codec")
    own = ("--preset", "debug", "--codec", root / "codec", "--steps", 2)
    paha("train", "univdm", "--data", data, "--out", root / "run", *own)
    flags = ("--count", 24, "--lengths", "4", "--steps", 1)
    paha("negatives", "--data", data, "--model", root / "run/model", "--out", root / "negatives", *flags)
    return root


def test_a_model_notes_what_it_was_trained_on_and_that_is_the_train_split(root):
    note = json.loads((root / "run/model/training_data.json").read_text())["datasets"][0]
    assert sorted(note["clips"]) == TRAIN
    assert note["split"] == "train"
    assert len(note["splits_sha256"]) == 16
    assert len(trained_clips(root / "run/model")) == 4


def test_test_clips_have_no_features_and_no_negatives(root):
    made = {path.stem for path in root.glob("data/features/*/*.safetensors")}
    assert made == set(TRAIN)
    pairs = read_pairs(root / "negatives")
    assert {pair.clip_id for pair in pairs} | {pair.audio_clip_id for pair in pairs} <= set(TRAIN)
    assert json.loads((root / "negatives/negatives.json").read_text())["split"] == "train"


def test_a_table_is_measured_on_the_test_split_and_retrieves_from_the_other(root, tmp_path, monkeypatch, recwarn):
    monkeypatch.delenv("PAHA_WEIGHTS", raising=False)
    method = make_method(tmp_path / "theirs", clips=8, num_frames=30)
    own = ("--model", root / "run/model", "--pose", "exact", "--steps", 1)
    data = root / "data"
    paha("tables", "1", "--data", data, "-o", tmp_path / "t", "--no-models", "--method", f"Theirs={method}", *own)
    table = json.loads((tmp_path / "t/table_1.json").read_text())
    assert table["provenance"]["clips"]["presenter"] == TEST
    assert table["provenance"]["split"]["presenter"]["splits_sha256"]
    assert any("4 videos of other splits left out" in note for note in table["notes"])
    sources = json.loads((tmp_path / "t/videos/presenter/retrieval-by-audio/sources.json").read_text())
    assert sources.keys() == set(TEST)
    assert not [w for w in recwarn if isinstance(w.message, TrainedOnWarning)]


def test_trained_clips_in_a_table_are_warned_of(root, tmp_path):
    shutil.copytree(root / "data", tmp_path / "renamed")
    (tmp_path / "renamed/splits.json").unlink()
    own = ("--model", root / "run/model", "--pose", "exact", "--steps", 1, "--no-models")
    with pytest.warns(TrainedOnWarning, match="4 of the 8 clips .* were trained on"):
        paha("tables", "1", "--data", tmp_path / "renamed", "-o", tmp_path / "t", *own)


def test_evaluation_leaves_videos_of_the_train_split_out(root, tmp_path, monkeypatch):
    monkeypatch.delenv("PAHA_WEIGHTS", raising=False)
    fake = make_dataset(tmp_path / "fake", clips=8, num_frames=30)
    own = ("--pose", "exact", "--no-ceilings", "--replicates", 10)
    paha("evaluate", root / "data", fake, "-o", tmp_path / "out", *own)
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["provenance"]["clips"] == {"real": 4, "generated": 4}
    assert results["provenance"]["split"]["left_out"] == TRAIN
    with pytest.warns(TrainedOnWarning, match="4 clips of .* are for training"):
        paha("evaluate", root / "data", fake, "-o", tmp_path / "all", *own, "--split", "all")
    assert json.loads((tmp_path / "all/results.json").read_text())["paired"] == 8
