"""`paha verify`: what a video says of where it comes from, and what is hidden in it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from paha.cli.options import FILE
from paha.errors import MediaError, PahaError


def verify(file: Annotated[Path, typer.Argument(help="A video."), FILE]) -> None:
    """Say what FILE tells of where it comes from: manifest, signer, tag, mark. Fails where a manifest does not fit."""
    from paha.media.provenance import read_provenance

    found = read_provenance(file)
    signer = f"signed by '{found.signer}', " + (
        "whom an authority vouches for" if found.trusted else "whom no authority vouches for"
    )
    manifest = {
        "none": "no C2PA manifest",
        "valid": f"a valid C2PA manifest, {signer}; unchanged since",
        "broken": f"a C2PA manifest that does not fit, {signer}",
    }
    typer.echo(f"{file}: {manifest[found.manifest]}")
    typer.echo(f"comment tag: {found.comment or 'none'}")
    typer.echo("it says that it is generated" if found.generated else "it does not say that it is generated")
    typer.echo(f"invisible mark: {_mark_of(file)}")
    if found.manifest == "broken":
        raise PahaError(
            f"{file} was changed after it was signed: {'; '.join(found.problems) or 'its signature is invalid'}"
        )


def _mark_of(file: Path) -> str:
    from paha.media.invisible_mark import read_mark

    try:
        mark = read_mark(file)
    except MediaError as error:
        return f"cannot be looked for: {error}"
    if mark is None:
        return "none"
    number = "a number that cannot be read" if mark.number is None else str(mark.number)
    return f"{number} (as much by chance: one video of 10^{-math.log10(max(mark.false_rate, 1e-300)):.0f})"
