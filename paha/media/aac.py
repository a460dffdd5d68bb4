"""The sound track of a written video: AAC at the recording's own rate and with its own channels."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from paha.errors import PahaError

if TYPE_CHECKING:
    from av.container import OutputContainer

_RATES_HZ = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}


def aac_samples(samples: np.ndarray, rate_hz: int) -> tuple[np.ndarray, int]:
    """Samples (N,) or (N, channels) as (N', channels') float32, at a rate and a number of channels that AAC has.

    A rate that it lacks becomes the nearest one above (96 kHz at most); 7 channels and more than 8 become mono.
    Raises PahaError for no samples or values that are not numbers.
    """
    samples = np.asarray(samples, np.float32)
    samples = samples[:, None] if samples.ndim == 1 else samples
    if not len(samples) or not np.isfinite(samples).all():
        raise PahaError("the sound for the video is empty or holds values that are not numbers")
    if samples.shape[1] not in _LAYOUTS:
        samples = samples.mean(axis=1, keepdims=True)
    target_hz = next((rate for rate in _RATES_HZ if rate >= rate_hz), _RATES_HZ[-1])
    if target_hz != rate_hz:
        import soxr

        samples = soxr.resample(samples, rate_hz, target_hz)
    return samples, target_hz


class AacTrack:
    """Feeds samples (N, channels) from `aac_samples` to an mp4's sound track, piece by piece."""

    def __init__(self, container: OutputContainer, samples: np.ndarray, rate_hz: int) -> None:
        self._container, self._samples, self._rate_hz = container, samples, rate_hz
        self._layout, self._position = _LAYOUTS[samples.shape[1]], 0
        self._stream = container.add_stream("aac", rate=rate_hz, layout=self._layout)
        self._stream.bit_rate = samples.shape[1] * min(4 * rate_hz, 128_000)

    def write_until(self, time_s: Fraction) -> None:
        """Encode what comes before `time_s`, so that sound lies beside its picture in the file."""
        self._write(self._samples[self._position : round(time_s * self._rate_hz)])

    def finish(self) -> None:
        """Encode the rest and flush the encoder."""
        self._write(self._samples[self._position :])
        self._container.mux(self._stream.encode(None))

    def _write(self, block: np.ndarray) -> None:
        from av import AudioFrame

        if not len(block):
            return
        # Packed, not planar: PyAV miscounts the planes of eight channels.
        frame = AudioFrame.from_ndarray(block.reshape(1, -1), format="flt", layout=self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate_hz, self._position, Fraction(1, self._rate_hz)
        self._container.mux(self._stream.encode(frame))
        self._position += len(block)
