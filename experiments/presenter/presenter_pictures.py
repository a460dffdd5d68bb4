"""Pictures of the presenter's report: truth and generated frames, faces, curves of mouth opening, drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.presenter.presenter_measures import Row, Truth
from paha.media.image_io import contact_sheet, fit_image
from paha.types import FPS

MOMENTS, FACE_PX, FACE_MARGIN = 6, 96, 1.3


def moments(mouth: np.ndarray, count: int = MOMENTS) -> list[int]:
    """Frames that show how lips move: from each part of the clip the widest mouth and the smallest one, in order."""
    parts = [part for part in np.array_split(np.arange(len(mouth)), max(1, count // 2)) if len(part)]
    chosen = [{int(part[mouth[part].argmax()]), int(part[mouth[part].argmin()])} for part in parts]
    frames = sorted(set().union(*chosen))
    return (frames + [len(mouth) - 1] * count)[:count]


def comparison(shown: Sequence[tuple[Truth, np.ndarray]]) -> np.ndarray:
    """Two rows a clip: the reference and true frames, the reference and generated ones at the same moments."""
    pictures: list[np.ndarray] = []
    for truth, made in shown:
        at = moments(truth.mouth)
        for video in (truth.images, made):
            pictures += [truth.images[0], *video[at]]
    return contact_sheet(pictures, columns=MOMENTS + 1)


def faces(shown: Sequence[tuple[Truth, np.ndarray]]) -> np.ndarray:
    """The same, cut to where the true face is, so that mouths are seen."""
    pictures: list[np.ndarray] = []
    for truth, made in shown:
        at = moments(truth.mouth)
        for video in (truth.images, made):
            cuts = [cut_face(truth.images[0], truth.face[0])]
            pictures += cuts + [cut_face(video[t], truth.face[t]) for t in at]
    return contact_sheet(pictures, columns=MOMENTS + 1)


def cut_face(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(FACE_PX, FACE_PX, 3): a square about the box (4,) px, grown."""
    side = max(box[2] - box[0], box[3] - box[1]) * FACE_MARGIN
    side = int(np.clip(round(float(side)), 4, min(frame.shape[:2])))
    corner = ((box[:2] + box[2:]) / 2 - side / 2).round().astype(int)
    x, y = corner.clip(0, [frame.shape[1] - side, frame.shape[0] - side])
    return fit_image(np.ascontiguousarray(frame[y : y + side, x : x + side]), width=FACE_PX, height=FACE_PX)


def choose_shown(rows: Mapping[str, Row], count: int) -> list[str]:
    """Clips from the best lip r to the worst, evenly spread by rank, so that a picture flatters nobody."""
    ranked = sorted(rows, key=lambda clip: -rows[clip]["lip r generated"])
    places = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return [ranked[place] for place in places]


def save_curves(
    path: Path, curves: Mapping[str, Mapping[str, np.ndarray]], rows: Mapping[str, Row], clips: Sequence[str]
) -> None:
    """A plot a clip: mouth opening of the rig, as read off true frames, and as read off generated ones."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.9 * len(clips)), layout="constrained")
    axes = figure.subplots(len(clips), 1, squeeze=False)[:, 0]
    styles = {
        "truth": ("rig", "black"),
        "renderings": ("read, true", "tab:blue"),
        "generated": ("read, generated", "r"),
    }
    for axis, clip in zip(axes, clips, strict=True):
        for name, (label, colour) in styles.items():
            values = curves[clip][name]
            axis.plot(np.arange(len(values)) / FPS, values, color=colour, label=label, linewidth=1.2)
        axis.set_title(f"{clip}: lip r {rows[clip]['lip r generated']:.2f}", fontsize=9)
        axis.set_ylim(-0.05, 1.05)
    axes[0].legend(fontsize=8, ncols=3)
    axes[-1].set_xlabel("seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def save_drift(path: Path, runs: Mapping[str, Sequence[Row]], keys: Sequence[str]) -> None:
    """A plot a measurement over segments, a line a setting."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.9 * len(keys)), layout="constrained")
    axes = figure.subplots(len(keys), 1, squeeze=False)[:, 0]
    for axis, key in zip(axes, keys, strict=True):
        for name, segments in runs.items():
            axis.plot([row["seconds"] for row in segments], [row[key] for row in segments], label=name, linewidth=1.2)
        axis.set_title(key, fontsize=9)
    axes[0].legend(fontsize=8, ncols=len(runs))
    axes[-1].set_xlabel("seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
