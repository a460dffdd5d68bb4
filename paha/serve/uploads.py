"""What clients send, made safe: decoded by limits and written anew, so that no file of theirs is ever kept or opened by
a name of theirs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from paha.errors import PahaError
from paha.media.audio_io import MIN_AUDIO_SECONDS, read_audio, write_wav
from paha.media.image_io import read_image, save_png

IMAGE, SPEECH = "image.png", "speech.wav"
MAX_RATE_HZ = 96_000


def keep_image(data: bytes, folder: Path, *, max_side: int) -> tuple[np.ndarray, float]:
    """Write a picture's pixels, shrunk to max_side, as folder/image.png; returns them (H, W, 3) uint8, and the scale.

    Raises PahaError for what is no picture or too large.
    """
    raw = folder / "upload-image"
    try:
        raw.write_bytes(data)
        image = _named(lambda: read_image(raw), raw, "the picture")
    finally:
        raw.unlink(missing_ok=True)
    scale = min(1.0, max_side / max(image.shape[:2]))
    if scale < 1:
        size = (max(2, round(image.shape[1] * scale)), max(2, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    save_png(folder / IMAGE, image)
    return image, scale


def keep_speech(data: bytes, folder: Path, *, max_seconds: float) -> float:
    """Write a recording's samples as folder/speech.wav; returns its length in seconds. Raises PahaError."""
    raw = folder / "upload-speech"
    try:
        raw.write_bytes(data)
        samples, rate_hz = _named(lambda: read_audio(raw), raw, "the recording")
    finally:
        raw.unlink(missing_ok=True)
    return keep_samples(samples, rate_hz, folder, max_seconds=max_seconds)


def keep_samples(samples: np.ndarray, rate_hz: int, folder: Path, *, max_seconds: float) -> float:
    """The same for samples (N,) or (N, channels)."""
    seconds = len(samples) / rate_hz
    if not MIN_AUDIO_SECONDS <= seconds <= max_seconds:
        raise PahaError(f"the speech is {seconds:.1f} s long; give {MIN_AUDIO_SECONDS} to {max_seconds:g} s")
    if rate_hz > MAX_RATE_HZ or (samples.ndim == 2 and samples.shape[1] > 8):
        raise PahaError("the recording has an unusual rate or number of channels; export it as 48 kHz stereo")
    write_wav(folder / SPEECH, samples, rate_hz)
    return seconds


def _named(read, path: Path, name: str):
    """What the reader gives; its complaints name the upload, not our file."""
    try:
        return read()
    except PahaError as error:
        raise PahaError(str(error).replace(str(path), name)) from error
