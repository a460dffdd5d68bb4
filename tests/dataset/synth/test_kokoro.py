"""Kokoro's voices: with a model of its interface that hums one tone a token, and with the real one where it is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from paha.dataset.synth import kokoro
from paha.dataset.synth.kokoro import MAX_CHARACTERS, kokoro_voices, pronounced, speak_naturally
from paha.dataset.synth.spoken_text import default_voice, speak, voices
from paha.errors import PahaError
from paha.extractors.weights import FOLDER_VARIABLE, find_model_folder

pytest.importorskip("espeakng_loader")
SAMPLES_A_TOKEN = 500


@pytest.fixture
def no_model(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kokoro._load.cache_clear()
    yield tmp_path
    kokoro._load.cache_clear()


@pytest.fixture
def humming(no_model):
    """A folder of two voices, one loud, one quiet."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, kind = onnx.helper, onnx.TensorProto
    ramp = np.sin(np.arange(SAMPLES_A_TOKEN) / 9).astype(np.float32)[None]
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in (
        ("ramp", ramp), ("column", np.array([-1, 1])), ("flat", np.array([-1])), ("scale", np.float32(0.01)),
    )]  # fmt: skip
    nodes = [
        make.make_node("Cast", ["tokens"], ["number"], to=kind.FLOAT),
        make.make_node("Reshape", ["number", "column"], ["rows"]),
        make.make_node("Mul", ["rows", "ramp"], ["tones"]),
        make.make_node("ReduceMean", ["style"], ["loud"], keepdims=0),
        make.make_node("Mul", ["tones", "loud"], ["louder"]),
        make.make_node("Div", ["louder", "speed"], ["spoken"]),
        make.make_node("Mul", ["spoken", "scale"], ["scaled"]),
        make.make_node("Reshape", ["scaled", "flat"], ["audio"]),
    ]
    inputs = [
        make.make_tensor_value_info("tokens", kind.INT64, [1, "n"]),
        make.make_tensor_value_info("style", kind.FLOAT, [1, 256]),
        make.make_tensor_value_info("speed", kind.FLOAT, [1]),
    ]
    graph = make.make_graph(nodes, "toy", inputs, [make.make_tensor_value_info("audio", kind.FLOAT, ["m"])], constants)
    folder = no_model / "kokoro"
    (folder / "voices").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    vocabulary = {c: n for n, c in enumerate(" abdefhijklmnoprstuvwzæɑɔəɛɡɪŋɹɾʃʊʌˈˌːθð,.", 1)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    for name, loud in (("af_heart", 1.0), ("bm_george", 0.5)):
        np.full((510, 256), loud, np.float32).tofile(folder / "voices" / f"{name}.bin")
    return folder


def test_without_the_model_espeak_speaks(no_model):
    assert kokoro_voices() == ()
    assert default_voice("en-us") == "f2"
    with pytest.raises(PahaError, match="no voice 'af_heart'"):
        speak("hello", voice="af_heart")


def test_where_it_is_found_it_speaks_english_by_default_and_the_rest_is_espeaks(humming):
    assert voices()[:2] == kokoro_voices() == ("af_heart", "bm_george")
    samples, rate_hz = speak("Good morning.")
    assert rate_hz == 24_000
    assert len(samples) == SAMPLES_A_TOKEN * (len(pronounced("Good morning.", "en-us")) + 2)
    assert np.array_equal(samples, speak("Good morning.", voice="af_heart", language="en-us")[0])
    assert np.abs(speak("Good morning.", voice="bm_george")[0]).max() == pytest.approx(np.abs(samples).max() / 2, 0.01)
    assert speak("Guten Morgen.", language="de")[1] == speak("Good morning.", voice="f2")[1] == 22_050
    with pytest.raises(PahaError, match="af_heart speaks en-us, not de; give one such as f2"):
        speak("Guten Morgen.", language="de", voice="af_heart")


def test_a_long_text_is_spoken_in_pieces(humming):
    words = "or " * MAX_CHARACTERS
    assert len(speak_naturally(words, "af_heart")) > SAMPLES_A_TOKEN * 2 * MAX_CHARACTERS
    with pytest.raises(PahaError, match="finds no words"):
        speak_naturally("?", "af_heart")


@pytest.mark.parametrize(
    ("file", "content"), [("tokenizer.json", "{"), ("model.onnx", "no model"), ("voices/af_heart.bin", "odd")]
)
def test_a_damaged_folder_is_named(humming, file, content):
    (humming / file).write_text(content)
    with pytest.raises(PahaError, match="copy it again"):
        speak("hello", voice="af_heart")


def test_the_spelling_is_kokoros():
    assert pronounced("Ninety, right?", "en-us") == "nˈaɪndi, ɹˈaɪt?"
    assert pronounced("tomato", "en-gb") == "təmˈɑːtəʊ"


@pytest.mark.skipif(find_model_folder("kokoro") is None, reason="Kokoro's folder is in no folder of weights")
def test_the_real_one_says_it_the_same_way_every_time():
    samples, rate_hz = speak("Good morning, everybody.", voice="af_heart")
    assert 1 < len(samples) / rate_hz < 4
    assert 0.1 < np.abs(samples).max() < 1
    assert np.array_equal(samples, speak("Good morning, everybody.", voice="af_heart")[0])
