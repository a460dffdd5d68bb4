"""Forty files that people really have in their folders of footage, and that are of no use, or of hardly any."""

from __future__ import annotations

import os
import socket
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from media_files import smooth_frames, write_timed
from PIL import Image

RATE = 16_000


def write_broken_inputs(folder: Path) -> list[str]:
    """Fill a folder; returns the printable names of all of them."""
    folder.mkdir(parents=True)
    frames = smooth_frames(30, height=64, width=96)
    sound = (0.1 * np.sin(np.arange(int(1.2 * RATE)) / 9)).astype(np.float32)
    times = [40 * k for k in range(30)]

    def video(name: str, *, picture: np.ndarray = frames, at: list[int] = times, **options) -> Path:
        return write_timed(folder / name, picture, at, **{"samples": sound, **options})

    good = video("good.mkv")
    for name in ("cut.mkv", "cut.avi", "cut.mp4", "cut.mov"):
        whole = video(name, samples=None if name != "cut.mkv" else sound)
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    for ending in ("mp4", "mkv", "mpg", "ts"):
        (folder / f"empty.{ending}").touch()
    (folder / "letter.mp4").write_text("Dear sir,\n" * 400)
    (folder / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\n/etc/passwd\n")
    (folder / "random.ts").write_bytes(np.random.default_rng(0).integers(0, 256, 40_000, np.uint8).tobytes())
    (folder / "random.mp4").write_bytes(np.random.default_rng(1).integers(0, 256, 40_000, np.uint8).tobytes())
    Image.fromarray(frames[0]).save(folder / "photo.jpg")
    (folder / "photo.jpg").rename(folder / "photo.mp4")
    Image.fromarray(frames[0]).save(folder / "drawing.png")
    (folder / "drawing.png").rename(folder / "drawing.mkv")
    with zipfile.ZipFile(folder / "archive.mov", "w") as archive:
        archive.writestr("a.txt", "a" * 5000)
    hurt = bytearray(good.read_bytes())
    hurt[len(hurt) // 3 : len(hurt) // 3 + 600] = bytes(600)
    (folder / "hurt.mkv").write_bytes(hurt)
    video("silent_film.mp4", samples=None)
    video("silent_film.avi", samples=None)
    _sound_alone(folder / "voice_memo.mp4", sound, rate_hz=44_100, codec="aac")
    _sound_alone(folder / "voice_memo.mkv", sound, rate_hz=8000, codec="pcm_s16le")
    video("odd.mkv", picture=frames[:, :47, :63], codec="ffv1", pix_fmt="yuv444p")
    video("tiny.mkv", picture=frames[:, :16, :16])
    video("one_frame.mkv", picture=frames[:1], at=[0])
    video("slideshow.mkv", picture=frames[:3], at=[0, 1000, 2000])
    video("five_fps.mkv", picture=frames[:6], at=[200 * k for k in range(6)])
    video("fast120.mkv", picture=np.repeat(frames, 4, 0), at=[round(1000 * k / 120) for k in range(120)])
    video("fast240.mkv", picture=np.repeat(frames, 4, 0), at=[round(1000 * k / 240) for k in range(120)])
    video("ten_bit.mkv", pix_fmt="yuv420p10le")
    _hdr(folder / "hdr.mkv", frames, sound)
    _phone_call(folder / "phone_call.mkv", frames, sound)
    video("late_sound.mkv", sound_at_ms=900)
    video("no_voice.mkv", samples=np.zeros_like(sound))
    video("too_loud.mkv", samples=np.sign(sound))
    video("stutter.mkv", at=sorted([0, *[40 * (k // 3) + 1 + k % 3 for k in range(29)]]))
    video("new\nline %03d:x.mkv", picture=frames[::-1])
    (folder / "copy of good.mkv").write_bytes(good.read_bytes())
    (folder / "link.mkv").symlink_to(good)
    (folder / "nowhere.mkv").symlink_to(folder / "gone.mkv")
    (folder / "circle_a.mkv").symlink_to(folder / "circle_b.mkv")
    (folder / "circle_b.mkv").symlink_to(folder / "circle_a.mkv")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "pipe.mkv")
    _socket(folder / "socket.mkv")
    os.rename(
        os.fsencode(video("latin.mkv", picture=frames[:20], at=times[:20])), os.fsencode(folder) + b"/caf\xe9.mkv"
    )
    _unreadable(folder / "locked.mkv", good)
    return sorted(os.fsencode(name).decode("utf-8", "replace") for name in os.listdir(folder) if name != "loop")


def _sound_alone(path: Path, samples: np.ndarray, *, rate_hz: int, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        _mux_sound(container, stream, samples, rate_hz)


def _phone_call(path: Path, frames: np.ndarray, samples: np.ndarray) -> None:
    """8 kHz mono sound."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        picture.height, picture.width, picture.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for frame in frames:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(picture.encode(None))
        _mux_sound(container, stream, samples[::2], 8000)


def _hdr(path: Path, frames: np.ndarray, samples: np.ndarray) -> None:
    """10 bits, BT.2020, perceptual quantiser."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        picture.height, picture.width, picture.pix_fmt = *frames.shape[1:3], "yuv420p10le"
        context = picture.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for frame in frames:
            image = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p10le")
            container.mux(picture.encode(image))
        container.mux(picture.encode(None))
        _mux_sound(container, stream, samples, RATE)


def _mux_sound(container, stream, samples: np.ndarray, rate_hz: int) -> None:
    frame = av.AudioFrame.from_ndarray(np.rint(samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
    resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate_hz)
    for block in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(block))
    container.mux(stream.encode(None))


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # names of sockets may have 108 bytes only
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def _unreadable(path: Path, good: Path) -> None:
    """Not to be read, or as root, whom nothing is forbidden, no whole file."""
    path.write_bytes(good.read_bytes()[:700])
    path.chmod(0)
