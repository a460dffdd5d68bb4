"""Media files for the tests, made with PyAV alone, so that reading is tested against another writer than ours."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition


def numbered_frames(count: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    """(T, H, W, 3) uint8: frame k is grey of level 20 + 4 k, which survives any codec; read back by `numbers_of`."""
    levels = (20 + 4 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def numbers_of(frames: Iterable[np.ndarray]) -> list[int]:
    """Which numbered frame each one is."""
    return [round((float(frame.mean()) - 20) / 4) for frame in frames]


def smooth_frames(count: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    """(T, H, W, 3) uint8 moving gradients, no symmetry: for PSNR and rotation."""
    y, x, t = np.arange(height)[:, None], np.arange(width)[None], np.arange(count)[:, None, None]
    red = 128 + 100 * np.sin(x / 13 + t / 5) + 0 * y
    green = 40 + 150 * y / height + 0 * x + 0 * t
    blue = 30 + 150 * x / width + 2 * t + 0 * y
    return np.stack([np.broadcast_to(c, (count, height, width)) for c in (red, green, blue)], -1).astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(np.float64) - b) ** 2))))


def write_timed(
    path: Path,
    frames: np.ndarray,
    times_ms: list[int],
    *,
    codec: str = "libx264",
    rotation: float | None = None,
    aspect: Fraction | None = None,
    samples: np.ndarray | None = None,
    sound_at_ms: int = 0,
    pix_fmt: str = "yuv420p",
) -> Path:
    """A video whose frame k is shown from times_ms[k], and mono 16 kHz sound from sound_at_ms (uncompressed in mkv)."""
    # These two take one of a few frame rates, and know no other times.
    time_base = Fraction(1, 25 if path.suffix in (".avi", ".mpg") else 1000)
    with av.open(str(path), "w") as container:
        picture: Any = container.add_stream(codec, rate=25, options={"crf": "10"} if codec == "libx264" else {})
        picture.height, picture.width, picture.pix_fmt = *frames.shape[1:3], pix_fmt
        picture.codec_context.time_base = time_base
        if aspect is not None:
            picture.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            picture.set_display_rotation(rotation)
        sound: Any = None if samples is None else container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for image, time_ms in zip(frames, times_ms, strict=True):
            frame: Any = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = round(time_ms / 1000 / time_base), time_base
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if sound is not None and samples is not None:
            pcm = np.rint(samples * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, sound_at_ms * 16, Fraction(1, 16_000)
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def write_sound(path: Path, samples: np.ndarray, rate_hz: int, *, codec: str, layout: str, cover: bool = False) -> Path:
    """Samples (N, channels) in any codec; the format follows from the file's name. cover: with a cover picture."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate_hz, layout=layout)
        if cover:
            art: Any = container.add_stream("mjpeg", rate=25)
            art.width, art.height, art.pix_fmt = 32, 32, "yuvj420p"
            art.disposition = Disposition.attached_pic
            image = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), format="rgb24")
            container.mux(art.encode(image.reformat(format="yuvj420p")))
            container.mux(art.encode(None))
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32).reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=stream.rate)
        for block in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    return path
