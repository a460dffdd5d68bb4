"""The shipped keypoint estimator against MediaPipe on pictures that it never saw: a table and a sheet to look at.

python -m experiments.estimator_report [--stills ../shared/stills/test] [--out out/estimator_report]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from paha.errors import PahaError
from paha.media.image_io import contact_sheet, read_image, save_png
from paha.motion.landmarks import LandmarkReader, Landmarks, landmark_reader, read_landmarks
from paha.motion.own_landmarks import SHIPPED_ESTIMATOR, OwnLandmarks
from paha.runtime.statistics import bootstrap
from paha.types import BODY, FACE, LEFT_HAND, RIGHT_HAND

JAW, EYES, LIPS = slice(23, 40), slice(59, 71), slice(71, 91)
HANDS = slice(LEFT_HAND.start, RIGHT_HAND.stop)
GROUPS = {"68 face points": FACE, "of them jaw line": JAW, "eyes": EYES, "lips": LIPS, "body": BODY, "hands": HANDS}
TILE = 420
_SHOWN = 24


@dataclass(frozen=True)
class Pair:
    """One picture, read by both. seconds: of the own reading."""

    name: str
    image: np.ndarray
    own: Landmarks
    other: Landmarks
    seconds: float


def compare(paths: list[Path], own: LandmarkReader, other: LandmarkReader) -> tuple[list[Pair], list[str]]:
    """Both readings of every picture, and a line for each picture that one of them refuses."""
    pairs, refused = [], []
    for path in paths:
        image = read_image(path)
        try:
            truth = read_landmarks(image, other, other.find_faces(image))
            begin = time.perf_counter()
            read = read_landmarks(image, own, own.find_faces(image))
        except PahaError as error:
            refused.append(f"{path.name}: {error}")
            continue
        pairs.append(Pair(path.name, image, read, truth, time.perf_counter() - begin))
    return pairs, refused


def point_errors(pair: Pair, part: slice) -> float:
    """Mean distance of the points of a part that both see, per cent of the face's height; NaN where there is none."""
    seen = (pair.own.scores[part] > 0) & (pair.other.scores[part] > 0)
    distance = np.linalg.norm(pair.own.points[part] - pair.other.points[part], axis=1)[seen]
    return 100 * float(distance.mean()) / pair.other.face_height if len(distance) else float("nan")


def gap_error(pair: Pair) -> float:
    """Difference of the gaps between the inner lips (mesh points 13 and 14), per cent of the face's height."""
    gaps = [np.linalg.norm(each.face[13, :2] - each.face[14, :2]) for each in (pair.own, pair.other)]
    return 100 * float(abs(gaps[0] - gaps[1])) / pair.other.face_height


def mesh_error(pair: Pair) -> float:
    """Mean distance of the 478 mesh points in the picture's plane, per cent of the face's height."""
    distance = np.linalg.norm(pair.own.face[:, :2] - pair.other.face[:, :2], axis=1)
    return 100 * float(distance.mean()) / pair.other.face_height


def depth_error(pair: Pair) -> float:
    """Mean difference of the mesh's z, each about its mean, per cent of the face's height."""
    depth = [each.face[:, 2] - each.face[:, 2].mean() for each in (pair.own, pair.other)]
    return 100 * float(np.abs(depth[0] - depth[1]).mean()) / pair.other.face_height


def mask_overlap(pair: Pair) -> float:
    """Intersection over union of the masks above one half, per cent."""
    own, other = pair.own.mask > 0.5, pair.other.mask > 0.5
    return 100 * float((own & other).sum()) / max(1, float((own | other).sum()))


def seen_agreement(pair: Pair, part: slice) -> float:
    """Share of the points of a part that both see or both do not, per cent."""
    return 100 * float(((pair.own.scores[part] > 0) == (pair.other.scores[part] > 0)).mean())


