"""Endless small sentences of English and Mandarin, drawn from hand-written grammars."""

from __future__ import annotations

import re

import numpy as np

from paha.dataset.synth.texts_en import GRAMMAR_EN
from paha.dataset.synth.texts_zh import GRAMMAR_CMN
from paha.errors import PahaError

_GRAMMARS = {"en": GRAMMAR_EN, "cmn": GRAMMAR_CMN}
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa])( [aeiou])")


def random_sentence(rng: np.random.Generator, language: str) -> str:
    """A sentence of 4 to 25 words in "en" or "cmn", a function of the generator's state."""
    if language not in _GRAMMARS:
        raise PahaError(f"language {language!r} is not one of {', '.join(_GRAMMARS)}")
    grammar = _GRAMMARS[language]
    text = "{sentence}"
    while slot := _SLOT.search(text):
        choice = grammar[slot[1]][rng.integers(len(grammar[slot[1]]))]
        text = text[: slot.start()] + choice + text[slot.end() :]
    text = _ARTICLE.sub(r"\1n\2", text)
    return text[0].upper() + text[1:]
