"""A model of one person, before and after: film -> `paha prepare` -> `train univdm --init` -> `animate` -> a table.

python -m experiments.personal_model FILM... --out OUT [--seconds 2 3.4] [--steps 300] [--footage-share 1]

The path of docs/commands.md, each step by its own command; what is finished is not done again. The last clips of the
film are held out. Their first frame and their speech are animated by the model the training began with and by the
person's own, and MediaPipe reads both films and the real one. lips r: of the mouth's opening with the real one. Sizes:
deviation over time of what is made over that of the film (1 is the person's own), of the mouth's opening, of the
head's place and of the hands' points in shoulder widths. Spectra: root mean square difference of the power spectra of
head and hands (0.8 to 6 Hz) from the film's, in dB: 0 is how this person moves. Writes OUT/table.md.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import typer
from scipy.signal import welch

from paha.dataset.manifest import read_manifest
from paha.dataset.splits import SPLITS, split_records
from paha.evaluation.metrics.keypoints import HANDS, fill_unseen
from paha.evaluation.metrics.measured import Measured, load_measured
from paha.media.video_io import iter_video, save_png
from paha.runtime.statistics import lip_r
from paha.types import FACE, FPS

SHOULDERS = (5, 6)
BAND_HZ = (0.8, 6.0)
WINDOW = 48
"""Frames of a window of Welch's spectrum."""
SIGNALS = ("mouth", "head", "hands")


def main(
    film: Annotated[list[Path], typer.Argument(help="Footage of one person.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for dataset, runs, videos and the table.")],
    seconds: Annotated[tuple[float, float], typer.Option(help="Shortest and longest clip.")] = (2.0, 15.0),
    held_out: Annotated[float, typer.Option(help="Share of the film at its end that is held out.")] = 0.1,
    steps: Annotated[int, typer.Option(help="Of the fine-tuning.", min=1)] = 300,
    footage_share: Annotated[float, typer.Option(help="Of a batch that is filmed.")] = 0.5,
    init: Annotated[str, typer.Option(help="The model to begin with: a folder, or `shipped`.")] = "shipped",
    seeds: Annotated[int, typer.Option(help="Videos of every held-out clip and model.", min=1)] = 2,
    size: Annotated[int, typer.Option(help="Pixels of the videos' longer side.")] = 512,
) -> None:
    """Make the model where it is missing, animate the held-out speech, print the table."""
    data, run = out / "data", out / f"run-{steps}"
    spent = {}
    if not (data / "manifest.jsonl").is_file():
        cut = [*map(str, film), str(data), "--pose", "mediapipe", "--identity", "me", "--workers", "1"]
        spent["prepare"] = paha("prepare", *cut, "--seconds", *map(str, seconds))
        hold_out_the_end(data, held_out)
    if not (run / "model").is_dir():
        own = ["--init", init, "--steps", str(steps), "--footage-share", str(footage_share), "--workers", "0"]
        train = ["train", "univdm", "--preset", "presenter", "--data", str(data), *own, "--out", str(run)]
        spent["train"] = paha(*train)
    models = {
        "before": [] if init == "shipped" else ["--model", init],
        f"after {steps} steps": ["--model", str(run / "model")],
    }
    real, made = [], {name: [] for name in models}
    for name, arguments in models.items():
        for seed in range(seeds):
            key = f"{name.replace(' ', '-')}-{seed}"
            real, fake = measured_videos(data, out, key, [*arguments, "--seed", str(seed), "--size", str(size)])
            made[name] += list(zip(real, fake, strict=True))
    rows = {"the film itself": [(one, one) for one in real], **made}
    text = "\n".join([*table(rows), "", told(data, len(real), seeds), ""])
    text += "".join(f"{name}: {cpu:.0f} s of CPU, {wall:.0f} s of wall time.\n" for name, (cpu, wall) in spent.items())
    (out / "table.md").write_text(text, encoding="utf-8")
    typer.echo(text)


