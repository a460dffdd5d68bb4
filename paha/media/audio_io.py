"""Sound in and out: any container or codec to float32 samples, 16 kHz mono for the model, 16-bit WAV files."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from paha.errors import MediaError, media_error
from paha.media.containers import (
    MAX_LEAD_S,
    exact_duration_s,
    frame_s,
    open_media,
    picture_of,
    reason,
    sound_of,
    start_s,
)
from paha.runtime.atomic import atomic_path
from paha.types import FPS, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

MIN_AUDIO_SECONDS = 0.2
"""Speech shorter than this is refused by the pipeline."""
SILENCE_DBFS = -60.0
"""Root mean square below which sound counts as silent, in decibels of full scale."""
_MAX_PADDING = 4096
"""Two blocks of AAC with SBR: a longer excess over the declared duration is no padding."""
_TRUNCATED_S = Fraction(1, 10)


def read_audio(path: Path | str) -> tuple[np.ndarray, int]:
    """The first sound track of an audio or video file: (N, channels) float32 in about [-1, 1], and its rate in Hz.

    Channels and rate stay as they are. Sound of a video that starts after its picture is led in by silence, so that
    sample 0 belongs to frame 0 of `read_video`. Raises PahaError that names the file if it is no media, has no sound
    track, no samples, samples that are not numbers, is damaged, or stops before the end that it declares (mp3, ogg and
    bare AAC declare none).
    """
    path = Path(path)
    with open_media(path) as container:
        stream = sound_of(container)
        if stream is None:
            raise MediaError(f"{path} has no sound; give a recording of speech")
        blocks, rate_hz, lead = _decode(container, path)
        if not blocks:
            raise MediaError(f"{path} has a sound track without a single sample; give another recording")
        samples = np.concatenate(blocks)
        expected_s = exact_duration_s(container, stream)
        if expected_s is not None:
            _refuse_truncated(path, have_s=Fraction(len(samples), rate_hz), expected_s=expected_s)
            if "mp4" in container.format.name:
                samples = _without_padding(samples, expected=round(expected_s * rate_hz))
    if not np.isfinite(samples).all():
        raise MediaError(f"{path} holds samples that are not numbers; export the recording again")
    return np.pad(samples, ((lead, 0), (0, 0))), rate_hz


def to_mono_16k(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Mean of the channels of (N, channels) or (N,) samples at 16 kHz: (M,) float32, M = N 16000 / rate_hz rounded."""
    import soxr

    mono = np.asarray(samples, np.float32)
    if mono.ndim == 2:
        mono = mono.mean(axis=1, dtype=np.float32)
    if rate_hz == SAMPLE_RATE_HZ:
        return mono
    return np.asarray(soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ), np.float32)


def write_wav(path: Path | str, samples: np.ndarray, rate_hz: int) -> None:
    """Write (N,) or (N, channels) samples in [-1, 1] as 16-bit WAV, atomically. Louder values are clipped.

    Raises PahaError if the file cannot be written.
    """
    frames = np.asarray(samples, np.float32)
    frames = frames[:, None] if frames.ndim == 1 else frames
    pcm = np.clip(np.rint(frames * 32768.0), -32768, 32767).astype("<i2")
    with atomic_path(path) as temporary, temporary.open("wb") as file, wave.open(file, "wb") as wav:
        wav.setnchannels(frames.shape[1])
        wav.setsampwidth(2)
        wav.setframerate(rate_hz)
        wav.writeframes(pcm.tobytes())


def is_silent(mono: np.ndarray) -> bool:
    """Whether (N,) samples have a root mean square below -60 dBFS. No samples are silent."""
    if not len(mono):
        return True
    rms = float(np.sqrt(np.mean(np.square(mono, dtype=np.float64))))
    return rms < 10 ** (SILENCE_DBFS / 20)


def num_video_frames(num_samples: int, rate_hz: int) -> int:
    """Frames of the 25 fps video for that much sound: seconds times 25, rounded half up, at least 1."""
    return max(1, int(Fraction(num_samples * FPS, rate_hz) + Fraction(1, 2)))


def _decode(container: InputContainer, path: Path) -> tuple[list[np.ndarray], int, int]:
    """Blocks (n, channels) of the first sound track, its rate, and how many samples of silence lead it in."""
    import av

    blocks: list[np.ndarray] = []
    rate_hz, lead, convert = 0, 0, None
    try:
        for frame in _frames(container, path):
            if convert is None:
                rate_hz, convert = frame.sample_rate, _Converter(frame)
                lead = _lead_samples(container, frame)
            if frame.samples:
                blocks.append(convert(frame))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise media_error(
            f"cannot decode the sound of {path}: {reason(error)}; export it again as WAV", error
        ) from error
    return blocks, rate_hz, lead


