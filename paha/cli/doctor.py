"""`paha doctor`: what is here and what is missing."""

from __future__ import annotations

import typer

from paha.cli.options import Device, ModelFolder
from paha.errors import PahaError


def doctor(model: ModelFolder = None, device: Device = None) -> None:
    """Say what is here, what is missing and what works without it; fails only where no video can be made."""
    from paha.cli.checks import examine, format_finding

    missing = []
    for finding in examine(model, device=device):
        typer.echo(format_finding(finding))
        if finding.needed and not finding.ok:
            missing.append(f"{finding.name}: {finding.detail}")
    if missing:
        raise PahaError(f"videos cannot be made here: {'; '.join(missing)}")
    typer.echo("videos can be made here")
