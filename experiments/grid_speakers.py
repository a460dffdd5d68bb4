"""Real mouths and real sound: GRID's clips with their phones, which the rig's lips are held against.

The phones come from pocketsphinx (PyPI, BSD; `pip install pocketsphinx==5.1.1`), aligned to the sentence, which a GRID
file's name spells: command, colour, preposition, letter, digit, adverb.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paha.dataset.synth.natural_speech import phonemes_of_arpabet
from paha.dataset.synth.speech import Speech
from paha.errors import PahaError
from paha.types import SAMPLE_RATE_HZ

_WORDS = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    {"z": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}
    | {"6": "six", "7": "seven", "8": "eight", "9": "nine"},
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


@dataclass(frozen=True)
class Speaker:
    """A clip: speech with its phones, and the speaker's own inner-lip gap (T,), face heights."""

    name: str
    speech: Speech
    opening: np.ndarray


def sentence_of(name: str) -> str:
    """The sentence of a GRID file: "bbaf2n" is "bin blue at f two now". Raises PahaError for another name."""
    code = name.removeprefix("grid_")
    if len(code) != len(_WORDS) or any(letter not in words for letter, words in zip(code, _WORDS, strict=True)):
        raise PahaError(f"{name!r} is not the name of a GRID clip: six letters, as in bbaf2n")
    return " ".join(words[letter] for letter, words in zip(code, _WORDS, strict=True))


def align(samples: np.ndarray, text: str) -> tuple[tuple[str, float, float], ...]:
    """(ARPAbet phone, start_s, length_s) of 16 kHz samples that say the text. Raises PahaError without pocketsphinx."""
    try:
        from pocketsphinx import Decoder  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise PahaError("forced alignment needs pocketsphinx: pip install pocketsphinx==5.1.1") from error
    raw = np.rint(samples.clip(-1, 1) * 32767).astype("<i2").tobytes()
    decoder = Decoder(lm=None, samprate=SAMPLE_RATE_HZ, loglevel="FATAL")
    decoder.set_align_text(text)
    for second_pass in (False, True):  # words first, then the phones within them
        if second_pass:
            decoder.set_alignment()
        decoder.start_utt()
        decoder.process_raw(raw, full_utt=True)
        decoder.end_utt()
    return tuple((p.name, p.start / 100, p.duration / 100) for word in decoder.get_alignment() for p in word)


def read_speaker(clip: Path) -> Speaker:
    """A GRID clip's speech and lips. Raises PahaError where a file, MediaPipe or pocketsphinx is missing."""
    from experiments.presenter.face_reader import face_reader
    from paha.media.audio_io import read_audio, to_mono_16k
    from paha.media.video_io import read_video
    from paha.motion.landmarks import landmark_reader, read_landmarks

    frames, (samples, rate_hz) = read_video(clip), read_audio(clip)
    mono = to_mono_16k(samples, rate_hz)
    name = clip.stem.removeprefix("grid_")
    text = sentence_of(name)
    reader = landmark_reader("mediapipe")
    face = read_landmarks(frames[0], reader, reader.find_faces(frames[0])).face
    opening = face_reader().read(frames, face).opening
    speech = Speech(mono, phonemes_of_arpabet(align(mono, text)), text=text, language="en", voice=clip.name)
    return Speaker(name, speech, opening)