def _frames(container: InputContainer, path: Path) -> Iterator[AudioFrame]:
    """Decoded frames. A packet that does not decode is refused between good ones; at the ends it is a tag or a cut."""
    import av

    good, failure = False, None
    for packet in container.demux(container.streams.audio[0]):
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            failure = error
            continue
        if frames and good and failure:
            raise MediaError(f"the sound of {path} is damaged; copy or export it again")
        if frames and not good:
            good, failure = True, None
        yield from frames  # type: ignore[misc]
    if failure and not good:
        raise failure


class _Converter:
    """Frames of any sample format to (n, channels) float32 at the rate and with the channels of the first one."""

    def __init__(self, first: AudioFrame) -> None:
        from av import AudioResampler

        # Packed, not planar: PyAV reads past its plane pointers from nine channels on, and crashes.
        self._channels = first.layout.nb_channels
        self._new = lambda: AudioResampler(format="flt", layout=first.layout, rate=first.sample_rate)
        self._format, self._resampler = _format(first), self._new()

    def __call__(self, frame: AudioFrame) -> np.ndarray:
        """Convert one frame. A recording may change its format on the way: the resampler takes one only."""
        if _format(frame) != self._format:
            self._format, self._resampler = _format(frame), self._new()
        frame.pts = None  # gaps in the timestamps would make the resampler refuse the frame
        packed = [out.to_ndarray().reshape(-1, self._channels) for out in self._resampler.resample(frame)]
        return np.concatenate(packed) if packed else np.zeros((0, self._channels), np.float32)


def _format(frame: AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.layout.name, frame.format.name


def _lead_samples(container: InputContainer, first: AudioFrame) -> int:
    """Samples of silence before the first one, for a video whose sound starts after its picture."""
    first_s = frame_s(first)
    if picture_of(container) is None or first_s is None:
        return 0
    lead_s = first_s - start_s(container)
    return round(lead_s * first.sample_rate) if 0 < lead_s < MAX_LEAD_S else 0


def _refuse_truncated(path: Path, *, have_s: Fraction, expected_s: Fraction) -> None:
    if have_s < expected_s - _TRUNCATED_S:
        have, want = float(have_s), float(expected_s)
        raise MediaError(f"{path} is truncated: {have:.2f} s of {want:.2f} s of sound; copy or export it again")


def _without_padding(samples: np.ndarray, *, expected: int) -> np.ndarray:
    """AAC comes in whole blocks; the mp4 says how many samples are meant."""
    return samples[:expected] if len(samples) - expected <= _MAX_PADDING else samples


def cut_audio(audio: tuple[np.ndarray, int], *, start_s: float = 0, duration_s: float | None = None) -> AudioSamples:
    """A stretch of a recording. Raises PahaError where it begins behind its end."""
    samples, rate_hz = audio
    start = round(start_s * rate_hz)
    if start >= len(samples):
        raise MediaError(f"--start {start_s:g} lies behind the end of the recording, {len(samples) / rate_hz:.2f} s")
    stop = len(samples) if duration_s is None else start + round(duration_s * rate_hz)
    return samples[start:stop], rate_hz


AudioSamples: TypeAlias = "tuple[np.ndarray, int]"
AudioInput: TypeAlias = "tuple[np.ndarray, int] | Path | str"
"""(samples (N,) or (N, channels), rate in Hz), or the path of a recording or a video with sound."""


def as_audio(audio: AudioInput) -> tuple[np.ndarray, int]:
    """Samples (N, channels) float32 and their rate. Integers are taken by their type's range, of which unsigned ones
    have their silence in the middle. Raises PahaError for sound that is too short or not finite."""
    samples, rate_hz = read_audio(audio) if isinstance(audio, str | Path) else audio
    samples = np.atleast_1d(np.asarray(samples))
    if np.issubdtype(samples.dtype, np.integer):
        low, high = np.iinfo(samples.dtype).min, np.iinfo(samples.dtype).max
        samples = (samples - (low + high + 1) / 2) * (2 / (high - low + 1))
    samples = samples.astype(np.float32, copy=False)
    samples = samples[:, None] if samples.ndim == 1 else samples
    where = audio if isinstance(audio, str | Path) else "the audio"
    if samples.ndim != 2 or rate_hz < 1:
        raise MediaError(
            f"{where} is {samples.shape} at {rate_hz} Hz; give samples (N,) or (N, channels) and their rate"
        )
    if len(samples) < MIN_AUDIO_SECONDS * rate_hz:
        raise MediaError(
            f"{where} is {len(samples) / rate_hz:.2f} s long; give {MIN_AUDIO_SECONDS} s of speech or more"
        )
    if not np.isfinite(samples).all():
        raise MediaError(f"{where} holds samples that are not numbers; record or convert it again")
    return samples, rate_hz
