"""What the lips do for each sound: targets of opening, width and pressure, and how strongly a sound insists on them."""

from __future__ import annotations

from dataclasses import dataclass

from paha.dataset.synth.speech import Phoneme


@dataclass(frozen=True)
class Viseme:
    """Lips of one sound: open [0, 1] between the inner lips, wide [-1 rounded, 1 spread], press [0, 1].

    weight: dominance over its neighbours; a small one lets them shape the lips (h, k), a large one does not (w).
    """

    open: float
    wide: float
    press: float
    weight: float


_CLOSED = Viseme(0.0, 0.0, 1.0, 1.0)
_LABIODENTAL = Viseme(0.08, 0.1, 0.35, 0.9)
# The tongue makes these behind teeth that are close together; the lips are apart and show them.
_DENTAL = Viseme(0.35, 0.15, 0.0, 0.5)
_TONGUE_TIP = Viseme(0.38, 0.15, 0.0, 0.4)
_SIBILANT = Viseme(0.42, 0.35, 0.0, 0.6)
_PUCKERED = Viseme(0.4, -0.6, 0.0, 0.8)
_BACK = Viseme(0.42, 0.0, 0.0, 0.25)
_APPROXIMANT = Viseme(0.25, -0.45, 0.0, 0.6)

# By IPA character. Opening as phoneticians order the vowels (close to open), consonants by where the teeth are.
VISEMES: dict[str, Viseme] = {
    **dict.fromkeys("pbm", _CLOSED),
    **dict.fromkeys("fvⱱɱ", _LABIODENTAL),
    **dict.fromkeys("θð", _DENTAL),
    **dict.fromkeys("tdnlɫɾ", _TONGUE_TIP),
    **dict.fromkeys("szɕʑ", _SIBILANT),
    **dict.fromkeys("ʃʒʂʐ", _PUCKERED),
    **dict.fromkeys("ɹɻr", _APPROXIMANT),
    **dict.fromkeys("kgɡŋxχhɦʔcq", _BACK),
    **dict.fromkeys("wʍɥ", Viseme(0.08, -1.0, 0.0, 1.0)),
    **dict.fromkeys("jç", Viseme(0.35, 0.6, 0.0, 0.6)),
    "a": Viseme(0.95, 0.2, 0.0, 1.0),
    "ɑ": Viseme(1.0, 0.0, 0.0, 1.0),
    "æ": Viseme(0.9, 0.4, 0.0, 1.0),
    "ɐ": Viseme(0.75, 0.1, 0.0, 1.0),
    "ʌ": Viseme(0.72, 0.1, 0.0, 0.9),
    "ɒ": Viseme(0.8, -0.35, 0.0, 1.0),
    "ɔ": Viseme(0.65, -0.55, 0.0, 1.0),
    "o": Viseme(0.45, -0.8, 0.0, 1.0),
    "ʊ": Viseme(0.3, -0.7, 0.0, 0.9),
    "u": Viseme(0.15, -1.0, 0.0, 1.0),
    "ʉ": Viseme(0.2, -0.85, 0.0, 1.0),
    "y": Viseme(0.18, -0.95, 0.0, 1.0),
    "i": Viseme(0.45, 1.0, 0.0, 0.9),
    "ɪ": Viseme(0.5, 0.65, 0.0, 0.8),
    "ᵻ": Viseme(0.42, 0.5, 0.0, 0.6),
    "ɨ": Viseme(0.35, 0.4, 0.0, 0.8),
    "e": Viseme(0.62, 0.65, 0.0, 1.0),
    "ɛ": Viseme(0.7, 0.5, 0.0, 1.0),
    "ə": Viseme(0.45, 0.05, 0.0, 0.5),
    "ɚ": Viseme(0.35, -0.25, 0.0, 0.8),
    "ɜ": Viseme(0.42, -0.2, 0.0, 0.9),
    "ɤ": Viseme(0.45, 0.1, 0.0, 1.0),
}
VOWELS = frozenset("aɑæɐʌɒɔoʊuʉyiɪᵻɨeɛəɚɜɤ")
BILABIALS = frozenset("pbm")
LABIODENTALS = frozenset("fvⱱɱ")
_UNKNOWN = Viseme(0.3, 0.0, 0.0, 0.3)

# ARPAbet, as speech recognisers write English, in the symbols above.
_ARPABET_VOWELS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ", "ER": "ɚ",
    "EY": "eɪ", "IH": "ɪ", "IY": "i", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "u",
}  # fmt: skip
_ARPABET_CONSONANTS = {
    "B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "dʒ", "K": "k", "L": "l",
    "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v",
    "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
IPA_OF_ARPABET = _ARPABET_VOWELS | _ARPABET_CONSONANTS


def is_vowel(phoneme: Phoneme) -> bool:
    """Whether the phoneme is a vowel, a diphthong or a vowel with a coda (a syllable's nucleus)."""
    return any(character in VOWELS for character in phoneme.symbol)


def viseme_units(symbol: str) -> list[Viseme]:
    """The visemes that an IPA symbol passes through in equal times: one for "s", two for "aʊ"; length marks ignored."""
    if "i." in symbol:  # Mandarin's syllabic i of zhi and si keeps the consonant's lips.
        return [VISEMES["ɨ"]]
    units = [VISEMES[c] for c in symbol if c in VISEMES]
    return units or [_UNKNOWN]
