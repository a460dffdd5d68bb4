"""What the verbs of the paper's size do: starting from Stable Video Diffusion, and sharing work over processes."""

from __future__ import annotations

from pathlib import Path

import typer

from paha.cli.checks import examine, format_finding
from paha.errors import PahaError


def doctor(model: Path | None, *, device: str | None = None) -> None:
    """Print every finding. Raises PahaError where the main job cannot run, naming what it lacks."""
    missing = []
    for finding in examine(model, device=device):
        typer.echo(format_finding(finding))
        if finding.needed and not finding.ok:
            missing.append(f"{finding.name}: {finding.detail}")
    if missing:
        raise PahaError(f"videos cannot be made here: {'; '.join(missing)}")
    typer.echo("videos can be made here")
