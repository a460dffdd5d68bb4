"""`paha verify`: what a video says of where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paha.cli.options import FILE
from paha.errors import PahaError


def verify(file: Annotated[Path, typer.Argument(help="A video."), FILE]) -> None:
    """Say what FILE tells of where it comes from: C2PA manifest, signer, tag. Fails where a manifest does not fit."""
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
    if found.manifest == "broken":
        raise PahaError(
            f"{file} was changed after it was signed: {'; '.join(found.problems) or 'its signature is invalid'}"
        )