MEASURES: dict[str, Callable[[Pair], float]] = {
    **{name: lambda pair, part=part: point_errors(pair, part) for name, part in GROUPS.items()},
    "478 mesh points": mesh_error,
    "gap between the lips": gap_error,
    "depth": depth_error,
    "mask, intersection over union": mask_overlap,
    "body points seen alike": lambda pair: seen_agreement(pair, BODY),
    "hand points seen alike": lambda pair: seen_agreement(pair, HANDS),
}


def table(pairs: list[Pair]) -> str:
    """A line a measure: mean with its 95 % interval over pictures, median, the worst picture's value and name."""
    lines = ["| per cent of the face's height, or per cent | mean [95 %] | median | worst |", "|---|---|---|---|"]
    for name, measure in MEASURES.items():
        values = {pair.name: measure(pair) for pair in pairs}
        known = {key: value for key, value in values.items() if not np.isnan(value)}
        if not known:
            continue
        more_is_better = "mask" in name or "alike" in name
        worst = (min if more_is_better else max)(known, key=lambda key: known[key])
        interval = bootstrap(list(known.values()))
        mean = f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}] (N={interval.num})"
        median = float(np.median(list(known.values())))
        lines.append(f"| {name} | {mean} | {median:.2f} | {known[worst]:.1f} ({worst}) |")
    seconds = sorted(pair.seconds for pair in pairs)
    lines.append(
        f"| seconds a picture, one thread | {np.mean(seconds):.2f} | {np.median(seconds):.2f} | {seconds[-1]:.2f} |"
    )
    return "\n".join(lines)


def drawn(pair: Pair) -> np.ndarray:
    """(TILE, TILE, 3) uint8: what is read, over the picture; the other's face points in red below the own ones."""
    factor = TILE / max(pair.image.shape[:2])
    size = [max(1, round(length * factor)) for length in pair.image.shape[1::-1]]
    picture = cv2.resize(pair.image, (size[0], size[1]), interpolation=cv2.INTER_AREA).astype(np.float32)
    mask = cv2.resize(pair.own.mask, (size[0], size[1]))[..., None]
    picture = (picture * (0.35 + 0.65 * mask) + np.array([0, 60, 0]) * (1 - mask)).clip(0, 255).astype(np.uint8)
    for each, colours in ((pair.other, ((255, 0, 0), (255, 0, 0))), (pair.own, ((255, 255, 0), (90, 170, 255)))):
        for k in np.flatnonzero(each.scores > 0):
            x, y = (each.points[k] * factor).astype(int)
            cv2.circle(picture, (int(x), int(y)), 1, colours[0 if FACE.start <= k < FACE.stop else 1], -1)
    tile = np.zeros((TILE, TILE, 3), np.uint8)
    tile[: size[1], : size[0]] = picture[:TILE, :TILE]
    return tile


def main(
    stills: Annotated[Path, typer.Option(help="Folder of pictures.")] = Path("../shared/stills/test"),
    out: Annotated[Path, typer.Option(help="Folder for table.md and sheet.png.")] = Path("out/estimator_report"),
    estimator: Annotated[Path, typer.Option(help="Folder of the estimator.")] = SHIPPED_ESTIMATOR,
    worst: Annotated[
        bool, typer.Option(help="Show the pictures with the largest face errors, not every third.")
    ] = False,
) -> None:
    """Compare the estimator with MediaPipe."""
    paths = sorted(path for path in stills.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    pairs, refused = compare(paths, OwnLandmarks.load(estimator), landmark_reader("mediapipe"))
    text = "\n".join([table(pairs), "", f"{len(pairs)} of {len(paths)} pictures read by both", *refused, ""])
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(text, encoding="utf-8")
    if worst:
        shown = sorted(pairs, key=lambda pair: -point_errors(pair, FACE))[:_SHOWN]
    else:
        shown = pairs[:: max(1, len(pairs) // _SHOWN)][:_SHOWN]
    save_png(out / "sheet.png", contact_sheet([drawn(pair) for pair in shown], columns=6))
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
