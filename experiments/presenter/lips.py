"""Lips, sharpness and seams of one photograph that says one sentence, and of the rig's true motion beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.presenter import scores
from experiments.presenter.face_reader import FaceTrack, face_reader
from experiments.presenter.people import Case, since_photograph
from experiments.presenter.setup import Setup
from experiments.presenter.videos import Made, make
from paha.errors import PahaError
from paha.media.image_io import read_image
from paha.runtime.statistics import loudness_lips
from paha.types import SAMPLE_RATE_HZ

Row = dict[str, Any]
CLOSED = 0.005
"""Face heights: lips that the rig holds together; before a phrase it draws breath, which is no pause of the lips."""


def measure_case(setup: Setup, case: Case) -> Row:
    """Everything of the case that the tables need, as plain values; {"refused": line} where there is no video."""
    try:
        made = make(setup, read_image(case.still.path), (case.speech.samples, SAMPLE_RATE_HZ), seed=case.number)
    except PahaError as error:
        return {"refused": str(error)}
    reference, motion = made.reference, case.motion.frames(slice(0, len(made.frames)))
    painted = reference.grid.paint(since_photograph(motion, reference))
    ceiling = Made(reference, np.stack(list(reference.iter_frames(painted))), painted, made.borders)
    truth = motion.mouth_open.astype(float)
    row: Row = {
        "landmarks": reference.landmarks.source,
        "truth": truth.tolist(),
        "paused": (scores.pause_frames(case.speech.pauses, len(truth)) & (truth < CLOSED)).tolist(),
        "loudness": loudness_lips(case.speech.samples, len(truth)).tolist(),
        "latents": reference.grid.read(made.latents).mouth_open.astype(float).tolist(),
    }
    return row | {"generated": read_video(made), "ceiling": read_video(ceiling)}


def read_video(made: Made) -> Row:
    """What MediaPipe and the pixels say of a video: the opening's curve, sharpness, seams, untouched picture."""
    photo, reader = made.reference.image, face_reader()
    face = made.reference.landmarks.face
    track, still = reader.read(made.frames, face), reader.read([photo], face)
    changes = scores.frame_changes(made.frames)
    return {
        "opening": track.opening.astype(float).tolist(),
        "sharpness": sharpness_ratio(made.frames, track, photo, still),
        "seams": scores.seam_ratio(changes, made.borders),
        "outside": scores.changed_outside(made.frames, photo, made.reference.renderer.photo.region),
    }


def sharpness_ratio(frames: np.ndarray, track: FaceTrack, photo: np.ndarray, still: FaceTrack) -> float:
    """Median over frames of the face's sharpness over the photograph's; NaN where MediaPipe finds no face."""
    if not (track.found.any() and still.found[0]):
        return float("nan")
    of_photo = scores.face_sharpness(photo, still.mesh[0])
    sharp = [scores.face_sharpness(f, m) for f, m, found in zip(frames, track.mesh, track.found, strict=True) if found]
    return float(np.nanmedian(sharp) / of_photo)


def numbers(row: Row, other: Row) -> dict[str, float]:
    """A case's scores. other: another case, whose sentence this one's lips should not follow."""
    # Alignments end on a grid of their own: a sentence's truth may be a frame shorter than its sound.
    length = min(len(row[name]) for name in ("truth", "paused", "loudness", "latents"))
    truth, paused = np.array(row["truth"][:length]), np.array(row["paused"][:length])
    read = {name: np.array(row[name]["opening"][:length], float) for name in ("generated", "ceiling")}
    result = {
        "loudness r": scores.correlation(np.array(row["loudness"][:length]), truth),
        "other clip r": scores.correlation(read["generated"], np.array(other["truth"])),
        "latents r": scores.correlation(np.array(row["latents"][:length]), truth),
        "latents amplitude": scores.amplitude(np.array(row["latents"][:length]), truth),
        "amplitude of ceiling": scores.amplitude(read["generated"], read["ceiling"]),
    }
    for name, curve in read.items():
        result |= {
            f"{name} r": scores.correlation(curve, truth),
            f"{name} amplitude": scores.amplitude(curve, truth),
            f"{name} pauses": scores.opening_in_pauses(curve, paused),
            f"{name} found": scores.share_found(curve),
            f"{name} sharpness": row[name]["sharpness"],
            f"{name} seams": row[name]["seams"],
            f"{name} outside": row[name]["outside"],
        }
    return result


def all_numbers(rows: dict[str, Row]) -> dict[str, dict[str, float]]:
    """By case; those without a video left out."""
    kept = {name: row for name, row in rows.items() if "refused" not in row}
    names = list(kept)
    return {name: numbers(kept[name], kept[names[(i + 1) % len(names)]]) for i, name in enumerate(names)}