def paha(*words: str) -> tuple[float, float]:
    """Run a command of paha; its seconds of CPU and of wall time. Raises CalledProcessError where it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-m", "paha.cli.main", *words], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - began


def hold_out_the_end(data: Path, share: float) -> None:
    """The last clips, one at least, are for testing: neighbours in time of a clip that was trained on are not new."""
    names = [record.clip_id for record in read_manifest(data)]
    first = max(1, len(names) - max(1, round(share * len(names))))
    (data / SPLITS).write_text(json.dumps({"train": names[:first], "test": names[first:]}, indent=1), encoding="utf-8")


def measured_videos(
    data: Path, out: Path, name: str, arguments: Sequence[str]
) -> tuple[list[Measured], list[Measured]]:
    """Held-out clips as they are and as animated, read by MediaPipe."""
    records = split_records(data, "test")
    for record in records:
        image, video = out / "images" / f"{record.clip_id}.png", out / "videos" / name / f"{record.clip_id}.mp4"
        if not image.is_file():
            image.parent.mkdir(parents=True, exist_ok=True)
            save_png(image, next(iter_video(data / record.video)))
        if not video.is_file():
            video.parent.mkdir(parents=True, exist_ok=True)
            paha("animate", str(image), str(data / record.audio), "-o", str(video), *arguments)
    report = out / "reports" / name
    if not (report / "results.json").is_file():
        options = ["--pose", "mediapipe", "--no-ceilings", "--workers", "1"]
        paha("evaluate", str(data), str(out / "videos" / name), "-o", str(report), *options)
    sides = [
        [load_measured(report / f"measured/{side}/{r.clip_id}.safetensors") for r in records]
        for side in ("real", "generated")
    ]
    assert all(one is not None for side in sides for one in side)
    return sides[0], sides[1]  # type: ignore[return-value]


def signals(made: Measured) -> dict[str, np.ndarray]:
    """(T, n) of every signal: the mouth's opening, the middle of the face and the hands' points in shoulder widths."""
    points, seen = fill_unseen(made.keypoints.points, made.keypoints.scores)
    width = max(1.0, float(np.median(np.linalg.norm(points[:, SHOULDERS[0]] - points[:, SHOULDERS[1]], axis=-1))))
    hands = np.zeros(len(seen), bool)
    hands[HANDS] = seen[HANDS]
    head = points[:, FACE].mean(1) / width
    return {"mouth": made.mouth[:, None], "head": head, "hands": points[:, hands].reshape(len(points), -1) / width}


def table(rows: dict[str, list[tuple[Measured, Measured]]]) -> list[str]:
    """The table's lines; a row of pairs (real, made)."""
    heads = ["lips r", *(f"{name}, size" for name in SIGNALS), "spectrum of the head, dB", "of the hands, dB", "videos"]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, pairs in rows.items():
        curves = [(signals(real), signals(made)) for real, made in pairs]
        length = [min(len(real.mouth), len(made.mouth)) for real, made in pairs]
        r = np.mean([lip_r(made.mouth[:n], real.mouth[:n]) for n, (real, made) in zip(length, pairs, strict=True)])
        cells = [f"{r:.3f}", *(_number(relative_size([(a[key], b[key]) for a, b in curves])) for key in SIGNALS)]
        cells += [_number(spectral_distance([(a[key], b[key]) for a, b in curves]), 1) for key in ("head", "hands")]
        lines.append(f"| {name} | {' | '.join(cells)} | {len(pairs)} |")
    return lines


def relative_size(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    """Deviation over time of what is made over that of the film; None where one of them is never seen."""
    if any(not curve.shape[1] for pair in pairs for curve in pair):
        return None
    true, made = (np.mean([pair[k].var(0).mean() for pair in pairs]) for k in (0, 1))
    return float(np.sqrt(made / max(true, 1e-12)))


def spectral_distance(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    """Root mean square difference in dB of the mean power spectra, from 0.8 to 6 Hz; None where a side is not seen."""
    if any(not curve.shape[1] for pair in pairs for curve in pair):
        return None
    spectra = []
    for k in (0, 1):
        found = [welch(pair[k], FPS, nperseg=min(WINDOW, len(pair[k])), axis=0) for pair in pairs]
        hertz = found[0][0]
        spectra.append(np.mean([power.mean(1) for _, power in found if len(power) == len(hertz)], axis=0))
    inside = (hertz >= BAND_HZ[0]) & (hertz <= BAND_HZ[1])
    return float(np.sqrt(np.square(10 * np.log10((spectra[1] + 1e-12) / (spectra[0] + 1e-12)))[inside].mean()))


def told(data: Path, clips: int, seeds: int) -> str:
    """How much film there is."""
    length = {part: sum(r.num_frames for r in split_records(data, part)) / FPS for part in ("train", "test")}
    return f"{length['train']:.1f} s trained on, {length['test']:.1f} s held out in {clips} clips, {seeds} seeds."


def _number(value: float | None, digits: int = 2) -> str:
    return "not seen" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    typer.run(main)
