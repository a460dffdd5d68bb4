"""A trained model on its way to where the shipped one lies."""

import pytest
import torch
from classifier_toys import toy_classifier
from safetensors.torch import load_file
from toy import toy_pipeline
from typer.testing import CliRunner

from paha.errors import PahaError
from paha.extractors.acoustic_model import AcousticModel
from paha.extractors.audio import AUDIO_ENCODER_FOLDER, AcousticEncoder
from paha.pce.regions import REGIONS
from paha.pipeline.model_folder import CLASSIFIER_FOLDERS
from paha.pipeline.pipeline import PahaPipeline
from paha.training.univdm import ship as program
from paha.training.univdm.ship import ESTIMATOR_FOLDER, ship

WEIGHTS = "univdm/diffusion_pytorch_model.safetensors"


@pytest.fixture
def run(tmp_path):
    """A run folder as a training leaves it."""
    toy_pipeline().save_pretrained(tmp_path / "run" / "model")
    (tmp_path / "run" / "stats.jsonl").write_text('{"step": 1}\n')
    return tmp_path / "run"


def test_half_the_size_the_same_model_and_its_log(run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "other.txt").write_text("stays")
    (tmp_path / "estimator" / "model").mkdir(parents=True)
    (tmp_path / "estimator" / "model" / "weights").write_text("an estimator")
    assert ship(out, univdm=run, estimator=tmp_path / "estimator") == out
    whole, half = load_file(run / "model" / WEIGHTS), load_file(out / WEIGHTS)
    assert whole.keys() == half.keys()
    for key, value in half.items():
        assert value.dtype == torch.float16
        torch.testing.assert_close(value.float(), whole[key], atol=1e-3, rtol=1e-3)
    assert (out / "univdm" / "stats.jsonl").read_text() == '{"step": 1}\n'
    assert (out / ESTIMATOR_FOLDER / "weights").read_text() == "an estimator"
    assert (out / "other.txt").read_text() == "stays"
    assert next(PahaPipeline.from_pretrained(out).univdm.parameters()).dtype == torch.float32


def test_a_run_without_a_model_is_named_and_nothing_is_written(run, tmp_path):
    with pytest.raises(PahaError, match=r"has no model yet; train it with `paha train univdm"):
        ship(tmp_path / "out", univdm=tmp_path)
    with pytest.raises(PahaError, match="paha train keypoint-estimator"):
        ship(tmp_path / "out", univdm=run, estimator=tmp_path)
    with pytest.raises(PahaError, match="paha train lip-reader"):
        ship(tmp_path / "out", lip_readers=[tmp_path])
    assert not (tmp_path / "out").exists()


def test_a_lip_reader_goes_beside_the_ears_and_nothing_else_is_touched(run, tmp_path):
    ears, reader = (AcousticModel(stem_channels=8, channels=8, reduction=reduction) for reduction in (0, 4))
    out = tmp_path / "out"
    AcousticEncoder(ears).save(out / AUDIO_ENCODER_FOLDER)
    before = (out / AUDIO_ENCODER_FOLDER / "config.json").read_bytes()
    reader.save_pretrained(tmp_path / "reader" / "model")
    ship(out, lip_readers=[tmp_path / "reader"])
    (loaded,) = AcousticEncoder.load(out / AUDIO_ENCODER_FOLDER).lip_readers
    assert loaded.config["reduction"] == 4
    assert (out / AUDIO_ENCODER_FOLDER / "config.json").read_bytes() == before
    assert sorted(path.name for path in out.iterdir()) == [AUDIO_ENCODER_FOLDER]


def test_classifiers_in_eight_bits_are_read_as_any_others(run, tmp_path):
    pipeline = toy_pipeline()
    for region in REGIONS:
        pipeline.add_classifier(toy_classifier(region))
    pipeline.save_pretrained(tmp_path / "guided")
    out = ship(tmp_path / "out", univdm=run, classifiers=tmp_path / "guided")
    for region in REGIONS:
        name = CLASSIFIER_FOLDERS[region]
        whole, small = (folder / name / WEIGHTS.split("/")[1] for folder in (tmp_path / "guided", out))
        assert small.stat().st_size < 0.6 * whole.stat().st_size
        read = PahaPipeline.from_pretrained(out).classifier(region).state_dict()
        for key, value in load_file(whole).items():
            torch.testing.assert_close(read[key], value.float(), atol=0.01 * float(value.abs().max()), rtol=0.01)


def test_as_a_program(run, tmp_path):
    import typer

    app = typer.Typer()
    app.command()(program.main)
    ended = CliRunner().invoke(app, ["--univdm", str(run), "--out", str(tmp_path / "out")])
    assert ended.exit_code == 0, ended.output
    assert (tmp_path / "out" / WEIGHTS).is_file()
