"""Every photograph with a short recording: each ends in a video or in one clear line."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from experiments.presenter.pictures import TILE_PX, fit, sheet, three_moments
from experiments.presenter.setup import Setup
from experiments.presenter.tables import Line
from experiments.presenter.videos import Sound, make
from paha.errors import PahaError
from paha.media.image_io import read_image, save_png
from paha.media.video_writer import write_video
from paha.pipeline.inputs import PahaWarning

PEOPLE_A_ROW, SHOWN = 4, 24


def measure_still(setup: Setup, task: tuple[Path, Sound, Path]) -> dict[str, Any]:
    """task: a photograph, a sound, and the mp4 to write (its three moments go beside it as PNG)."""
    path, sound, out = task
    began = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PahaWarning)
        try:
            made = make(setup, read_image(path), sound, seed=0)
            write_video(out, made.frames, audio=sound)
        except PahaError as error:
            return {"ended": "line", "line": str(error)}
        except Exception as error:  # what must not be: it is counted and named
            return {"ended": "crash", "line": f"{type(error).__name__}: {error}"}
    at = three_moments(made.reference.grid.read(made.latents).mouth_open)
    save_png(out.with_suffix(".png"), sheet([fit(made.frames[t]) for t in at], columns=3))
    told = [str(w.message) for w in caught if issubclass(w.category, PahaWarning)]
    height, width = made.frames.shape[1:3]
    return {"ended": "video", "warnings": told, "size": f"{width} x {height}", "seconds": time.monotonic() - began}


def contact_sheet(pictures: list[Path]) -> np.ndarray:
    """SHOWN of the people, evenly out of all, three moments each (mouth most closed, between, most open)."""
    at = np.linspace(0, len(pictures) - 1, min(SHOWN, len(pictures))).round().astype(int)
    strips = [read_image(pictures[i])[:, : 3 * (TILE_PX + 2)] for i in at]
    return sheet(strips, columns=PEOPLE_A_ROW)


def everybody_lines(rows: dict[str, dict[str, Any]]) -> list[Line]:
    """Counts, then every line that a person would read."""
    ended = Counter(row["ended"] for row in rows.values())
    lines = [
        Line("photographs", str(len(rows))),
        Line("end in a video", str(ended["video"])),
        Line("end in a clear line", str(ended["line"])),
        Line("crash", ended["crash"], high=0),
    ]
    for name, row in rows.items():
        if row["ended"] != "video":
            lines.append(Line(name, f"{row['ended']}: {_cell(row['line'])}"))
        lines += [Line(name, f"video, with a warning: {_cell(told)}") for told in row.get("warnings", [])]
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")
