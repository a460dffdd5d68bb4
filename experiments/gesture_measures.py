"""Do the measures of gestures see time? True motion and speech of the rig, moved apart; and films of real people.

python -m experiments.gesture_measures --people 60 [--speech SPEECH] [--media MEDIA]

Strokes on accents (`accents`) beside BAS, which counts beats. Nothing is drawn: the rig's motion moves keypoints. With
SPEECH (aligned natural speech) half of the people speak with its training voices, half with the held-out ones; without,
espeak-ng speaks. Intervals are bootstrap 95 % over people; differences are paired.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import typer

from paha.dataset.synth.natural_speech import NaturalSpeech
from paha.dataset.synth.person_motion import person_motion
from paha.dataset.synth.reference_person import random_person
from paha.dataset.synth.speech import Speech, cut, random_speech
from paha.evaluation.metrics.accents import accent_alignment
from paha.evaluation.metrics.beats import bas
from paha.motion.person import PersonMotion, move_points
from paha.runtime.statistics import bootstrap
from paha.types import FPS, SAMPLE_RATE_HZ, Keypoints

SEED, SECONDS = 31, 8.0
LATE = (2, 5, 10, 25)
Pair: TypeAlias = "tuple[Keypoints, np.ndarray]"
"""Keypoints (T, 133) and their sound (M,), 16 kHz."""


@dataclass(frozen=True)
class Row:
    """One condition: a score a person, NaN where there is none."""

    name: str
    accent_z: np.ndarray
    bas: np.ndarray


def people(count: int, speech: Path | None) -> list[Pair]:
    """Keypoints and speech of `count` people, SECONDS long; those whose arms never move are left out."""
    found: list[Pair] = []
    voices = [] if speech is None else [NaturalSpeech(speech, held_out=held) for held in (False, True)]
    number = 0
    while len(found) < count:
        rng, number = np.random.default_rng([SEED, number]), number + 1
        said = _say(voices[number % 2] if voices else None, rng)
        motion = person_motion(said, rng=rng)
        if motion.parts[:, 4:6].std(0).max() < 0.01:
            continue
        person = random_person(rng)
        points = move_points(person.in_state(PersonMotion.rest(1)), motion)
        found.append((Keypoints(points.astype(np.float32), np.ones(points.shape[:2], np.float32)), said.samples))
    return found


def _say(voices: NaturalSpeech | None, rng: np.random.Generator) -> Speech:
    if voices is not None:
        said = voices.random_speech(rng, min_seconds=SECONDS)
    else:
        said = random_speech(rng, language="en-us", min_seconds=SECONDS, held_out=True)
    return cut(said, start_s=0, stop_s=SECONDS)


def conditions(pairs: list[Pair]) -> dict[str, list[Pair]]:
    """The pairs as they are, with their sound late, and with another's."""
    sounds = [sound for _, sound in pairs]
    made: dict[str, Callable[[int], np.ndarray]] = {"true": lambda i: sounds[i]}
    for frames in LATE:
        made[f"sound {frames} frames late"] = lambda i, k=frames: np.roll(sounds[i], k * SAMPLE_RATE_HZ // FPS)
    made["another's sound"] = lambda i: sounds[(i + 1) % len(sounds)]
    return {name: [(pairs[i][0], sound(i)) for i in range(len(pairs))] for name, sound in made.items()}


def measure(name: str, pairs: list[Pair]) -> Row:
    """Both scores of every pair."""
    scores = [(accent_alignment(k, sound).z, bas(k, sound).score) for k, sound in pairs]
    z, beats = (
        np.array([np.nan if value is None else value for value in column]) for column in zip(*scores, strict=True)
    )
    return Row(name, z, beats)


def table(rows: list[Row]) -> str:
    """Means and, after the first, paired differences true - condition with the share of people who score higher."""
    lines = ["| | strokes on accents, z | true - this | BAS | true - this |", "|---|---|---|---|---|"]
    true = rows[0]
    for row in rows:
        cells = []
        for own, base in ((row.accent_z, true.accent_z), (row.bas, true.bas)):
            kept = np.isfinite(own) & np.isfinite(base)
            cells.append(str(bootstrap(list(own[kept]))))
            cells.append("" if row is true else str(bootstrap(list((base - own)[kept]))))
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def films(media: Path) -> list[tuple[str, Pair]]:
    """The films of a folder, read by MediaPipe."""
    from paha.extractors.choose import pose_extractor
    from paha.media.audio_io import read_audio, to_mono_16k
    from paha.media.video_io import read_video

    pose = pose_extractor("mediapipe")
    return [
        (path.stem, (pose.detect(read_video(path)).keypoints, to_mono_16k(*read_audio(path))))
        for path in sorted((media / "clips").iterdir())
    ]


def film_line(name: str, pair: Pair) -> str:
    """A film's own z, and how many of its sounds moved by GUARD and more score as high."""
    keypoints, sound = pair
    own = accent_alignment(keypoints, sound)
    if own.z is None:
        return f"| {name} | {own.absent} | |"
    step = SAMPLE_RATE_HZ // FPS
    moved = [accent_alignment(keypoints, np.roll(sound, k * step)).z for k in range(9, len(keypoints.scores) - 8)]
    return f"| {name} | {own.z:.2f} | {np.mean([value >= own.z for value in moved if value is not None]):.2f} |"


def main(
    count: Annotated[int, typer.Option("--people", help="How many.", min=2)] = 60,
    speech: Annotated[Path | None, typer.Option(help="Folder of aligned natural speech.")] = None,
    media: Annotated[Path | None, typer.Option(help="Folder with clips/ of real people.")] = None,
) -> None:
    """Print the tables."""
    pairs = people(count, speech)
    typer.echo(table([measure(name, made) for name, made in conditions(pairs).items()]))
    if media is not None:
        typer.echo("\n| film | z | share of moved sounds as high |\n|---|---|---|")
        for name, pair in films(media):
            typer.echo(film_line(name, pair))


if __name__ == "__main__":
    typer.run(main)
