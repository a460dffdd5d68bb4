"""A test reel of corpus speakers with planted faults, and what should become of every second of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from media_files import write_timed

from paha.dataset.synth.clip import ClipPlan, draw_scene, plan_scene
from paha.types import FPS, SAMPLE_RATE_HZ

SIDE = 128
_PER_FRAME = SAMPLE_RATE_HZ // FPS


@dataclass(frozen=True)
class Stretch:
    """start_s .. end_s of a file. reasons: any of them must be given for it; empty for what must be kept."""

    start_s: float
    end_s: float
    reasons: tuple[str, ...] = ()


@dataclass
class Reel:
    """A file in the making: frames (T, H, W, 3), samples (N,), and what is expected of it."""

    frames: list[np.ndarray] = field(default_factory=list)
    samples: list[np.ndarray] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)

    def add(self, frames: np.ndarray, samples: np.ndarray, *reasons: str) -> None:
        """Append a stretch."""
        start = sum(len(part) for part in self.frames) / FPS
        self.frames.append(frames)
        self.samples.append(np.resize(samples, len(frames) * _PER_FRAME))
        self.stretches.append(Stretch(start, start + len(frames) / FPS, reasons))

    def write(self, path: Path, **options) -> Path:
        """Write it at 25 frames a second (matroska or mp4 by the name)."""
        frames = np.concatenate(self.frames)
        times = options.pop("times_ms", [40 * k for k in range(len(frames))])
        if "keep" in options:
            frames = frames[options.pop("keep")]
        return write_timed(path, frames, times, samples=np.concatenate(self.samples), **options)


@cache
def speaker(seed: int, seconds: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """(T, 128, 128, 3) frames of a character speaking, and (640 T,) samples."""
    plan = ClipPlan(seed=seed, character_seed=seed, size=SIDE, seconds=(seconds, seconds), languages=("en",))
    scene = plan_scene(plan)
    frames, _ = draw_scene(scene.rig, character_seed=seed, size=SIDE)
    return frames, scene.samples


def loop(frames: np.ndarray, count: int) -> np.ndarray:
    """`count` frames, forward and backward in turn, so that nothing jumps."""
    order = np.concatenate([np.arange(len(frames)), np.arange(len(frames))[-2:0:-1]])
    return frames[np.resize(order, count)]


def speech(samples: np.ndarray, count: int) -> np.ndarray:
    """The speech of a speaker for `count` frames, again and again."""
    return np.resize(samples, count * _PER_FRAME)


def leaving(frames: np.ndarray) -> np.ndarray:
    """The speaker slides out of the picture within the first second and a half, and stays away."""
    out = []
    for k, frame in enumerate(frames):
        shift = min(SIDE, int(SIDE * k / (1.5 * FPS)))
        empty = np.repeat(frame[:, :1], SIDE, axis=1)
        out.append(np.concatenate([empty[:, :shift], frame], axis=1)[:, :SIDE])
    return np.stack(out)


def main_reel(seeds: list[int], *, block_s: float) -> Reel:
    """Clean stretches of several speakers with a fault between them: frozen, black, silence, noise, leaving."""
    reel, rng = Reel(), np.random.default_rng(0)
    people = [speaker(seed) for seed in seeds]
    block = round(block_s * FPS)
    short = round(min(block_s, 6.0) * FPS)
    faults = ["frozen", "black", "silence", "noise", "leaving"]
    for k, fault in enumerate(faults):
        frames, samples = people[k % len(people)]
        other, other_samples = people[(k + 1) % len(people)]
        reel.add(loop(frames, block), speech(samples, block))
        bad, sound = loop(other, short), speech(other_samples, short)
        if fault == "frozen":
            reel.add(np.repeat(bad[:1], short, axis=0), sound, "frozen")
        elif fault == "black":
            reel.add(np.zeros_like(bad), sound, "black")
        elif fault == "silence":
            reel.add(bad, np.zeros(1, np.float32), "silence")
        elif fault == "noise":
            reel.add(bad, np.clip(sound + rng.normal(0, 0.25, len(sound)), -0.9, 0.9).astype(np.float32), "noise")
        else:
            reel.add(leaving(bad), sound, "no_face", "face_at_edge")
    return reel


def two_people_reel(seeds: list[int], *, block_s: float) -> Reel:
    """Twice as wide as high: one speaker in the middle, then two, then one again."""
    reel, count = Reel(), round(block_s * FPS)
    (a, sound), (b, _) = (speaker(seed) for seed in seeds[:2])

    def alone(frames: np.ndarray) -> np.ndarray:
        half = SIDE // 2
        return np.concatenate([frames[:, :, :1].repeat(half, 2), frames, frames[:, :, -1:].repeat(half, 2)], axis=2)

    reel.add(alone(loop(a, count)), speech(sound, count))
    reel.add(np.concatenate([loop(a, count), loop(b, count)], axis=2), speech(sound, count), "two_people")
    reel.add(alone(loop(a, count)), speech(sound, count))
    return reel


def write_reels(folder: Path, *, seeds: list[int], block_s: float) -> dict[Path, list[Stretch]]:
    """The files of the reel: the faults, two people, a phone held upright, a variable frame rate."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[Path, list[Stretch]] = {}
    main = main_reel(seeds, block_s=block_s)
    files[main.write(folder / "faults.mkv")] = main.stretches
    both = two_people_reel(seeds, block_s=min(block_s, 5.0))
    files[both.write(folder / "two.mkv")] = both.stretches
    frames, samples = speaker(seeds[0])
    count = round(block_s * FPS)
    phone = Reel()
    phone.add(np.rot90(loop(frames, count), -1, axes=(1, 2)), speech(samples, count))
    files[phone.write(folder / "phone.mp4", rotation=90)] = phone.stretches
    rng = np.random.default_rng(1)
    variable = Reel()
    variable.add(loop(frames, count), speech(samples, count))
    keep = np.sort(np.concatenate([[0], 1 + rng.permutation(count - 1)[: round(0.8 * count)]]))
    times = [40 * int(k) + int(rng.integers(0, 15)) for k in keep]
    files[variable.write(folder / "variable.mkv", keep=keep, times_ms=times)] = variable.stretches
    return files


def kept_share(stretches: list[Stretch], kept: list[tuple[float, float]]) -> float:
    """Share of the clean seconds that clips cover."""
    clean = [s for s in stretches if not s.reasons]
    covered = sum(max(0.0, min(s.end_s, b) - max(s.start_s, a)) for s in clean for a, b in kept)
    return covered / sum(s.end_s - s.start_s for s in clean)
