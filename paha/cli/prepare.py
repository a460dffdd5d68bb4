"""What `paha prepare` does, once its options are parsed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import typer

from paha.errors import PahaError


class PrepareWarning(UserWarning):
    """Something that a person should know before trusting the dataset."""


def prepare_dataset(
    paths: Sequence[Path],
    *,
    layout: str,
    pose: str,
    presence: bool | None,
    no_hands: bool,
    smooth: float,
    size: str | None,
    seconds: tuple[float, float] | None,
    identity: str,
    licence: str,
    language: str | None,
    intervals: Path | None,
    splits: Path | None,
    workers: int | None,
    engine: str,
) -> None:
    """Make a dataset of paths[:-1] in paths[-1]; says what became of them. Raises PahaError if nothing was usable."""
    from paha.cli.univdm import parse_size
    from paha.dataset.prepare.config import layout_config
    from paha.dataset.prepare.run import prepare
    from paha.extractors.choose import choose_pose

    if len(paths) < 2:
        raise PahaError("give RAW... OUT: files or folders of footage, and the folder of the dataset")
    *raw, out = paths
    chosen = choose_pose(pose)
    if pose == "auto":
        typer.echo(f"pose extractor: {chosen} (by what is there; choose with --pose)", err=True)
        if chosen == "presenter":
            message = (
                "the presenter reader knows drawn presenters alone; fetch weights for people with --pose mediapipe"
            )
            warnings.warn(message, PrepareWarning, stacklevel=1)
    checker = presence_model(presence)
    if checker and presence is None:
        typer.echo(f"presence check: {checker} (by what is there; --no-presence turns it off)", err=True)
    width, height = parse_size(size)
    config = layout_config(
        layout,
        pose=chosen,
        presence=checker,
        hands=False if no_hands else None,
        smooth=smooth,
        width=width,
        height=height,
        min_s=seconds[0] if seconds else None,
        max_s=seconds[1] if seconds else None,
        licence=licence,
        language=language,
    )
    listed, published = None, {}
    if intervals is not None:
        from paha.dataset.prepare.pats import interval_finder, split_by_clip

        listed = interval_finder(intervals, splits=splits, speakers=config.speakers)
        published = split_by_clip(intervals, splits) if splits is not None else {}
    elif splits is not None:
        raise PahaError("--splits names intervals: give --intervals as well")
    done = prepare(
        raw,
        out,
        config=config,
        workers=workers,
        engine=engine,
        identity=identity,
        listed=listed,
        published=published,
    )
    for name, error in done.failed:
        typer.echo(f"paha: left out: {' '.join(name.split())}: {error}", err=True)
    typer.echo(
        f"{len(done.records)} clips, {done.kept_s:.1f} s of {done.seconds:.1f} s, in {out} "
        f"({done.new} files new, {len(done.failed)} unusable); look at {out}/report.html"
    )
    if not done.records and done.failed and not done.seconds:
        raise PahaError(f"no file could be used; the first: {done.failed[0][0]}: {done.failed[0][1]}")


def presence_model(wanted: bool | None) -> str:
    """The DINOv2 model that is here, or nothing. Raises PahaError where it is wanted and missing."""
    from paha.extractors.weights import DINOV2, find_model_folder, model_folder

    if wanted is False:
        return ""
    found = next((name for name in DINOV2 if find_model_folder(name) is not None), "")
    if wanted and not found:
        model_folder(DINOV2[0])
    return found
