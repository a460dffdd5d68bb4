"""A folder of natural speech with its phones, beside espeak-ng: many voices, which lips that follow real speech need.

The folder holds sound files and `alignment.jsonl`, one line a file: {"file", "voice", "text", "words", "phones"}, words
and phones as [name, start s, length s], phones in ARPAbet (forced alignment of pocketsphinx, for instance).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from paha.dataset.synth.speech import Phoneme, Speech, cut, join, random_pause
from paha.dataset.synth.stress import mark_stress
from paha.dataset.synth.visemes import IPA_OF_ARPABET
from paha.errors import PahaError

ALIGNMENT = "alignment.jsonl"
HELD_OUT_VOICES = ("bm_lewis", "bf_lily", "am_puck", "af_sky")
"""Voices whose name ends in one of these are for tests: no training stream speaks with them."""
_SCHWA_S = 0.07
_MARGIN_S = 0.03


@dataclass(frozen=True)
class AlignedFile:
    """One line of the alignment. words, phones: (name, start_s, length_s)."""

    file: str
    voice: str
    text: str
    words: tuple[tuple[str, float, float], ...]
    phones: tuple[tuple[str, float, float], ...]


class NaturalSpeech:
    """Sentences of a folder, either those for training or those of the held-out voices.

    Each file is decoded once and then kept as 16-bit samples (2 MB a minute).
    """

    def __init__(self, folder: Path | str, *, held_out: bool = False) -> None:
        """Raises PahaError where the folder has no alignment, or none of these voices."""
        self.folder, self.held_out = Path(folder), held_out
        lines = [line for line in read_alignment(self.folder) if line.voice.endswith(HELD_OUT_VOICES) == held_out]
        if not lines:
            kind = "held-out voices" if held_out else "voices to train on"
            raise PahaError(f"{self.folder / ALIGNMENT} has no {kind}: give a folder of aligned speech that has some")
        self._sentences: dict[int, Speech] = {}
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    def __getstate__(self) -> dict:
        """Without the decoded speech: another process decodes what it uses."""
        return self.__dict__ | {"_sentences": {}, "by_voice": self.by_voice}

    @cached_property
    def by_voice(self) -> dict[str, list[int]]:
        """Indices of the sentences of each voice."""
        voices: dict[str, list[int]] = {}
        for index, line in enumerate(self.lines):
            voices.setdefault(line.voice, []).append(index)
        return voices

    def sentence(self, index: int) -> Speech:
        """A sentence from its first to its last phone, with marked stress."""
        if index not in self._sentences:
            speech = self._read(self.lines[index])
            quantised = np.rint(speech.samples.clip(-1, 1) * 32767).astype(np.int16)
            self._sentences[index] = replace(speech, samples=quantised)
        kept = self._sentences[index]
        return replace(kept, samples=kept.samples.astype(np.float32) / 32767)

    def random_speech(self, rng: np.random.Generator, *, min_seconds: float) -> Speech:
        """Random sentences of one random voice with pauses, as `paha.dataset.synth.speech.random_speech`."""
        voices = sorted(self.by_voice)
        indices = self.by_voice[voices[int(rng.integers(len(voices)))]]
        parts: list[Speech] = []
        pauses_s = [float(rng.uniform(0, 0.6))]
        while sum(p.duration_s for p in parts) + sum(pauses_s) < min_seconds:
            parts.append(self.sentence(indices[int(rng.integers(len(indices)))]))
            pauses_s.append(random_pause(rng))
        return join(parts, pauses_s)

    def _read(self, line: AlignedFile) -> Speech:
        from paha.media.audio_io import read_audio, to_mono_16k

        samples, rate_hz = read_audio(self.folder / line.file)
        phonemes = phonemes_of_arpabet(line.phones)
        words = tuple((start, start + length) for name, start, length in line.words if name[0] not in "<[")
        speech = Speech(to_mono_16k(samples, rate_hz), phonemes, words, line.text, "en", line.voice)
        whole = mark_stress(speech)
        start_s = max(0.0, phonemes[0].start_s - _MARGIN_S)
        return cut(whole, start_s=start_s, stop_s=phonemes[-1].end_s + _MARGIN_S)


def phonemes_of_arpabet(phones: tuple[tuple[str, float, float], ...]) -> tuple[Phoneme, ...]:
    """Phonemes of (ARPAbet, start_s, length_s), silences and noises left out; a short AH is a schwa."""
    phonemes: list[Phoneme] = []
    for name, start, length in phones:
        symbol = IPA_OF_ARPABET.get(name)
        if symbol is None or length <= 0:
            continue
        if name == "AH" and length < _SCHWA_S:
            symbol = "ə"
        phonemes.append(Phoneme(symbol, start, start + length))
    return tuple(phonemes)


def read_alignment(folder: Path) -> list[AlignedFile]:
    """The lines of a folder's alignment that have phones. Raises PahaError where it is missing or unreadable."""
    path = folder / ALIGNMENT
    if not path.is_file():
        raise PahaError(f"{folder} is no folder of aligned speech: it has no {ALIGNMENT}")
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(text)
            words, phones = (tuple((n, float(s), float(d)) for n, s, d in entry[key]) for key in ("words", "phones"))
            line = AlignedFile(entry["file"], entry["voice"], entry.get("text", ""), words, phones)
        except (ValueError, KeyError, TypeError) as error:
            raise PahaError(f"{path} line {number} is not an aligned file ({error}): see natural_speech.py") from error
        if any(name in IPA_OF_ARPABET for name, _, _ in line.phones):
            lines.append(line)
    return lines
