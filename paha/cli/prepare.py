"""`paha prepare`: raw footage to a dataset."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paha.cli.options import FILE, Engine, parse_size, tell
from paha.errors import PahaError
from paha.runtime.paths import Input, Output

if TYPE_CHECKING:
    from paha.dataset.prepare.config import PrepareConfig

DATASET = Output("folder", marks=("prepare.json",))
ONLY_PRESENTERS = "the presenter reader knows drawn presenters alone; fetch weights for people with --pose mediapipe"


class PrepareWarning(UserWarning):
    """Something that a person should know before trusting the dataset."""


@dataclass(frozen=True)
class PrepareOptions:
    """How footage is cut and checked."""

    layout: Annotated[str, typer.Option(help="any, pats (4-15 s) or cnas (5 s, 512x896, 22 kHz).")] = "any"
    pose: Annotated[str, typer.Option(help="auto, mediapipe, dwpose or presenter.")] = "auto"
    presence: Annotated[
        bool | None,
        typer.Option(help="DINOv2 checks that body parts are present (by default where its weights are)."),
    ] = None
    no_hands: Annotated[bool, typer.Option("--no-hands", help="Heads will do: hands and shoulders need not show.")] = (
        False
    )
    smooth: Annotated[
        float | None, typer.Option(help="Weight of the temporal fit of keypoints; 0 is off (cnas: 1).", min=0.0)
    ] = None
    size: Annotated[str | None, typer.Option(help="N or WIDTHxHEIGHT in pixels (the layout's by default).")] = None
    seconds: Annotated[tuple[float, float] | None, typer.Option(help="Shortest and longest clip.")] = None
    identity: Annotated[str, typer.Option(help="Who is seen: a name, or 'folder' (the file's name by default).")] = ""
    licence: Annotated[str, typer.Option(help="Licence of the footage, for the dataset card.")] = ""
    language: Annotated[str | None, typer.Option(help="Language spoken, e.g. en.")] = None
    intervals: Annotated[Path | None, typer.Option(help="PATS's interval csv: only what it lists."), FILE] = None
    splits: Annotated[Path | None, typer.Option(help="S2G's split ids (json), with --intervals."), FILE] = None
    workers: Annotated[int | None, typer.Option(help="Processes (one a core by default).", min=1)] = None
    engine: Engine = "local"
    retry: Annotated[bool, typer.Option("--retry", help="Try files again that could not be used before.")] = False

    def config(self) -> PrepareConfig:
        """The preparation's own configuration; says who reads poses where that was left open. Raises PahaError where
        what is asked for is not here."""
        from paha.dataset.prepare.config import layout_config
        from paha.extractors.choose import choose_pose, fetch_weights

        chosen = choose_pose(self.pose)
        if self.engine == "local":  # the machines of a cluster may have what this one lacks
            fetch_weights(chosen)
        if self.pose == "auto":
            tell(f"pose extractor: {chosen} (by what is there; choose with --pose)")
            if chosen == "presenter":
                warnings.warn(ONLY_PRESENTERS, PrepareWarning, stacklevel=1)
        checker = presence_model(self.presence)
        if checker and self.presence is None:
            tell(f"presence check: {checker} (by what is there; --no-presence turns it off)")
        width, height = parse_size(self.size)
        shortest, longest = self.seconds or (None, None)
        return layout_config(
            self.layout,
            pose=chosen,
            presence=checker,
            hands=False if self.no_hands else None,
            smooth=self.smooth,
            width=width,
            height=height,
            min_s=shortest,
            max_s=longest,
            licence=self.licence,
            language=self.language,
        )


def prepare(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RAW... OUT", help="Footage (files, folders); dataset folder.")
    ],
    options: PrepareOptions,
) -> None:
    """Cut raw footage into a dataset of one person speaking to the camera; an interrupted run goes on."""
    if len(paths) < 2:
        raise PahaError("give RAW... OUT: files or folders of footage, and the folder of the dataset")
    *raw, out = paths
    for path in raw:
        Input().check(path)
    with DATASET.claimed(out, inputs=raw):
        cut(raw, out, options)


def cut(raw: list[Path], out: Path, options: PrepareOptions) -> None:
    """Footage to clips; says what was left out."""
    from paha.dataset.prepare.run import prepare_dataset

    config = options.config()
    listed, published = None, {}
    if options.intervals is not None:
        from paha.dataset.prepare.pats import interval_finder, split_by_clip

        listed = interval_finder(options.intervals, splits=options.splits, speakers=config.speakers)
        published = split_by_clip(options.intervals, options.splits) if options.splits is not None else {}
    elif options.splits is not None:
        raise PahaError("--splits names intervals: give --intervals as well")
    done = prepare_dataset(
        raw,
        out,
        config=config,
        workers=options.workers,
        engine=options.engine,
        identity=options.identity,
        listed=listed,
        published=published,
        retry=options.retry,
    )
    for name, error in done.failed:
        tell(f"paha: left out: {' '.join(name.split())}: {error}")
    typer.echo(
        f"{len(done.records)} clips, {done.kept_s:.1f} s of {done.seconds:.1f} s, in {out} "
        f"({done.new} files new, {len(done.failed) - done.passing} unusable); look at {out}/report.html"
    )
    if done.passing:
        raise PahaError(f"{done.passing} files failed for reasons that may pass: the same command tries them again")
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
