"""Sound in and out: any container or codec to float32 samples, 16 kHz mono for the model, 16-bit WAV files."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np

from paha.data.atomic import atomic_path
from paha.data.containers import exact_duration_s, first_pts_s, open_media, start_s
from paha.errors import PahaError
from paha.types import FPS, SAMPLE_RATE_HZ

MIN_AUDIO_SECONDS = 0.2
"""Speech shorter than this is refused by the pipeline."""
SILENCE_DBFS = -60.0
"""Root mean square below which sound counts as silent, in decibels of full scale."""
_MAX_BAD_PACKETS = 2
_MAX_LEAD_S = 60


def read_audio(path: Path | str) -> tuple[np.ndarray, int]:
    """The first sound track of an audio or video file: (N, channels) float32 in about [-1, 1], and its rate in Hz.

    Channels and rate stay as they are. Sound of a video that starts after its picture is led in by silence, so that
    sample 0 belongs to frame 0 of `read_video`. Raises PahaError that names the file if it is no media, has no sound
    track, no samples, samples that are not numbers, or stops before its end.
    """
    path = Path(path)
    with open_media(path) as container:
        if not container.streams.audio:
            raise PahaError(f"{path} has no sound; give a recording of speech")
        blocks, rate_hz, lead = _decode(container, path)
        expected_s = exact_duration_s(container, container.streams.audio[0])
        trims_padding = "mp4" in container.format.name
    samples = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
    if not len(samples):
        raise PahaError(f"{path} has a sound track without a single sample; give another recording")
    if expected_s is not None:
        samples = _fit_duration(samples, expected_s=expected_s, rate_hz=rate_hz, trim=trims_padding, path=path)
    if not np.isfinite(samples).all():
        raise PahaError(f"{path} holds samples that are not numbers; export the recording again")
    return np.pad(samples, ((lead, 0), (0, 0))), rate_hz


def to_mono_16k(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Mean of the channels of (N, channels) or (N,) samples, resampled to 16 kHz: (M,) float32, M = ceil-ish N 16000/rate."""
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
    frames = np.asarray(samples, np.float32).reshape(len(samples), -1)
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


def _decode(container, path: Path) -> tuple[list[np.ndarray], int, int]:
    """Blocks (n, channels) of the first sound track, its rate, and how many samples of silence lead it in."""
    from av.error import FFmpegError, InvalidDataError

    stream = container.streams.audio[0]
    blocks: list[np.ndarray] = []
    bad_packets = 0
    rate_hz, lead, converter = 0, 0, None
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except InvalidDataError:
                # Tags at the end of an mp3 look like a packet; more than a few are damage.
                bad_packets += 1
                continue
            for frame in frames:
                if converter is None:
                    rate_hz, converter = frame.sample_rate, _Converter(frame)
                    lead = _lead_samples(container, frame, rate_hz)
                blocks.append(converter(frame))
    except (FFmpegError, OSError, ValueError) as error:
        raise PahaError(f"cannot decode the sound of {path}: {error}; export it again, as WAV for instance") from error
    if bad_packets > _MAX_BAD_PACKETS:
        raise PahaError(f"the sound of {path} is damaged ({bad_packets} packets do not decode); export it again")
    return blocks, rate_hz, lead


class _Converter:
    """Frames of any sample format to (n, channels) float32; a later change of rate or channels follows the first."""

    def __init__(self, first) -> None:
        from av import AudioResampler

        self.key = (first.sample_rate, first.layout.name, first.format.name)
        self.make = lambda: AudioResampler(format="fltp", layout=first.layout, rate=first.sample_rate)
        self.resampler = self.make()

    def __call__(self, frame) -> np.ndarray:
        key = (frame.sample_rate, frame.layout.name, frame.format.name)
        if key != self.key:
            self.key, self.resampler = key, self.make()
        frame.pts = None
        planes = [out.to_ndarray() for out in self.resampler.resample(frame)]
        return np.concatenate(planes, axis=1).T.astype(np.float32, copy=False)


def _lead_samples(container, first_frame, rate_hz: int) -> int:
    """Samples of silence before the first one, for a video whose sound starts after its picture."""
    if not container.streams.video or first_frame.pts is None:
        return 0
    lead_s = first_pts_s(first_frame) - start_s(container)
    return round(lead_s * rate_hz) if 0 < lead_s < _MAX_LEAD_S else 0


def _fit_duration(samples: np.ndarray, *, expected_s: Fraction, rate_hz: int, trim: bool, path: Path) -> np.ndarray:
    """Cut the codec's padding off (mp4 family), and refuse a track that stops well before its declared end."""
    expected = round(expected_s * rate_hz)
    if len(samples) < expected - rate_hz // 4:
        have, want = len(samples) / rate_hz, float(expected_s)
        raise PahaError(f"{path} is truncated: {have:.2f} s of {want:.2f} s of sound; copy or export it again")
    # AAC comes in blocks of 1024 or 2048; a longer excess is no padding, then the declared duration is wrong.
    return samples[:expected] if trim and len(samples) - expected <= 4096 else samples
