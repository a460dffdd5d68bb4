"""A long video of one photograph: whether its last segment still shows the person of its first, and what seams do."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.presenter import scores
from experiments.presenter.face_reader import RIGID, FaceTrack, face_reader
from experiments.presenter.people import Case
from experiments.presenter.setup import Setup, pipeline_of
from experiments.presenter.tables import Line
from experiments.presenter.videos import borders_of, encode, reference_of
from experiments.rig_report import blink_seconds
from paha.errors import PahaError
from paha.media.image_io import read_image
from paha.motion.landmarks import CHIN, FOREHEAD
from paha.types import FPS, SAMPLE_RATE_HZ

CLOSED = 0.5
"""Lids beyond which an eye blinks."""


def measure_long(setup: Setup, case: Case) -> dict[str, Any]:
    """Frames are kept for the first two segments' length and the last one's alone: memory does not grow."""
    try:
        sound = (case.speech.samples, SAMPLE_RATE_HZ)
        inputs = encode(setup, read_image(case.still.path), sound)
    except PahaError as error:
        return {"refused": str(error)}
    length = inputs.segments[0].length
    pipeline, reference = pipeline_of(setup.model), reference_of(inputs)
    kept: dict[int, np.ndarray] = {}
    lids: list[np.ndarray] = []
    changes, last, count = [], None, 0
    wanted = {*range(2 * length), *range(inputs.num_frames - length, inputs.num_frames)}
    for output in pipeline.generate(inputs, setup.options(case.number)):
        latents = pipeline.codec_latents(inputs, output.latents[output.segment.emitted])
        lids.append(reference.grid.read(latents).lids.mean(1))
        for frame in output.frames:
            changes += [] if last is None else [float(scores.frame_changes(np.stack([last, frame]))[0])]
            if count in wanted:
                kept[count] = frame
            last, count = frame, count + 1
    parts = [[kept[t] for t in sorted(kept) if first <= t < first + length] for first in (0, length, count - length)]
    tracks = [face_reader().read(part, reference.landmarks.face) for part in parts]
    first, second, end = (mean_face(part, track) for part, track in zip(parts, tracks, strict=True))
    return {
        "seconds": count / FPS,
        "blinks": 60 * FPS / count * len(blink_seconds(np.concatenate(lids), closed=CLOSED)),
        "segments": len(inputs.segments),
        "face end": float(np.abs(end[0] - first[0]).mean()),
        "face second": float(np.abs(second[0] - first[0]).mean()),
        "shape end": shape_difference(first[1], end[1]),
        "shape second": shape_difference(first[1], second[1]),
        "sharpness": sharpness_of(parts[2], tracks[2]) / sharpness_of(parts[0], tracks[0]),
        "seams": scores.seam_ratio(np.array(changes), borders_of(inputs.segments)),
    }


def mean_face(frames: list[np.ndarray], track: FaceTrack) -> tuple[np.ndarray, np.ndarray]:
    """Mean picture (S, S, 3) and mean mesh (478, 2) of a face over frames, each laid by nose and eyes onto MODEL."""
    seen = [(frame, mesh) for frame, mesh, found in zip(frames, track.mesh, track.found, strict=True) if found]
    pictures, meshes = [], []
    for frame, mesh in seen:
        rigid = mesh[list(RIGID)]
        matrix = scores.similarity(rigid, MODEL)
        pictures.append(scores.aligned_face(frame, rigid, MODEL))
        meshes.append(mesh @ matrix[:, :2].T + matrix[:, 2])
    return np.mean(pictures, 0), np.mean(meshes, 0)


MODEL = np.array(
    [[0.5, 0.60], [0.5, 0.57], [0.5, 0.42], [0.27, 0.39], [0.42, 0.40]]
    + [[0.5, 0.37], [0.5, 0.48], [0.73, 0.39], [0.58, 0.40]],
    np.float32,
)
"""Where the RIGID points are laid, in sides of the aligned picture: of every video at the same places."""


def shape_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square distance of two meshes (478, 2), each laid onto the same place, in face heights."""
    height = float(np.linalg.norm(a[FOREHEAD] - a[CHIN]))
    return float(np.sqrt(np.square(a - b).sum(1).mean())) / height


def sharpness_of(frames: list[np.ndarray], track: FaceTrack) -> float:
    """Median variance of the Laplacian in the face."""
    pairs = zip(frames, track.mesh, track.found, strict=True)
    return float(np.median([scores.face_sharpness(frame, mesh) for frame, mesh, found in pairs if found]))


def long_lines(row: dict[str, Any]) -> list[Line]:
    """Beside each difference of the ends that of the first two segments, which is expression and pose alone."""
    if "refused" in row:
        return [Line("video", f"none: {row['refused']}")]
    return [
        Line("video", "{seconds:.0f} s, {segments} segments".format_map(row)),
        Line("mean face, last segment against the first, grey levels", row["face end"]),
        Line("the same, second segment against the first", row["face second"]),
        Line("shape of the mean face, last against first, face heights", row["shape end"]),
        Line("the same, second against first", row["shape second"]),
        Line("sharpness of the face, last segment over the first", row["sharpness"], 0.9, 1.1),
        Line("change at segment borders over elsewhere", row["seams"], high=1.2),
        Line("blinks a minute, off the latents (people at talk: about 15)", row["blinks"], 8, 30),
    ]
