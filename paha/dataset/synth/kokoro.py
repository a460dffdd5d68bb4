"""Natural English voices of --text: Kokoro-82M (Apache-2.0), where a person has put its folder.

The folder is that of onnx-community's export: a model (*.onnx, of three inputs: tokens (1, N), style (1, 256), speed
(1,); the samples are its output), tokenizer.json, and voices/NAME.bin (styles (510, 256) float32 by number of tokens).
espeak-ng gives the pronunciation, written as Kokoro was taught it.
"""

from __future__ import annotations

import json
import re
import textwrap
from functools import lru_cache
from pathlib import Path

import numpy as np

from paha.dataset.synth.espeak import ipa
from paha.errors import PahaError
from paha.extractors.weights import find_model_folder

KOKORO_RATE_HZ = 24_000
LANGUAGES = {"a": "en-us", "b": "en-gb"}
"""By the first letter of a voice's name; its voices of other languages need other pronunciations."""
_ESPEAKS = {"en-us": "en-us", "en-gb": "en"}
MAX_CHARACTERS = 250
"""Spoken in one go: the model takes 510 tokens at most."""
_PUNCTUATION = re.compile(r"([,.!?;:…—]+)")


def kokoro_voices() -> tuple[str, ...]:
    """Names such as af_heart (American, a woman); none where the model is not found."""
    folder = find_model_folder("kokoro")
    names = () if folder is None else (path.stem for path in (folder / "voices").glob("[ab][fm]_*.bin"))
    return tuple(sorted(names))


def speak_naturally(text: str, voice: str) -> np.ndarray:
    """Samples (N,) float32 at 24 kHz, the same for the same text. voice: one of `kokoro_voices()`.

    Raises PahaError where onnxruntime or espeak-ng is missing, the folder is damaged, or nothing of the text is
    English.
    """
    folder = find_model_folder("kokoro")
    assert folder is not None
    session, vocabulary = _load(folder)
    styles = np.fromfile(folder / "voices" / f"{voice}.bin", np.float32)
    if not len(styles) or len(styles) % 256:
        raise PahaError(f"{folder / 'voices' / voice}.bin is no voice of Kokoro; copy it again")
    parts = []
    for sentence in re.split(r"(?<=[.!?…])\s+|\n+", text):
        for piece in textwrap.wrap(sentence, MAX_CHARACTERS):
            tokens = [vocabulary[c] for c in pronounced(piece, LANGUAGES[voice[0]]) if c in vocabulary][:508]
            if tokens:
                style = styles.reshape(-1, 256)[min(len(tokens), len(styles) // 256 - 1)]
                parts.append(_run(session, tokens, style))
    if not parts:
        raise PahaError(f"Kokoro finds no words in the text {text[:60]!r}: give it English, or another --voice")
    return np.concatenate(parts)


def pronounced(text: str, language: str) -> str:
    """The IPA of a text with its punctuation, in Kokoro's spelling. language: en-us or en-gb."""
    said = ""
    for part in _PUNCTUATION.split(text):
        if _PUNCTUATION.fullmatch(part):
            said += part
        elif part.strip():
            said += (" " if said else "") + ipa(part, _ESPEAKS[language])
    for theirs, kokoros in (("r", "ɹ"), ("x", "k"), ("ʲ", "j"), ("ɬ", "l")):
        said = said.replace(theirs, kokoros)
    return re.sub(r"(?<=nˈaɪn)ti(?!ː)", "di", said) if language == "en-us" else said


@lru_cache(maxsize=1)
def _load(folder: Path):
    """(onnxruntime's session, number of each character)."""
    try:
        import onnxruntime
    except ImportError as error:
        raise PahaError("Kokoro's voices need onnxruntime: pip install 'paha[extract]'") from error
    models = sorted(folder.rglob("*.onnx"), key=lambda path: path.stat().st_size)  # the smallest is the fastest
    try:
        vocabulary = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
        options = onnxruntime.SessionOptions()
        # Waiting threads would burn the cores that the video is made on.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        onnxruntime.set_seed(0)  # of the noise in its consonants
        return onnxruntime.InferenceSession(models[0], options), vocabulary
    except Exception as error:  # of onnxruntime's own classes, which it does not export
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise PahaError(f"{folder} is not a whole model of Kokoro ({line}); copy it again") from error


def _run(session, tokens: list[int], style: np.ndarray) -> np.ndarray:
    names = [put.name for put in session.get_inputs()]
    values = (np.array([[0, *tokens, 0]], np.int64), style[None], np.ones(1, np.float32))
    return np.asarray(session.run(None, dict(zip(names, values, strict=True)))[0], np.float32).ravel()
