"""A model folder that was loaded and saved again carries what the first one did."""

import json

import pytest
import torch
from classifier_toys import toy_classifier
from safetensors.torch import load_file
from toy import toy_pipeline

from paha.errors import PahaError
from paha.motion.motion_codec import MotionCodec
from paha.pipeline.model_folder import CLASSIFIER_FOLDERS, check_trainable, load_model_codec
from paha.pipeline.pipeline import PahaPipeline
from paha.presets import preset

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model folder with both classifiers and an audio encoder of its own."""
    folder, pipeline = tmp_path_factory.mktemp("model"), toy_pipeline()
    for region in CLASSIFIER_FOLDERS:
        pipeline.add_classifier(toy_classifier(region))  # pyright: ignore[reportArgumentType]
    pipeline.save_pretrained(folder)
    (folder / "audio_encoder").mkdir()
    (folder / "audio_encoder" / "config.json").write_text(json.dumps({"of": "a user"}))
    return folder


def test_classifiers_that_were_never_loaded_and_encoders_are_carried_along(saved, tmp_path):
    PahaPipeline.from_pretrained(saved).save_pretrained(tmp_path)
    own, copied = ({p.relative_to(f) for f in [folder] for p in f.rglob("*")} for folder in (saved, tmp_path))
    assert copied == own
    for name in CLASSIFIER_FOLDERS.values():
        assert (tmp_path / name / WEIGHTS).read_bytes() == (saved / name / WEIGHTS).read_bytes()
    assert PahaPipeline.from_pretrained(tmp_path).classifier("face").region == "face"


def test_a_classifier_that_was_replaced_is_the_one_written(saved, tmp_path):
    pipeline = PahaPipeline.from_pretrained(saved)
    other = toy_classifier("face")
    other.cls_token.data.fill_(7.0)
    pipeline.add_classifier(other)
    pipeline.save_pretrained(tmp_path)
    assert (load_file(tmp_path / CLASSIFIER_FOLDERS["face"] / WEIGHTS)["cls_token"] == 7).all()
    assert (tmp_path / CLASSIFIER_FOLDERS["non_face"] / WEIGHTS).is_file()


def test_a_model_is_saved_into_its_own_folder(saved):
    before = load_file(saved / CLASSIFIER_FOLDERS["face"] / WEIGHTS)
    PahaPipeline.from_pretrained(saved).save_pretrained(saved)
    after = load_file(saved / CLASSIFIER_FOLDERS["face"] / WEIGHTS)
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_a_motion_model_of_an_earlier_scale_is_read_and_nothing_is_trained_on_it(tmp_path):
    config = preset("presenter")
    MotionCodec().save_pretrained(tmp_path / "codec")
    check_trainable(tmp_path, config)
    path = tmp_path / "codec" / "config.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "part_gains"}))
    assert load_model_codec(tmp_path, config).config["part_gains"] == (1.0,) * 9
    with pytest.raises(PahaError, match="train it anew") as caught:
        check_trainable(tmp_path, config)
    assert "\n" not in str(caught.value)
