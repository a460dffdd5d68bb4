"""What the tries need, small, made by the public commands of the tree that is tried."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

DEBUG = ("--preset", "debug", "--steps", 2, "--set", "train.batch_size=2")


@dataclass(frozen=True)
class Inputs:
    """A photograph (noise), 0.6 s of speech (noise), a film with sound, a dataset of drawn clips and its model, and
    the clips as footage of two days."""

    folder: Path

    @property
    def image(self) -> Path:
        return self.folder / "image.png"

    @property
    def speech(self) -> Path:
        return self.folder / "speech.wav"

    @property
    def film(self) -> Path:
        return self.folder / "film.mp4"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def model(self) -> Path:
        return self.folder / "run" / "model"

    @property
    def codec(self) -> Path:
        return self.folder / "codec" / "model"

    @property
    def days(self) -> tuple[Path, Path]:
        """Two pieces of footage."""
        return self.folder / "raw" / "day1.mp4", self.folder / "raw" / "day2.mp4"


def make_inputs(folder: Path, paha: Callable[..., None], python: Callable[[Callable[[], None]], None]) -> Inputs:
    """Make them. paha, python: a command, or a function, in a process of its own; either raises where it fails."""
    made = Inputs(folder)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(made.image)
    write_sound(made.speech, 0.6)
    paha("synth", made.data, "--clips", 2, "--size", 128, "--seconds", 1.4, 1.8, "--workers", 1)
    python(lambda: add_sound(made))
    paha("train", "codec", "--data", made.data, "-o", folder / "codec", *DEBUG)
    paha("train", "univdm", "--data", made.data, "-o", folder / "run", "--codec", made.codec, *DEBUG)
    shutil.rmtree(made.data / "features")
    paha("animate", made.image, made.speech, "-o", made.film, "--model", made.model, "--steps", 1)
    return made


def write_sound(path: Path, seconds: float, *, rate_hz: int = 16_000) -> None:
    """Noise with a slow swell, 16 bits."""
    n = round(seconds * rate_hz)
    swell = np.abs(np.sin(9 * np.arange(n) / rate_hz))
    samples = 3000 * np.random.default_rng(0).normal(size=n) * swell
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, n, "NONE", ""))
        file.writeframes(samples.clip(-32768, 32767).astype("<i2").tobytes())


def add_sound(made: Inputs) -> None:
    """The drawn clips with their sound in one file, as a camera writes it."""
    from paha.media.audio_io import read_audio
    from paha.media.video_io import read_video
    from paha.media.video_writer import VideoWriter

    for clip, day in zip(sorted((made.data / "clips").glob("*.mp4")), made.days, strict=True):
        day.parent.mkdir(exist_ok=True)
        frames = read_video(clip)
        height, width = frames.shape[1:3]
        with VideoWriter(day, width=width, height=height, audio=read_audio(clip.with_suffix(".wav"))) as writer:
            writer.write(frames)
