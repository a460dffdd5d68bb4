"""Does every metric see what it is meant to see? Real clips, corrupted step by step, as `paha evaluate` measures them.

python experiments/metric_sensitivity.py --data HELDOUT --out OUT [--clips 40]

Drawn or photographed presenters (`paha synth --stills`), the reader as `paha evaluate` chooses it. Picture: blur, noise
and a tint on the sampled frames (regions, errors, hands; the pose reader reads them again). Motion: face held, hands
held, hands that tremble, a share of the frames shuffled (keypoints and mouth). Sound: shifted by 2, 5 and 10 frames,
another clip's. Writes OUT/table_sensitivity.md, .json and .png; measurements stay in OUT/measured.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import typer
from scipy.ndimage import gaussian_filter

from paha.cli.evaluate import share_cores
from paha.cli.options import tell
from paha.evaluation.metrics.clips import Clip, find_clips, speech
from paha.evaluation.metrics.evaluate import FLOOR, MeasuredSet, measure_set, score_real
from paha.evaluation.metrics.instruments import Instruments, load_instruments
from paha.evaluation.metrics.keypoints import FORE, GESTURE
from paha.evaluation.metrics.measure import add_noise
from paha.evaluation.metrics.measured import Measured, load_measured
from paha.evaluation.metrics.parts import hand_confidence, hands_seen
from paha.evaluation.metrics.regions import describe, psnr_db, region_boxes, region_errors, region_masks
from paha.evaluation.metrics.scores import RowScores
from paha.evaluation.tables.render import Column, Row, Table, Value, to_markdown, write_table
from paha.media.video_io import read_video
from paha.runtime.statistics import bootstrap
from paha.types import FPS, SAMPLE_RATE_HZ, Keypoints

COLUMNS = (
    Column("fgd", "FGD", "lower", 2),
    Column("div", "Div.", "none", 1),
    Column("bas", "BAS", "higher", 3),
    Column("accent_z", "strokes on accents", "higher", 2, "z"),
    Column("bas_motion", "BAS over motion beats", "higher", 3),
    Column("hkv", "HKV", "none", 0),
    Column("jerk", "jerk", "lower", 0),
    Column("e_fid", "E-FID", "lower", 3),
    Column("motion_beats", "motion beats", "none", 2, "1/s"),
    Column("hand_motion", "hand motion", "none", 3),
    Column("lip_loudness_r", "lip r to loudness", "higher", 3),
    Column("lip_loudness_margin", "lip margin", "higher", 3),
    Column("lip_lag", "lip lag", "lower", 1, "frames"),
    Column("mouth_in_silence", "mouth in silence", "lower", 2, "1/s"),
    Column("frd_face", "FRD face", "lower", 1),
    Column("frd_hands", "FRD hands", "lower", 1),
    Column("frd_background", "FRD background", "lower", 1),
    Column("psnr_frame", "PSNR frame", "higher", 1, "dB"),
    Column("psnr_face", "PSNR face", "higher", 1, "dB"),
    Column("ssim_face", "SSIM face", "higher", 3),
    Column("hand_confidence", "hand confidence", "higher", 3),
    Column("hands_seen", "hands seen", "higher", 2),
)
SHIFTS, SHARES, BLURS, NOISES = (2, 5, 10), (0.1, 0.5, 1.0), (1.0, 2.0, 4.0), (10.0, 20.0, 40.0)
TREMBLE = (0.002, 0.01)
Picture = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Sample:
    """A clip ready to be corrupted: its measurement and speech, the next clip's speech."""

    clip: Clip
    made: Measured
    mono: np.ndarray
    other: np.ndarray


def main(
    data: Annotated[Path, typer.Option("--data", help="Dataset of held-out clips.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the table and the measurements.")],
    clips: Annotated[int, typer.Option(help="How many clips.", min=2)] = 40,
    seed: Annotated[int, typer.Option(help="Of noise and shuffles.", min=0)] = 0,
    workers: Annotated[int | None, typer.Option(help="Clips measured at a time.", min=1)] = None,
) -> None:
    """The table of corruptions."""
    instruments = load_instruments(real=data)
    found = find_clips(data)[:clips]
    real, failed = measure_set(found, instruments, out / "measured" / "real", workers=share_cores(workers), say=tell)
    whole, rows = score_real(real, instruments, seed=seed, ceilings=False)
    table_rows = [Row(FLOOR, dict(rows[0].values), ranked=False)]
    for name, corrupt in conditions(instruments, seed).items():
        tell(name)
        table_rows.append(Row(name, score(real, whole, instruments, corrupt, seed), ranked=False))
    provenance = {"data": str(data), "clips": len(real.clips), "seed": seed, "instruments": instruments.provenance()}
    notes = [f"{len(real.clips)} clips; values with bootstrap 95 % intervals; '-' where a corruption cannot matter."]
    notes += [f"left out {clip}: {why}" for clip, why in failed.items()]
    table = Table("sensitivity", "what each metric sees", COLUMNS, table_rows, notes=notes, provenance=provenance)
    write_table(table, out)
    typer.echo(to_markdown(table))


Corrupt = Callable[[Sample, np.random.Generator], tuple[Measured, np.ndarray, Keypoints | None]]
"""(measurement, speech, keypoints read off the corrupted frames or None)."""


