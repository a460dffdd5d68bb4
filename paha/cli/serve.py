"""`paha serve`: the page and the HTTP API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from paha.cli.options import Mark, ModelFolder, Sign
from paha.runtime.paths import Output

DATA = Output("folder", marks=("jobs.sqlite3", "lock"))


def serve(
    folder: Annotated[Path, typer.Option(help="Where jobs and videos are kept."), DATA] = Path("paha-serve"),
    model: ModelFolder = None,
    device: Annotated[
        list[str] | None, typer.Option(help="One worker each; repeat. The best there is by default.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address; another than loopback needs --token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 7860,
    token: Annotated[
        str, typer.Option(help="What clients must show ($PAHA_TOKEN by default).", show_default=False)
    ] = "",
    mark: Mark = None,
    sign: Sign = None,
    max_upload_mb: Annotated[int, typer.Option(help="Megabytes of a request.", min=1, max=1024)] = 64,
    max_seconds: Annotated[float, typer.Option(help="Seconds of a speech.", min=1, max=3600)] = 120.0,
    max_size: Annotated[int, typer.Option(help="Pixels of a video's longer side.", min=64, max=4096)] = 1280,
    max_queued: Annotated[int, typer.Option(help="Jobs that wait, of all clients.", min=1)] = 256,
    max_per_client: Annotated[int, typer.Option(help="Jobs of one address that wait or run.", min=1)] = 32,
) -> None:
    """A page and an HTTP API that make videos; jobs survive the end of any process."""
    from paha.serve.server import serve as run
    from paha.serve.settings import ServeSettings

    if sign is not None:
        from paha.media.provenance import check_identity

        check_identity(sign)
    token = token or os.environ.get("PAHA_TOKEN", "")
    limits = (max_upload_mb, max_seconds, max_size, max_queued, max_per_client)
    devices = tuple(device or [_best_device()])
    run(ServeSettings(folder, model, devices, host, port, token, sign, mark, *limits), say=typer.echo)


def _best_device() -> str:
    from paha.runtime.device import pick_device

    return str(pick_device(None))
