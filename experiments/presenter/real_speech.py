"""Real speech: a speaker's own first frame and sound, and how far the made lips follow the speaker's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments.presenter import scores
from experiments.presenter.face_reader import face_reader
from experiments.presenter.pictures import fit, sheet
from experiments.presenter.setup import Setup
from experiments.presenter.tables import Line, mean_of
from experiments.presenter.videos import make
from paha.errors import PahaError
from paha.media.audio_io import read_audio, to_mono_16k
from paha.media.image_io import read_image, save_png
from paha.media.video_io import read_video
from paha.runtime.statistics import best_lag, loudness_lips

MOMENTS = 8
MANDARIN = Path("audio/aishell-BAC009S0724W0121.wav")
PORTRAIT = Path("stills/astronaut.png")


def clips_of(media: Path) -> list[Path]:
    """GRID's clips; their sound is in step with their picture."""
    return sorted((media / "clips").glob("grid_*.mpg"))


def measure_clip(setup: Setup, task: tuple[Path, Path]) -> dict[str, Any]:
    """task: the clip, and a PNG to write: MOMENTS of the real video above the same of the made one."""
    clip, picture = task
    real, sound = read_video(clip), read_audio(clip)
    try:
        made = make(setup, real[0], sound, seed=0)
    except PahaError as error:
        return {"refused": str(error)}
    length = min(len(real), len(made.frames))
    face = made.reference.landmarks.face
    lips = {"real": face_reader().read(real[:length], face).opening}
    lips["made"] = face_reader().read(made.frames[:length], face).opening
    loud = loudness_lips(to_mono_16k(*sound), length)
    at = np.linspace(0, length - 1, MOMENTS).round().astype(int)
    save_png(picture, sheet([fit(frame) for frame in [*real[at], *made.frames[at]]], columns=MOMENTS))
    return {
        "r": scores.correlation(lips["made"], lips["real"]),
        "loudness r": scores.correlation(loud, lips["real"]),
        "amplitude": scores.amplitude(lips["made"], lips["real"]),
        "best lag": float(best_lag(scores.filled(lips["made"]), scores.filled(lips["real"]))),
        "real deviation": float(np.nanstd(lips["real"])),
        "found": scores.share_found(lips["made"]),
    }


def show_mandarin(setup: Setup, task: tuple[Path, Path]) -> dict[str, Any]:
    """A Mandarin recording, to be looked at: 16 frames as a PNG. task: the folder of media, the PNG."""
    media, picture = task
    try:
        made = make(setup, read_image(media / PORTRAIT), read_audio(media / MANDARIN), seed=0)
    except PahaError as error:
        return {"refused": str(error)}
    at = np.linspace(0, len(made.frames) - 1, 2 * MOMENTS).round().astype(int)
    save_png(picture, sheet([fit(frame) for frame in made.frames[at]], columns=MOMENTS))
    return {"frames": len(made.frames)}


def real_lines(rows: dict[str, dict[str, Any]]) -> list[Line]:
    """A mean over the clips, then each clip."""
    numbers = {name: row for name, row in rows.items() if "refused" not in row}
    if not numbers:
        return [Line("videos", "none: " + "; ".join(str(row["refused"]) for row in rows.values()))]
    lines = [
        Line("r of made and real mouth opening", mean_of(numbers, "r"), low=0.58),
        Line("loudness and real mouth opening, r", mean_of(numbers, "loudness r")),
        Line("amplitude over the speaker's", mean_of(numbers, "amplitude"), 0.6, 1.6),
        Line("frames in which MediaPipe finds the face", mean_of(numbers, "found"), low=0.99),
    ]
    for name, row in numbers.items():
        words = "r {r:.3f} (loudness {loudness r:.3f}), amplitude {amplitude:.2f}, best lag {best lag:.0f} frames"
        lines.append(Line(name, words.format_map(row)))
    return lines