def conditions(instruments: Instruments, seed: int) -> dict[str, Corrupt]:
    """Every corruption by its name, weakest first of each kind."""
    made: dict[str, Corrupt] = {"none (the same clips)": lambda s, rng: (s.made, s.mono, None)}
    for sigma in BLURS:
        made[f"blur {sigma:g} px"] = picture(lambda x, s=sigma: gaussian_filter(x, (s, s, 0)), instruments)
    for std in NOISES:
        made[f"noise {std:g}"] = picture(lambda x, s=std: add_noise(x, std=s, seed=seed), instruments)
    made["a tint of 12"] = picture(tinted, instruments)
    for share in TREMBLE:
        made[f"hands tremble by {share:.1%} of the height"] = lambda s, rng, size=share: (
            trembling(s.made, size, rng),
            s.mono,
            None,
        )
    made["face held"] = lambda s, rng: (held_face(s.made), s.mono, None)
    made["hands held"] = lambda s, rng: (held_hands(s.made), s.mono, None)
    for share in SHARES:
        made[f"{share:.0%} of frames shuffled"] = lambda s, rng, part=share: (shuffle(s.made, part, rng), s.mono, None)
    for frames in SHIFTS:
        made[f"sound {frames} frames late"] = lambda s, rng, k=frames: (s.made, late(s.mono, k), None)
    made["another clip's sound"] = lambda s, rng: (s.made, s.other, None)
    return made


def samples(real: MeasuredSet) -> Iterator[Sample]:
    """The clips one by one."""
    for clip, other in zip(real.clips, [*real.clips[1:], *real.clips[:1]], strict=True):
        made = load_measured(real.path(clip))
        assert made is not None
        yield Sample(clip, made, speech(clip), speech(other))


def score(
    real: MeasuredSet, whole: RowScores, instruments: Instruments, corrupt: Corrupt, seed: int
) -> dict[str, Value]:
    """A row of the table."""
    row, hands, shares = RowScores(instruments, seed=seed), list[float](), list[float]()
    for number, sample in enumerate(samples(real)):
        made, mono, read = corrupt(sample, np.random.default_rng([seed, number]))
        row.add(made, mono)
        if read is not None:
            shares.append(hands_seen(read))
            confidence = hand_confidence(read)
            hands += [] if confidence is None else [confidence[0]]
    values: dict[str, Value] = dict(row.results(whole))
    if shares:
        # Motion was not read again off the corrupted picture.
        values = {key: value for key, value in values.items() if key.startswith(("frd", "psnr", "ssim"))}
        values["hand_confidence"] = bootstrap(hands) if hands else "no hand was seen"
        values["hands_seen"] = bootstrap(shares)
    return values


def picture(change: Picture, instruments: Instruments) -> Corrupt:
    """A corruption of the sampled frames."""

    def corrupt(sample: Sample, rng: np.random.Generator) -> tuple[Measured, np.ndarray, Keypoints | None]:
        made = sample.made
        frames = read_video(sample.clip.video)[: len(made.mouth) : instruments.every]
        places = np.arange(len(frames)) * instruments.every
        bad = np.stack([change(frame) for frame in frames])
        boxes = region_boxes(made.keypoints, made.face_box, height=made.height)
        regions: dict[str, list[np.ndarray]] = {}
        errors: dict[str, list[tuple[float, float]]] = {}
        for frame, changed, place in zip(frames, bad, places, strict=True):
            for name, found in describe(changed, boxes, int(place)).items():
                regions.setdefault(name, []).append(found)
            masks = region_masks(boxes, int(place), height=made.height, width=made.width)
            for name, pair in region_errors(frame, changed, masks).items():
                errors.setdefault(name, []).append(pair)
        joined = {name: np.concatenate(found) for name, found in regions.items()}
        means = {name: np.mean(found, axis=0) for name, found in errors.items()}
        pairs = {name: np.array([psnr_db(float(m[0])), m[1]]) for name, m in means.items()}
        assert instruments.pose is not None
        return replace(made, regions=joined, errors=pairs), sample.mono, instruments.pose.detect(bad).keypoints

    return corrupt


def held_face(made: Measured) -> Measured:
    """Mouth and expression stay as they are in the first frame."""
    looks = {name: np.repeat(found[:1], len(found), axis=0) for name, found in made.looks.items()}
    return replace(made, mouth=np.full_like(made.mouth, made.mouth[0]), looks=looks)


def held_hands(made: Measured) -> Measured:
    """Arms and hands stay where they are in the first frame."""
    points, scores = made.keypoints.points.copy(), made.keypoints.scores.copy()
    points[:, GESTURE], scores[:, GESTURE] = points[:1, GESTURE], scores[:1, GESTURE]
    return replace(made, keypoints=Keypoints(points, scores))


def tinted(frame: np.ndarray) -> np.ndarray:
    """12 of 255 more red, 12 less blue."""
    return np.clip(frame.astype(np.int16) + [12, 0, -12], 0, 255).astype(np.uint8)


def trembling(made: Measured, share: float, rng: np.random.Generator) -> Measured:
    """Independent noise on elbows, wrists and hands of every frame, of that share of the frame's height."""
    points = made.keypoints.points.copy()
    points[:, FORE] += rng.normal(0, share * made.height, (len(points), len(FORE), 2)).astype(np.float32)
    return replace(made, keypoints=Keypoints(points, made.keypoints.scores))


def shuffle(made: Measured, share: float, rng: np.random.Generator) -> Measured:
    """A share of the frames change places among themselves."""
    order = np.arange(len(made.mouth))
    chosen = np.sort(rng.choice(len(order), round(share * len(order)), replace=False))
    order[chosen] = rng.permutation(chosen)
    keypoints = Keypoints(made.keypoints.points[order], made.keypoints.scores[order])
    return replace(made, keypoints=keypoints, mouth=made.mouth[order])


def late(mono: np.ndarray, frames: int) -> np.ndarray:
    """The sound so many video frames late, silence before it."""
    lead = frames * SAMPLE_RATE_HZ // FPS
    return np.concatenate([np.zeros(lead, mono.dtype), mono])[: len(mono)]


if __name__ == "__main__":
    typer.run(main)
