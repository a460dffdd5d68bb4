"""What `paha animate` writes, and whether it may: decided before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paha.pipeline.segment_store import SegmentStore
from paha.runtime.atomic import remove_stale
from paha.runtime.paths import Output

VIDEO = Output("file", endings=(".mp4",))
SHEET = Output("file", endings=(".png",))
FRAMES_FOLDER = Output("folder", marks=("**/frame_*.png",))
FRAMES = Output("folder", marks=FRAMES_FOLDER.marks, results=FRAMES_FOLDER.marks)


def sheet_path(out: Path) -> Path:
    """Of --contact-sheet."""
    return out.with_name(f"{out.stem}_sheet.png")


def check_outputs(
    out: Path,
    *,
    inputs: Sequence[Path] = (),
    resume: bool = False,
    overwrite: bool = False,
    video: bool = True,
    sheet: Path | None = None,
    frames: Path | None = None,
) -> None:
    """Whether all that would be written may be. Raises PahaError where not (`paha.runtime.paths`).

    video: `out` itself is written, and not a stream that is open already. resume: an interrupted run had been allowed
    to replace what it was going to.
    """
    store = SegmentStore(out)
    store.check(resume=resume, overwrite=overwrite)
    overwrite_files = overwrite or (resume and store.begun)
    if video:
        VIDEO.check(out, inputs=inputs, overwrite=overwrite_files)
    if sheet is not None:
        SHEET.check(sheet, inputs=inputs, overwrite=overwrite_files)
    if frames is not None:
        FRAMES.check(frames, inputs=inputs, overwrite=overwrite_files)


def remove_leftovers(out: Path, *, sheet: Path | None = None, frames: Path | None = None) -> None:
    """Remove what killed runs left half-written of these outputs."""
    for path in (out, sheet):
        if path is not None:
            remove_stale(path.parent, path.name)
    if frames is not None:
        remove_stale(frames)
