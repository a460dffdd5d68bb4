"""Speech, its phones and its lips: what an acoustic model is trained on, and how a voice is made another's.

Letters: T video frames, K frequencies, M bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from paha.config import AudioConfig
from paha.dataset.synth.motion_clips import ActedSpeech, MotionClips, MotionStream
from paha.dataset.synth.speech import Phoneme
from paha.extractors.acoustic_model import LIPS, PHONES_PER_FRAME
from paha.extractors.mel import (
    MELS_PER_FRAME,
    SAMPLES_PER_FRAME,
    fit_length,
    log_mel,
    mel_filters,
    normalise_level,
    spectra_of_hops,
)
from paha.runtime.progress import tracked
from paha.types import FPS

WARPS = tuple(np.linspace(0.84, 1.19, 21))
"""Stretches of the frequency axis: lengths of the vocal tract from a child's to a large man's."""
_POWER_FLOOR = 1e-7
_EQUALISER, _EQUALISER_KNOTS, _GAIN = 0.06, 6, 0.05  # of the scaled bands: 1 is 70 dB
_MASKS_OF_BANDS, _MASK_BANDS = 2, 16
_MASKS_IN_TIME, _MASK_MELS = 3, 25


@dataclass(frozen=True)
class HeardSpeech:
    """log_power: (4T, K) float16, log10 of the spectra. lips: (T, 3) of LIPS. symbols: (2T,), what is said in the
    middle of every 20 ms, "" for nothing."""

    log_power: Tensor
    lips: Tensor
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, acted: ActedSpeech) -> HeardSpeech:
        """A speech of the stream, as it was recorded."""
        count = len(acted.motion)
        samples = fit_length(normalise_level(acted.samples), count * SAMPLES_PER_FRAME)
        power = spectra_of_hops(torch.from_numpy(samples))
        lips = torch.stack([torch.from_numpy(getattr(acted.motion, name)) for name in LIPS], 1)
        symbols = symbols_at(acted.speech.phonemes, PHONES_PER_FRAME * count)
        return cls((power + _POWER_FLOOR).log10().half(), lips.float(), symbols)

    def __len__(self) -> int:
        return len(self.lips)


def hear(
    count: int,
    *,
    speech: str | None,
    seed: int,
    held_out: bool = False,
    natural_share: float = 0.7,
    clean_share: float = 0.0,
) -> list[HeardSpeech]:
    """The first speeches of the stream that UniVDM's clips are cut from, voices more varied. Held-out ones: natural
    voices alone where there are some.

    natural_share: of them in natural voices. clean_share: of them as they were spoken, in no room.
    """
    share = 1.0 if held_out and speech is not None else natural_share
    stream = MotionStream(seed=seed, speech=speech, held_out=held_out, speed_spread=0.12, natural_share=share)
    clips = MotionClips(stream, AudioConfig(kind="logmel"))
    clean = np.random.default_rng(seed).random(count) < clean_share
    what = "held-out speech" if held_out else "speech"
    return [_heard(clips.acted(i), clean=bool(clean[i])) for i in tracked(range(count), what, total=count)]


def _heard(acted: ActedSpeech, *, clean: bool) -> HeardSpeech:
    return HeardSpeech.of(replace(acted, samples=acted.speech.samples) if clean else acted)


def symbols_at(phonemes: Sequence[Phoneme], count: int) -> tuple[str, ...]:
    """(count,) the IPA symbol in the middle of every 20 ms, "" where nothing is said."""
    step = 1 / (FPS * PHONES_PER_FRAME)
    symbols = [""] * count
    for phoneme in phonemes:
        first, last = round(phoneme.start_s / step), round(phoneme.end_s / step)
        symbols[first:last] = [phoneme.symbol] * (min(last, count) - min(first, count))
    return tuple(symbols)


def inventory(heard: Sequence[HeardSpeech]) -> tuple[str, ...]:
    """All symbols that are said, sorted."""
    return tuple(sorted({symbol for speech in heard for symbol in speech.symbols if symbol}))


class Crops:
    """Random pieces of speeches in other voices: (B, 4T, M) bands, (B, T, 3) lips, (B, 2T) classes."""

    def __init__(self, heard: Sequence[HeardSpeech], phones: Sequence[str], *, num_frames: int, mel_bands: int) -> None:
        self.num_frames = num_frames
        self.heard = [speech for speech in heard if len(speech) >= num_frames]
        self.filters = [mel_filters(mel_bands, warp=warp) for warp in WARPS]
        classes = {symbol: number for number, symbol in enumerate(phones, 1)}
        self.classes = [torch.tensor([classes.get(symbol, 0) for symbol in s.symbols]) for s in self.heard]

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of `count`."""
        mels, lips, classes = [], [], []
        for _ in range(count):
            number = int(rng.integers(len(self.heard)))
            speech = self.heard[number]
            first = int(rng.integers(len(speech) - self.num_frames + 1))
            last = first + self.num_frames
            power = 10 ** speech.log_power[MELS_PER_FRAME * first : MELS_PER_FRAME * last].float()
            mels.append(masked(log_mel(power, self.filters[int(rng.integers(len(WARPS)))]), rng))
            lips.append(speech.lips[first:last])
            classes.append(self.classes[number][PHONES_PER_FRAME * first : PHONES_PER_FRAME * last])
        return torch.stack(mels), torch.stack(lips), torch.stack(classes)


def masked(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """(4T, M) bands through another equaliser, with stretches of bands and of time blotted out (SpecAugment, Park et
    al. 2019)."""
    mel, bands = mel.clone(), mel.shape[1]
    knots = rng.normal(0, _EQUALISER, _EQUALISER_KNOTS)
    curve = np.interp(np.linspace(0, 1, bands), np.linspace(0, 1, _EQUALISER_KNOTS), knots) + rng.normal(0, _GAIN)
    mel += torch.from_numpy(curve.astype(np.float32))
    for _ in range(_MASKS_OF_BANDS):
        width = int(rng.integers(_MASK_BANDS))
        first = int(rng.integers(bands - width))
        mel[:, first : first + width] = mel.mean()
    for _ in range(_MASKS_IN_TIME):
        width = int(rng.integers(min(_MASK_MELS, len(mel) // 4)))
        first = int(rng.integers(len(mel) - width))
        mel[first : first + width] = mel.mean(0)
    return mel
